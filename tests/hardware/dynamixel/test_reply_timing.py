"""The reply timeout follows the delays of recent replies."""

from hypothesis import given
from hypothesis import strategies as st

from inhand.hardware.dynamixel.reply_timing import LONGEST, ReplyTimeout

DELAYS = st.lists(st.one_of(st.none(), st.floats(0.0, 0.02)), max_size=200)


@given(DELAYS, st.floats(0.0001, LONGEST / 2))
def test_the_timeout_is_longer_than_the_last_delay_within_half_the_largest(
    earlier: list[float | None], delay: float
) -> None:
    timeout = ReplyTimeout()
    for one in (*earlier, delay):
        if one is None:
            timeout.note_none()
        else:
            timeout.note(one)
        assert 0.0 < timeout.patience() <= LONGEST
    assert timeout.patience() > delay


def test_prompt_replies_shorten_the_timeout() -> None:
    timeout = ReplyTimeout()
    for _ in range(300):
        timeout.note(0.0003)
    assert timeout.patience() < 0.0012
    assert timeout.steady


def test_missing_replies_lengthen_the_timeout() -> None:
    timeout = ReplyTimeout()
    for _ in range(300):
        timeout.note(0.0003)
    for _ in range(6):
        timeout.note_none()
    assert timeout.patience() > 0.9 * LONGEST


def test_one_late_reply_in_fifty_keeps_the_timeout_at_its_largest_value() -> None:
    timeout = ReplyTimeout()
    for _ in range(20):
        timeout.note(0.0025)
        for _ in range(50):
            timeout.note(0.0003)
            assert not timeout.steady
