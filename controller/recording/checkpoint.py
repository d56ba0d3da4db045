"""Checkpoints: the controller's complete state as plain data, from which a replay starts.

Objects built from files and configuration (hand, object, settings, policy weights) are left out:
the controller into which a checkpoint is restored already has them. Reading a checkpoint executes
no code; only records of the classes listed here are constructed, from their fields.
"""

from collections import deque
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import msgspec
import numpy as np
import onnxruntime as ort

from inhand.controller.core import goals
from inhand.controller.core.slow_path import PathPlanner
from inhand.controller.estimation import hand_motion, pose_state
from inhand.controller.estimation.outlier_gate import FusionSettings
from inhand.controller.policy.action import ActionPath, ActionState
from inhand.controller.safety import following, modes, safety
from inhand.controller.safety.derating import Effort
from inhand.controller.system.statistics import Histogram
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Workspace
from inhand.hardware.records import Array, JointState, frozen_array
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import (
    CameraFit,
    ConfirmedPose,
    FilterHealth,
    ObjectPose,
    Sighting,
    TagCorners,
)

Checkpoint = Any
"""Nested lists, dicts, strings, numbers and bytes."""

_FIXED = (
    Hand,
    Workspace,
    ObjectDescription,
    Camera,
    FusionSettings,
    pose_state.MotionModel,
    ActionPath,
    PathPlanner,
    safety.Limits,
    following.Patience,
    Histogram,
    ort.InferenceSession,
    msgspec.Struct,
)
"""Types of the objects that a new controller already has."""

_ORDER_PARTS = (goals.Order, goals.Orientation, goals.FaceUp, goals.Turn, goals.RandomGoal)
"""Older recordings contain the members of each of these; newer ones encode the whole order."""

_RECORDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        JointState,
        ObjectPose,
        ConfirmedPose,
        CameraFit,
        FilterHealth,
        Sighting,
        TagCorners,
        ActionState,
        safety.Motion,
        pose_state.PoseCandidate,
        pose_state.PoseMeasurement,
        pose_state.PoseState,
        pose_state.Verdict,
        hand_motion.Grip,
        goals.ActiveGoal,
        *_ORDER_PARTS,
        modes.Mode,
        Effort,
    )
}
"""Classes that may be constructed from a checkpoint, by name."""

_PACKAGE = "inhand.controller."
_SEQUENCES = {"list": list, "tuple": tuple, "deque": deque}


def capture(live: object) -> Checkpoint:
    """Returns the state of an object and of all its members as plain data.

    Raises:
        TypeError: a member has a type that checkpoints do not support.
    """
    return {name: _pack(value) for name, value in _members(live).items()}


def restore(live: object, state: Checkpoint) -> None:
    """Restores a captured state into a new object of the same class.

    Members that an older version did not have keep the values of the new object.

    Raises:
        ValueError: the state does not belong to an object of this class.
    """
    members = _members(live)
    if unknown := state.keys() - members.keys():
        raise ValueError(f"{type(live).__name__} has no members {', '.join(sorted(unknown))}")
    for name, value in state.items():
        setattr(live, name, _unpack(value, members[name]))


def monitor_in(state: Checkpoint) -> str:
    """SHA-256 of the monitor in a controller's captured state; empty if there is none."""
    found: Any = {"is": "live", "members": state}
    for name in ("operation", "policy", "monitor"):
        found = found["members"].get(name) if _has_members(found) else None
    return str(found["members"].get("sha256", "")) if _has_members(found) else ""


def _has_members(captured: Any) -> bool:
    """Whether a captured value is an object with members; a damaged one may be anything."""
    return (
        isinstance(captured, dict)
        and captured.get("is") == "live"
        and isinstance(captured.get("members"), dict)
    )


def without_newer_members(older: Checkpoint, state: Checkpoint) -> Checkpoint:
    """Removes the members that a state captured by an older version does not have.

    Args:
        older: the state captured by the older version.
        state: the state of the same object, captured by this version.
    """
    if isinstance(older, dict) and isinstance(state, dict):
        if isinstance(order := state.get("value"), goals.Order):
            return _order_without_newer_terms(older, order)
        live = "is" not in older or older["is"] == "live"
        # In the older one's order, as both are compared packed.
        names = older if live else state
        return {k: without_newer_members(older.get(k), state[k]) for k in names if k in state}
    # What was packed once has lists in place of tuples.
    both = isinstance(older, list | tuple) and isinstance(state, list | tuple)
    if both and len(older) == len(state):
        parts = [without_newer_members(a, b) for a, b in zip(older, state, strict=True)]
        return tuple(parts) if isinstance(state, tuple) else parts
    return state


def _order_without_newer_terms(older: Checkpoint, order: goals.Order) -> Checkpoint:
    """An order as the older version packed it, with the members that it had."""
    if older.get("is") == "Order":
        whole = pack_in_older_form(order)
        return {**whole, "members": {k: whole["members"][k] for k in older["members"]}}
    if isinstance(older.get("value"), dict):
        return {"is": "order", "value": {k: getattr(order, k) for k in older["value"]}}
    return {"is": "order", "value": order}


def _members(live: object) -> dict[str, Any]:
    """The members of an object, without those that Python adds."""
    return {name: value for name, value in vars(live).items() if not name.startswith("__")}


def _pack(value: Any) -> Checkpoint:
    match value:
        case Enum():
            return {"is": type(value).__name__, "value": value.value}
        case None | bool() | int() | float() | str() | bytes():
            return value
        case goals.Order():
            # Up to a thousand orders may wait: the whole record is stored, which takes little time.
            return {"is": "order", "value": value}
        case np.ndarray():
            kind = {"of": value.dtype.str, "shape": value.shape, "writable": value.flags.writeable}
            return {"is": "array", **kind, "data": value.tobytes()}
        case np.generic():
            return value.item()
        case np.random.Generator():
            state = value.bit_generator.state
            # Its integers have 128 bits.
            return {"is": "rng", "state": {k: f"{v:x}" for k, v in state["state"].items()}} | {
                k: state[k] for k in ("bit_generator", "has_uint32", "uinteger")
            }
        case list() | tuple() | deque():
            return {"is": type(value).__name__, "items": [_pack(one) for one in value]}
        case dict():
            return {"is": "dict", "items": [(_pack(k), _pack(one)) for k, one in value.items()]}
        case _ if isinstance(value, _FIXED):
            return {"is": "fixed"}
        case _ if is_dataclass(value) and type(value).__name__ in _RECORDS:
            return _pack_record(value)
        case _ if type(value).__module__.startswith(_PACKAGE) and not is_dataclass(value):
            return {"is": "live", "members": capture(value)}
    raise TypeError(f"a {type(value).__name__} cannot be part of a checkpoint")


def _pack_record(value: Any) -> Checkpoint:
    members = {f.name: _pack(getattr(value, f.name)) for f in fields(value)}
    return {"is": type(value).__name__, "members": members}


def pack_in_older_form(value: Any) -> Checkpoint:
    """Packs an order as older versions did: the members of each record."""
    if isinstance(value, _ORDER_PARTS):
        names = getattr(value, "__struct_fields__", None) or [f.name for f in fields(value)]
        members = {name: pack_in_older_form(getattr(value, name)) for name in names}
        return {"is": type(value).__name__, "members": members}
    return _pack(value)


def _unpack(packed: Checkpoint, fresh: Any) -> Any:
    """Unpacks a value; `fresh` is the new object's value, which is replaced."""
    if not isinstance(packed, dict):
        return packed
    match packed["is"]:
        case "array":
            array = np.frombuffer(packed["data"], packed["of"]).reshape(packed["shape"])
            return array.copy() if packed["writable"] else array
        case "order":
            return msgspec.convert(packed["value"], goals.Order, dec_hook=_array)
        case "rng":
            return _generator(packed)
        case "list" | "tuple" | "deque" as kind:
            place = fresh if isinstance(fresh, list | tuple | deque) else ()
            there = [*place, *[None] * len(packed["items"])]
            items = (_unpack(one, old) for one, old in zip(packed["items"], there, strict=False))
            if isinstance(fresh, deque):
                return deque(items, fresh.maxlen)
            return _SEQUENCES[kind](items)
        case "dict":
            into = fresh if isinstance(fresh, dict) else {}
            keys = [_unpack(key, None) for key, _ in packed["items"]]
            values = [value for _, value in packed["items"]]
            return {k: _unpack(v, into.get(k)) for k, v in zip(keys, values, strict=True)}
        case "fixed":
            return fresh
        case "live":
            restore(fresh, packed["members"])
            return fresh
        case name if name in _RECORDS:
            kind = _RECORDS[name]
            if issubclass(kind, Enum):
                return kind(packed["value"])
            return kind(**{k: _unpack(v, None) for k, v in packed["members"].items()})
    raise ValueError(f"a checkpoint contains a {packed['is']!r:.40}, which is not a known type")


def _array(_: Any, packed: Any) -> Array:
    """Decodes an array of an order, as packed by `inhand.controller.recording.tick_record`."""
    shape, data = packed
    return frozen_array(np.frombuffer(data, dtype="<f8").reshape(shape))


def _generator(packed: Checkpoint) -> np.random.Generator:
    bits = np.random.PCG64()
    state: dict[str, Any] = {k: packed[k] for k in ("bit_generator", "has_uint32", "uinteger")}
    # The declared type in numpy is narrower than the state that a generator uses.
    bits.state = {**state, "state": {k: int(v, 16) for k, v in packed["state"].items()}}  # type: ignore[typeddict-item]
    return np.random.Generator(bits)
