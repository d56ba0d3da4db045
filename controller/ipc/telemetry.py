"""What the state socket and `status` say, made from a snapshot outside the tick."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from operator import attrgetter
from typing import Any, get_type_hints

import numpy as np

from inhand.controller.core.records import Event, GoalState, Outputs, Snapshot
from inhand.hardware.records import Array, JointState
from inhand.perception.records import ObjectPose

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


def _published(kind: type, *withheld: str) -> Callable[[object], dict[str, Any]]:
    """Makes JSON members of the fields of a record that clients get under their own names."""
    hints = get_type_hints(kind)
    assert set(withheld) <= set(hints)
    names = [name for name in hints if name not in withheld]
    arrays = [name for name in names if hints[name] in (Array, Array | None)]
    values = attrgetter(*names)

    def members(record: object) -> dict[str, Any]:
        found = dict(zip(names, values(record), strict=True))
        for name in arrays:
            if (array := found[name]) is not None:
                found[name] = array.tolist()
        return found

    return members


_of_outputs = _published(Outputs, "pose", "in_hand", "goal", "action")
_of_joints = _published(JointState, "t")
_of_pose = _published(ObjectPose, "covariance")
_of_goal = _published(GoalState, "started", "within_since")


def describe(snapshot: Snapshot, now: float) -> dict[str, object]:
    """A snapshot as JSON members; `now` [s] is for the ages."""
    return {
        "t": snapshot.t,
        **_of_outputs(snapshot),
        "joints": _joints(snapshot, now),
        "object": {"in_hand": snapshot.in_hand, "pose": snapshot.pose and _pose(snapshot.pose)},
        "goal": _goal(snapshot),
        "policy": _policy(snapshot),
    }


def _policy(snapshot: Snapshot) -> dict[str, Any] | None:
    if not snapshot.policy:
        return None
    told = {
        "name": snapshot.policy,
        "sha256": snapshot.policy_sha256,
        "world": None,
        "monitor": snapshot.monitor and asdict(snapshot.monitor),
    }
    if snapshot.world is None:
        return told
    means, logarithms = snapshot.world.reshape(2, -1)
    deviations = np.exp(np.minimum(logarithms, 50.0))
    estimates = zip(snapshot.world_names, means.tolist(), deviations.tolist(), strict=True)
    world = [{"name": name, "mean": mean, "deviation": sd} for name, mean, sd in estimates]
    return {**told, "world": world}


def _joints(snapshot: Snapshot, now: float) -> dict[str, Any] | None:
    if snapshot.joints is None:
        return None
    members = _of_joints(snapshot.joints)
    members["ages"] = ages = (now - snapshot.joint_times).tolist()
    members["age"] = max(ages)
    return members


def _goal(snapshot: Snapshot) -> dict[str, Any] | None:
    goal, order = snapshot.goal, snapshot.order
    if goal is None:
        return None
    members = _of_goal(goal)
    members["hold"] = order and order.hold
    members["timeout"] = order and order.timeout
    members["seconds"] = snapshot.t - goal.started
    return members


def _pose(pose: ObjectPose) -> dict[str, Any]:
    members = _of_pose(pose)
    variances = pose.covariance.diagonal()[:6].tolist()
    members["deviation"] = [max(x, 0.0) ** 0.5 for x in variances]
    return members


def as_pace(statistics: Mapping[str, Any]) -> str:
    """How well a daemon keeps to time: in simulated time nothing is late, but all may be slow.

    Args:
        statistics: as the topic of that name, or `status`, has them.
    """
    factor = statistics.get("real_time_factor")
    if factor is not None:
        return f"{factor:.1f} × real time"
    return f"{100 * statistics['tick']['recent_on_time_share']:.1f} % on time lately"
