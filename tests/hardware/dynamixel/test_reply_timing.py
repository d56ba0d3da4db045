"""The reply timeout follows the delays of recent replies."""

from hypothesis import given
from hypothesis import strategies as st

from inhand.hardware.dynamixel.reply_timing import (
    LONGEST,
    SLOW_REPLY,
    ReplyDelays,
    ReplyTimeout,
    patience_for,
)

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


def usual(*delays: float) -> float:
    found = ReplyDelays()
    found.unsure = False
    for delay in delays:
        found.note(delay, alone=True)
    return found.usual


def test_the_usual_delay_is_that_of_the_line_on_a_busy_machine() -> None:
    late = [0.01 * place for place in range(1, 11)]
    assert usual(*late, 0.0003, 0.0004, 0.0005, 0.0006) < SLOW_REPLY
    # Some requests are sent shortly before the adapter passes on what it has.
    assert usual(*[0.016] * 20, *late, 0.0003, 0.004, 0.007) > SLOW_REPLY


def test_replies_that_may_belong_to_an_older_request_are_no_measure() -> None:
    delays = ReplyDelays()
    delays.note(0.0001, alone=True)
    delays.note(0.0002, alone=False)
    assert delays.usual == 0.0
    delays.note(0.016, alone=True)
    assert delays.usual == 0.016
    delays.unsure = True
    delays.note(0.0001, alone=True)
    assert delays.usual == 0.016


def test_late_replies_are_waited_for_as_long_as_the_period_allows() -> None:
    assert patience_for(0.0003, 0.01, LONGEST) == (LONGEST, LONGEST / 2)
    for period in (0.05, 0.1, 0.2):
        patience, later = patience_for(0.016, period, LONGEST)
        assert 2 * patience <= 0.8 * period
        assert 1.15 * 0.016 < later <= patience
