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
    "_unstick": ("operation", "policy_step", "_unstick"),
    "_ticks_to_action": ("operation", "policy_step", "_ticks_to_action"),
    "temperature": ("_joint_watch", "_temperature"),
    "_health": ("_joint_watch", "_health"),
    "_flaw": ("_joint_watch", "_flaw"),
    "_effort": ("_joint_watch", "effort"),
    "_share": ("_joint_watch", "share"),
    "_derated": ("_joint_watch", "_derated"),
    "_joints": ("_joint_watch", "joints"),
    "_pose_source": ("_object_watch", "_pose_source"),
    "_presence": ("_object_watch", "_presence"),
    "_pose": ("_object_watch", "pose"),
    "_dropped": ("_object_watch", "dropped"),
}
"""Members of the controller that older versions had, and the path to each one today."""


def upgraded(state: Checkpoint) -> Checkpoint:
    """A controller's captured state with each member where it is today.

    Args:
        state: what `capture` made of a controller, in this version or an older one.

    Returns:
        The state for `restore`; the same object if nothing in it has moved.
    """
    if not isinstance(state, dict) or not state.keys() & MOVED.keys():
        return state
    made: dict[str, Any] = {}
    for name, value in state.items():
        *parts, last = MOVED.get(name, (name,))
        members = made
        for part in parts:
            members = members.setdefault(part, {"is": "live", "members": {}})["members"]
        members[last] = value
    return made
