"""What the state socket and `status` say, made from a snapshot outside the tick."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from inhand.controller.core.goals import ActiveGoal
from inhand.controller.core.records import Event, Snapshot
from inhand.hardware.records import Array

EVENTS_KEPT = 1000
"""How far back `events` can go."""


class EventLog:
    """Numbers events from 1 and keeps the latest."""

    def __init__(self) -> None:
        self.last = 0
        self._kept: deque[dict[str, object]] = deque(maxlen=EVENTS_KEPT)

    def add(self, event: Event) -> dict[str, object]:
        """Numbers an event; returns its message."""
        self.last += 1
        message: dict[str, object] = {
            "n": self.last,
            "t": event.t,
            "kind": event.kind,
            **event.data,
        }
        self._kept.append(message)
        return message

    def since(self, number: int) -> list[dict[str, object]]:
        """The kept events with numbers above `number`, oldest first."""
        first = self.last - len(self._kept)
        return list(self._kept)[max(0, number - first) :]


def describe(snapshot: Snapshot, now: float) -> dict[str, object]:
    """A snapshot as JSON members; `now` [s] is for the ages."""
    joints, pose = snapshot.joints, snapshot.pose
    return {
        "t": snapshot.t,
        "mode": snapshot.mode.value,
        "reason": snapshot.reason,
        "torque": snapshot.torque,
        "joints": joints
        and {
            "age": now - float(snapshot.joint_times.min()),
            "ages": (now - snapshot.joint_times).tolist(),
            "position": joints.position.tolist(),
            "velocity": joints.velocity.tolist(),
            "current": joints.current.tolist(),
            "temperature": _known(joints.temperature),
            "voltage": _known(joints.voltage),
        },
        "effort": snapshot.effort.tolist(),
        "targets": None if snapshot.targets is None else snapshot.targets.tolist(),
        "object": {
            "in_hand": snapshot.in_hand,
            "pose": pose
            and {
                "t": pose.t,
                "age": pose.age,
                "position": pose.position.tolist(),
                "quaternion": pose.quaternion.tolist(),
                "linear_velocity": pose.linear_velocity.tolist(),
                "angular_velocity": pose.angular_velocity.tolist(),
                "deviation": [max(float(x), 0.0) ** 0.5 for x in pose.covariance.diagonal()[:6]],
            },
        },
        "paused": snapshot.paused,
        "goal": _goal(snapshot.goal, snapshot.t),
        "waiting": snapshot.waiting,
        "reached": snapshot.reached,
        "missed": snapshot.missed,
        "dropped": snapshot.dropped,
        "policy": {"name": snapshot.policy, "sha256": snapshot.policy_sha256}
        if snapshot.policy
        else None,
    }


def _known(values: Array | None) -> list[float | None] | None:
    """Numbers for JSON, where what is not known is no number."""
    return None if values is None else [x if x == x else None for x in values.tolist()]


def _goal(goal: ActiveGoal | None, t: float) -> dict[str, object] | None:
    if goal is None:
        return None
    return {
        "number": goal.order.number,
        "quaternion": goal.quaternion.tolist(),
        "error": goal.error,
        "tolerance": goal.order.tolerance,
        "hold": goal.order.hold,
        "timeout": goal.order.timeout,
        "seconds": t - goal.started,
    }


def as_pace(statistics: Mapping[str, Any]) -> str:
    """How well a daemon keeps to time: in simulated time nothing is late, but all may be slow.

    Args:
        statistics: as the topic of that name, or `status`, has them.
    """
    factor = statistics.get("real_time_factor")
    if factor is not None:
        return f"{factor:.1f} × real time"
    return f"{100 * statistics['tick']['recent_on_time_share']:.1f} % on time lately"
