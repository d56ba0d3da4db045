"""What the core tells the shell: events, and a snapshot after each tick."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from inhand.controller.core.goals import ActiveGoal
from inhand.controller.safety.modes import Mode
from inhand.hardware.records import Array, JointState
from inhand.perception.records import ObjectPose

EventKind = Literal[
    "mode",
    "goal_started",
    "goal_reached",
    "goal_missed",
    "object_in_hand",
    "object_dropped",
    "pose_old",
    "pose_fresh",
    "policy_loaded",
    "derated",
    "camera",
    "tags",
    "bus",
    "recording_saved",
    "recording_failed",
    "observer_failed",
]

EVENT_KINDS: tuple[str, ...] = get_args(EventKind)
"""All kinds of events; `docs/protocol.md` describes them for clients."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        t: when [s].
        kind: what.
        data: details, ready for JSON.
    """

    t: float
    kind: EventKind
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the core believes after a tick; the arrays are never changed afterwards.

    Attributes:
        t: time of the tick [s].
        mode: the present mode.
        reason: why it was entered.
        torque: whether the servos are to have torque.
        joints: each joint as it was read last; None before each one was.
        joint_times: when each was [s], (n_actuators,); -inf where it never was.
        pose: where the object is; None if it was never seen.
        in_hand: whether the object is in the hand.
        paused: whether a running hand waits for a fresh pose.
        goal: the goal that is being worked on, if any.
        waiting: goals in the queue.
        reached: goals reached since the start.
        missed: goals given up since the start.
        dropped: how often the object was dropped since the start.
        effort: share of its torque limit that each servo may use, (n_actuators,).
        targets: what was sent last [rad], (n_actuators,), actuator order.
        action: what the policy did in this tick, (n_actuators,) in [-1, 1]; None if it did not act.
        policy: name of the policy; empty if there is none.
        policy_sha256: of its file.
    """

    t: float
    mode: Mode
    reason: str
    torque: bool
    joints: JointState | None
    joint_times: Array
    pose: ObjectPose | None
    in_hand: bool
    paused: bool
    goal: ActiveGoal | None
    waiting: int
    reached: int
    missed: int
    dropped: int
    effort: Array
    targets: Array | None
    action: Array | None
    policy: str
    policy_sha256: str
