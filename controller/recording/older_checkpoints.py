"""Checkpoints of older versions: where each member of the controller is today."""

from typing import Any

from inhand.controller.recording.checkpoint import Checkpoint

MOVED: dict[str, tuple[str, ...]] = {
    "mode": ("operation", "mode"),
    "torque": ("operation", "torque"),
    "events": ("operation", "events"),
    "goals": ("operation", "goals"),
    "policy": ("operation", "policy"),
    "_t": ("operation", "t"),
    "_ticked": ("operation", "_ticked"),
    "_reason": ("operation", "reason"),
    "_entered": ("operation", "_entered"),
    "_armed_until": ("operation", "_armed_until"),
    "_sent": ("operation", "sent"),
    "_mover": ("operation", "mover"),
    "_action": ("operation", "policy_step", "action"),
    "_paused": ("operation", "policy_step", "paused"),
    "_unstick": ("operation", "policy_step", "_noise"),
    "_ticks_to_action": ("operation", "policy_step", "_ticks_to_action"),
    "temperature": ("_joint_watch", "_temperature"),
    "_health": ("_joint_watch", "_health"),
    "_flaw": ("_joint_watch", "_flaw"),
    "_effort": ("_joint_watch", "effort"),
    "_share": ("_joint_watch", "share"),
    "_derated": ("_joint_watch", "_derated"),
    "_joints": ("_joint_watch", "joints"),
    "_pose_source": ("_object_watch", "_pose_source"),
    "_presence": ("_object_watch", "_drop_detector"),
    "_pose": ("_object_watch", "pose"),
    "_dropped": ("_object_watch", "dropped"),
}
"""Members of the controller that older versions had, and the path to each one today."""


RENAMED = {
    "heard": "measured_at",
    "_presence": "_drop_detector",
    "_unstick": "_noise",
    "_way_back": "_return_limits",
}
"""Members that older versions had under another name, in whatever object they are."""


def upgraded(state: Checkpoint) -> Checkpoint:
    """A controller's captured state with each member where it is today, under its present name.

    Args:
        state: what `capture` made of a controller, in this version or an older one.

    Returns:
        The state for `restore`; the same object if nothing in it has changed.
    """
    if not isinstance(state, dict):
        return state
    return _renamed(_moved(state) if state.keys() & MOVED.keys() else state)


def _moved(state: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in state.items():
        *parts, last = MOVED.get(name, (name,))
        members = made
        for part in parts:
            members = members.setdefault(part, {"is": "live", "members": {}})["members"]
        members[last] = value
    return made


def _renamed(members: dict[str, Any]) -> dict[str, Any]:
    """The members under their present names; the same object if none was renamed."""
    made = {RENAMED.get(name, name): _renamed_inside(value) for name, value in members.items()}
    unchanged = all(made.get(name, made) is value for name, value in members.items())
    return members if unchanged else made


def _renamed_inside(value: Checkpoint) -> Checkpoint:
    match value:
        case {"is": "live", "members": dict(members)}:
            made = _renamed(members)
            return value if made is members else {**value, "members": made}
    return value
