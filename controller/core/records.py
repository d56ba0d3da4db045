"""Records that the core makes: events, and a snapshot after each tick.

Each field is described here once. Telemetry, recordings, their channels and the page are made from
these descriptions.
"""

from typing import Any, Literal

import msgspec

from inhand.controller.core.goals import ActiveGoal, Order
from inhand.controller.policy.monitor import Verdict
from inhand.controller.safety.modes import Mode
from inhand.hardware.records import Array, JointState
from inhand.perception.records import FilterHealth, ObjectPose

EventKind = Literal[
    "mode",
    "goal_started",
    "goal_reached",
    "goal_missed",
    "goal_overdue",
    "object_in_hand",
    "object_dropped",
    "pose_old",
    "pose_fresh",
    "policy_loaded",
    "derated",
    "blocked",
    "path_not_free",
    "unlike_training",
    "camera",
    "camera_moved",
    "fusion",
    "tags",
    "bus",
    "recording_saved",
    "recording_failed",
    "observer_failed",
    "control",
]
"""All kinds of events; `docs/protocol.md` describes them for clients."""


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened.

    Attributes:
        t: when [s].
        kind: what.
        data: details, ready for JSON.
    """

    t: float
    kind: EventKind
    data: dict[str, Any] = {}


class GoalState(msgspec.Struct, frozen=True, array_like=True):
    """The goal that is being worked on.

    Attributes:
        number: of its order; counts all goals that were ever asked for.
        quaternion: the orientation to reach, world from object, wxyz, (4,).
        tolerance: largest error that counts as reached [rad].
        started: when it began [s].
        error: angle still to go [rad].
        within_since: since when the error has been within tolerance [s]; None if it is not.
    """

    number: int
    quaternion: Array
    tolerance: float
    started: float
    error: float
    within_since: float | None

    @classmethod
    def of(cls, goal: ActiveGoal) -> "GoalState":
        """The present state of an active goal."""
        order = goal.order
        return cls(
            order.number,
            goal.quaternion,
            order.tolerance,
            goal.started,
            goal.error,
            goal.within_since,
        )


class Outputs(msgspec.Struct, frozen=True, array_like=True):
    """What a tick decided and estimated; the arrays are never changed afterwards.

    A recording holds these fields by their position. A new field therefore goes to the end, with a
    default for older recordings.

    Attributes:
        mode: the present mode.
        reason: why it was entered.
        torque: whether the servos are to have torque.
        targets: what was sent last [rad], (n_actuators,), actuator order.
        pose: where the object is; None if it was never seen.
        in_hand: whether the object is in the hand.
        paused: whether a running hand waits for a fresh pose.
        goal: the goal that is being worked on, if any.
        action: what the policy did in this tick, (n_actuators,) in [-1, 1]; None if it did not act.
        effort: share of its torque limit that each servo may use, (n_actuators,).
        waiting: goals in the queue.
        reached: goals reached since the start.
        missed: goals given up since the start.
        dropped: how often the object was dropped since the start.
    """

    mode: Mode
    reason: str
    torque: bool
    targets: Array | None
    pose: ObjectPose | None
    in_hand: bool
    paused: bool
    goal: GoalState | None
    action: Array | None
    effort: Array
    waiting: int
    reached: int
    missed: int
    dropped: int


class Snapshot(Outputs, frozen=True, kw_only=True):
    """All that is known after a tick: its outputs, and what they were made from.

    Attributes:
        t: time of the tick [s].
        joints: each joint as it was read last; None before each one was.
        joint_times: when each was [s], (n_actuators,); -inf where it never was.
        order: what asked for the goal; None without a goal.
        policy: name of the policy; empty if there is none.
        policy_sha256: of its file.
        fusion: counts and problems of the pose filter's measurements.
        world_names: names of what the policy estimates of its world.
        world: the estimates: means, then logarithms of standard deviations, (2 n,); None if there
            are none.
        monitor: what the policy's monitor found last; None without a monitor.
    """

    t: float
    joints: JointState | None
    joint_times: Array
    order: Order | None
    policy: str
    policy_sha256: str
    fusion: FilterHealth = FilterHealth()
    world_names: tuple[str, ...] = ()
    world: Array | None = None
    monitor: Verdict | None = None
