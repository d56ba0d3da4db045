"""What the real loop records of each tick, given to a second controller, has the same results."""

from pathlib import Path

import pytest

from inhand.controller.core.controller import Controller
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.policy.runtime import Policy
from inhand.controller.recording.replay import repeat
from inhand.controller.recording.tick_record import outputs, pack
from inhand.controller.safety.modes import Happening, Mode
from inhand.perception.records import TagCorners
from tests.controller.bench_hand import BLOCK, HAND, learned
from tests.controller.looped import Looped
from tests.controller.recorded import RIG


def suspended(looped: Looped) -> None:
    """The machine was suspended, and a request comes in the same tick."""
    asleep = [3600.0]
    looped.loop._suspended = lambda: asleep.pop() if asleep else 0.0
    assert not looped.ask("goal", face="+x")["ok"]


def line_open(looped: Looped) -> None:
    """The line of the emergency stop is open, then closed."""
    said = ["", "the emergency stop line is open", ""]

    class Line:
        def problem(self) -> str:
            return said.pop(0) if len(said) > 1 else said[0]

    looped.loop._estop_line = Line()  # type: ignore[assignment]
    looped.run(3)
    looped.ask("clear")


def operator_lost(looped: Looped) -> None:
    """Nobody who may command has been connected for an hour."""
    looped.loop._unattended = lambda: 3600.0
    looped.run(3)


def servo_error(looped: Looped) -> None:
    """A servo reports an error after the tick."""
    looped.loop.link.servo_error = "servo 5: overload"  # type: ignore[misc]
    looped.run(3)


def stopped(looped: Looped) -> None:
    """Requests that stop the hand, in the order in which they came."""
    for name in ("hold", "arm", "random_goals", "estop", "clear", "enable"):
        looped.ask(name)


@pytest.mark.parametrize("act", [suspended, line_open, operator_lost, servo_error, stopped])
def test_a_tick_is_repeated_to_the_bit(tmp_path: Path, act: object) -> None:
    looped = Looped(tmp_path)
    assert callable(act)
    looped.start(Mode.RUNNING)
    looped.run(20)
    act(looped)
    looped.run(20)
    looped.close()
    assert looped.controller.mode != Mode.RUNNING
    assert {happening for record in looped.records for happening, _ in record.inputs.earlier} <= {
        Happening.JOINTS_STALE.value
    }
    again = Controller[TagCorners](
        HAND, BLOCK, PoseFilter(BLOCK, RIG, hand=HAND), policy=learned(tmp_path), seed=1
    )

    def none(sha256: str) -> Policy | None:
        assert not sha256
        return None

    assert [record.n for record in looped.records] == list(range(1, len(looped.records) + 1))
    for record in looped.records:
        repeat(again, record.inputs, none, readonly=False)
        assert pack(outputs(again.snapshot())) == pack(record.outputs), record.n
        assert pack(again.take_events()) == pack(record.events), record.n
