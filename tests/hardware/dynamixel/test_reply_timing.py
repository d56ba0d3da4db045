"""How long a reply is waited for, by how soon others began."""

from hypothesis import given
from hypothesis import strategies as st

from inhand.hardware.dynamixel.reply_timing import LONGEST, Beginnings

DELAYS = st.lists(st.one_of(st.none(), st.floats(0.0, 0.02)), max_size=200)


@given(DELAYS, st.floats(0.0001, LONGEST / 2))
def test_what_began_in_time_once_would_be_waited_for_again(
    earlier: list[float | None], delay: float
) -> None:
    beginnings = Beginnings()
    for one in (*earlier, delay):
        if one is None:
            beginnings.note_none()
        else:
            beginnings.note(one)
        assert 0.0 < beginnings.patience() <= LONGEST
    assert beginnings.patience() > delay


def test_prompt_replies_make_it_short() -> None:
    beginnings = Beginnings()
    for _ in range(300):
        beginnings.note(0.0003)
    assert beginnings.patience() < 0.0012
    assert beginnings.steady


def test_waiting_in_vain_makes_it_long_again() -> None:
    beginnings = Beginnings()
    for _ in range(300):
        beginnings.note(0.0003)
    for _ in range(6):
        beginnings.note_none()
    assert beginnings.patience() > 0.9 * LONGEST


def test_now_and_then_a_late_reply_is_enough_to_wait_for_all() -> None:
    beginnings = Beginnings()
    for _ in range(20):
        beginnings.note(0.0025)
        for _ in range(50):
            beginnings.note(0.0003)
            assert not beginnings.steady
