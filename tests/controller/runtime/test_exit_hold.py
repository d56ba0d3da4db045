"""An object in the hand is held for a while before an orderly end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import TICK
from tests.controller.looped import Looped

HOLD = 0.5


@pytest.fixture
def looped(tmp_path: Path) -> Iterator[Looped]:
    looped = Looped(tmp_path)
    looped.start(Mode.RUNNING)
    looped.loop._exit_hold = HOLD
    yield looped
    looped.close()


def ticks(looped: Looped) -> int:
    """Ticks until the loop ends by itself."""
    before = len(looped.records)
    looped.run(1000)
    return len(looped.records) - before


def test_the_hand_holds_then_ends(looped: Looped) -> None:
    looped.loop.stop("SIGTERM", orderly=True)
    assert ticks(looped) == pytest.approx(HOLD / TICK, abs=2)
    assert looped.controller.mode == Mode.HOLDING
    assert looped.controller.torque
    held = [one.request for record in looped.records for one in record.inputs.requests]
    assert type(held[-1]).__name__ == "Hold", "a replay needs it"


def test_a_second_signal_ends_at_once(looped: Looped) -> None:
    looped.loop.stop("SIGTERM", orderly=True)
    looped.run(3)
    looped.loop.stop("SIGTERM", orderly=True)
    assert ticks(looped) == 0


def test_a_failure_ends_at_once(looped: Looped) -> None:
    looped.loop.stop("the command socket failed")
    assert ticks(looped) == 0


def test_an_emergency_stop_ends_the_hold_and_nothing_moves_during_it(looped: Looped) -> None:
    looped.loop.stop("SIGTERM", orderly=True)
    looped.run(3)
    assert looped.ask("arm")["error"]["message"] == "the daemon is ending"
    looped.ask("estop")
    assert ticks(looped) == 0


def test_a_hand_without_torque_ends_at_once(tmp_path: Path) -> None:
    looped = Looped(tmp_path)
    looped.start(Mode.OFF)
    looped.loop._exit_hold = HOLD
    looped.loop.stop("SIGTERM", orderly=True)
    assert ticks(looped) == 0
    looped.close()
