"""Validity rules of universe fields; each field states its own by marks in its annotation."""

from functools import cache
from typing import Any, get_type_hints

import msgspec
import numpy as np

from inhand.hardware.model.hand import Hand

POSITIVE = "positive"
NOT_NEGATIVE = "not negative"
"""Bounds of a field, or of each of its values."""

PER_JOINT, PER_LIMIT, PER_ACTUATOR = "per joint", "per joint limit", "per actuator"
"""A field has one value for each of these, or none."""

FACTOR, SECONDS, METRES, RADIANS = "factor", "s", "m", "rad"
"""Unit of a field."""

MOST = {FACTOR: 20.0, SECONDS: 10.0, METRES: 1.0, RADIANS: np.pi}
"""Largest values of the units: what lies beyond was given in another one."""

SENSED = "sensed"
"""A field changes what is measured; all others change the physics."""


@cache
def fields_with(kind: type, mark: str) -> tuple[str, ...]:
    """The fields of a record whose annotation has a mark, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name, hint in hints.items() if mark in getattr(hint, "__metadata__", ()))


def problem(universe: msgspec.Struct) -> str:
    """Message about the first invalid value of a universe; empty if all are valid."""
    values: dict[str, Any] = msgspec.structs.asdict(universe)
    for name in fields_with(type(universe), POSITIVE):
        if not min(np.atleast_1d(values[name]), default=1.0) > 0:
            return f"{name} must be positive"
    for name in fields_with(type(universe), NOT_NEGATIVE):
        if not min(np.atleast_1d(values[name]), default=0.0) >= 0:
            return f"{name} must not be negative"
    for name, value in values.items():
        if isinstance(value, float | tuple) and not np.isfinite(value).all():
            return f"{name} must be finite"
    for unit, most in MOST.items():
        for name in fields_with(type(universe), unit):
            if (far := max(np.atleast_1d(np.abs(values[name])), default=0.0)) > most:
                kind = "is a factor" if unit == FACTOR else f"is in {unit}"
                return f"{name} {kind}; {far:g} is more than {most:.4g}"
    for name in ("pose_dropout", "pose_outlier"):
        if not values[name] <= 1:
            return f"{name} is a probability, at most 1"
    if not values["contact_rebound"] < 1:
        return "contact_rebound must be below 1"
    if values["contact_rebound"] and not values["contact_softness"]:
        return "contact_rebound needs contact_softness: a rigid contact does not bounce"
    for name in ("mujoco", "pybullet"):
        if not (values[name].timestep > 0 and values[name].iterations >= 1):
            return f"[{name}] timestep must be positive, iterations at least 1"
    drake = values["drake"]
    if not (drake.timestep > 0 and drake.modulus > 0 and drake.edge_radius >= 0):
        return "[drake] timestep and modulus must be positive, edge_radius not negative"
    return ""


def sizes(kind: type, hand: Hand) -> dict[str, int]:
    """Number of values of the fields of joints and servos, by field name.

    Args:
        kind: the record of a universe.
        hand: whose joints and servos they are.
    """
    counts = {
        PER_JOINT: hand.n_joints,
        PER_LIMIT: 2 * hand.n_joints,
        PER_ACTUATOR: hand.n_actuators,
    }
    return {name: n for mark, n in counts.items() for name in fields_with(kind, mark)}
