"""The mode machine against the design's table: every mode, every trigger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhand.controller.safety.modes import Happening, Mode, Request, Trigger, allowed, next_mode

REFUSED, IGNORED = "refused", "ignored"

# One row a trigger; columns: off, holding, ready, running, manual, fault, estop.
TABLE = """
enable         holding  holding  refused  refused  refused  refused  refused
disable        off      off      refused  refused  refused  refused  refused
home           refused  holding  refused  refused  refused  refused  refused
arm            refused  ready    ready    refused  refused  refused  refused
disarm         refused  holding  holding  holding  refused  refused  refused
goal           refused  refused  running  running  refused  refused  refused
cancel         refused  refused  ready    ready    refused  refused  refused
hold           refused  holding  holding  holding  holding  refused  refused
manual         refused  manual   refused  refused  manual   refused  refused
joints         refused  refused  refused  refused  manual   refused  refused
trajectory     refused  refused  refused  refused  manual   refused  refused
estop          estop    estop    estop    estop    estop    estop    estop
clear          refused  refused  refused  refused  refused  off      off
queue_empty    ignored  ignored  ignored  ready    ignored  ignored  ignored
idle           ignored  ignored  holding  ignored  holding  ignored  ignored
object_dropped ignored  ignored  ignored  holding  ignored  ignored  ignored
pose_lost      ignored  ignored  ignored  holding  ignored  ignored  ignored
policy_failed  ignored  ignored  ignored  holding  ignored  ignored  ignored
unlike_training ignored ignored  ignored  holding  ignored  ignored  ignored
operator_lost  ignored  ignored  ignored  holding  ignored  ignored  ignored
servo_error    fault    fault    fault    fault    fault    fault    ignored
bus_lost       fault    fault    fault    fault    fault    fault    ignored
joints_stale   fault    fault    fault    fault    fault    fault    ignored
"""
COLUMNS = (Mode.OFF, Mode.HOLDING, Mode.READY, Mode.RUNNING, Mode.MANUAL, Mode.FAULT, Mode.ESTOP)
TRIGGERS: dict[str, Trigger] = {trigger.value: trigger for trigger in (*Request, *Happening)}
CASES = [
    (mode, TRIGGERS[name], after)
    for name, *row in map(str.split, TABLE.split("\n")[1:-1])
    for mode, after in zip(COLUMNS, row, strict=True)
]


def test_the_table_names_everything() -> None:
    assert {(mode, trigger) for mode, trigger, _ in CASES} == {
        (mode, trigger) for mode in Mode for trigger in (*Request, *Happening)
    }


@pytest.mark.parametrize(("mode", "trigger", "after"), CASES)
def test_each_transition_is_as_in_the_table(mode: Mode, trigger: Trigger, after: str) -> None:
    expected = None if after in (REFUSED, IGNORED) else Mode(after)
    assert next_mode(mode, trigger) is expected
    if isinstance(trigger, Request):
        assert (trigger in allowed(mode)) == (after != REFUSED)


@given(st.lists(st.sampled_from([*Request, *Happening])))
def test_latched_modes_are_left_by_clear_alone(triggers: list[Trigger]) -> None:
    mode = Mode.OFF
    for trigger in triggers:
        before, mode = mode, next_mode(mode, trigger) or mode
        if before == Mode.ESTOP:
            assert mode == (Mode.OFF if trigger == Request.CLEAR else Mode.ESTOP)
        if before == Mode.FAULT:
            assert mode in (Mode.FAULT, Mode.ESTOP) or (trigger, mode) == (
                Request.CLEAR,
                Mode.OFF,
            )
        if mode == Mode.RUNNING and before != Mode.RUNNING:
            assert (before, trigger) == (Mode.READY, Request.GOAL)
        if isinstance(trigger, Happening):
            assert mode != Mode.RUNNING or before == Mode.RUNNING
