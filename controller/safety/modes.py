"""Mode machine: a table of transitions by mode and trigger."""

from enum import StrEnum


class Mode(StrEnum):
    """What the daemon does with the servos."""

    OFF = "off"
    HOLDING = "holding"
    READY = "ready"
    RUNNING = "running"
    MANUAL = "manual"
    FAULT = "fault"
    ESTOP = "estop"


class Request(StrEnum):
    """Requests; one without a transition in the present mode is refused."""

    ENABLE = "enable"
    DISABLE = "disable"
    HOME = "home"
    ARM = "arm"
    DISARM = "disarm"
    GOAL = "goal"
    CANCEL = "cancel"
    HOLD = "hold"
    MANUAL = "manual"
    JOINTS = "joints"
    TRAJECTORY = "trajectory"
    ESTOP = "estop"
    CLEAR = "clear"


class Happening(StrEnum):
    """Internal triggers; one without a transition in the present mode changes nothing."""

    QUEUE_EMPTY = "queue_empty"
    IDLE = "idle"
    OBJECT_DROPPED = "object_dropped"
    POSE_LOST = "pose_lost"
    POLICY_FAILED = "policy_failed"
    UNLIKE_TRAINING = "unlike_training"
    SERVO_ERROR = "servo_error"
    BUS_LOST = "bus_lost"
    JOINTS_STALE = "joints_stale"
    OPERATOR_LOST = "operator_lost"


Trigger = Request | Happening

STOPPED = (Mode.FAULT, Mode.ESTOP)
"""Modes in which nothing moves, not even back into its range."""

_FAULTS = (Happening.SERVO_ERROR, Happening.BUS_LOST, Happening.JOINTS_STALE)

_TABLE: dict[tuple[Mode, Trigger], Mode] = {
    (Mode.OFF, Request.ENABLE): Mode.HOLDING,
    (Mode.OFF, Request.DISABLE): Mode.OFF,
    (Mode.HOLDING, Request.ENABLE): Mode.HOLDING,
    (Mode.HOLDING, Request.HOME): Mode.HOLDING,
    (Mode.HOLDING, Request.HOLD): Mode.HOLDING,
    (Mode.HOLDING, Request.DISARM): Mode.HOLDING,
    (Mode.HOLDING, Request.ARM): Mode.READY,
    (Mode.HOLDING, Request.DISABLE): Mode.OFF,
    (Mode.READY, Request.ARM): Mode.READY,
    (Mode.READY, Request.GOAL): Mode.RUNNING,
    (Mode.READY, Request.CANCEL): Mode.READY,
    (Mode.READY, Request.DISARM): Mode.HOLDING,
    (Mode.READY, Request.HOLD): Mode.HOLDING,
    (Mode.READY, Happening.IDLE): Mode.HOLDING,
    (Mode.RUNNING, Request.GOAL): Mode.RUNNING,
    (Mode.RUNNING, Request.CANCEL): Mode.READY,
    (Mode.RUNNING, Happening.QUEUE_EMPTY): Mode.READY,
    (Mode.RUNNING, Request.HOLD): Mode.HOLDING,
    (Mode.RUNNING, Request.DISARM): Mode.HOLDING,
    (Mode.RUNNING, Happening.OBJECT_DROPPED): Mode.HOLDING,
    (Mode.RUNNING, Happening.POSE_LOST): Mode.HOLDING,
    (Mode.RUNNING, Happening.POLICY_FAILED): Mode.HOLDING,
    (Mode.RUNNING, Happening.UNLIKE_TRAINING): Mode.HOLDING,
    (Mode.HOLDING, Request.MANUAL): Mode.MANUAL,
    (Mode.MANUAL, Request.MANUAL): Mode.MANUAL,
    (Mode.MANUAL, Request.JOINTS): Mode.MANUAL,
    (Mode.MANUAL, Request.TRAJECTORY): Mode.MANUAL,
    (Mode.MANUAL, Request.HOLD): Mode.HOLDING,
    (Mode.MANUAL, Happening.IDLE): Mode.HOLDING,
    (Mode.RUNNING, Happening.OPERATOR_LOST): Mode.HOLDING,
    (Mode.FAULT, Request.CLEAR): Mode.OFF,
    (Mode.ESTOP, Request.CLEAR): Mode.OFF,
    **{(mode, Request.ESTOP): Mode.ESTOP for mode in Mode},
    # An emergency stop outlasts a fault: torque must not come back with "fault: hold 2 s".
    **{(mode, fault): Mode.FAULT for mode in Mode if mode != Mode.ESTOP for fault in _FAULTS},
}


def next_mode(mode: Mode, trigger: Trigger) -> Mode | None:
    """The next mode; None if the trigger has no transition in this mode."""
    return _TABLE.get((mode, trigger))


def allowed(mode: Mode) -> tuple[Request, ...]:
    """Requests that are accepted in a mode."""
    return tuple(request for request in Request if (mode, request) in _TABLE)
