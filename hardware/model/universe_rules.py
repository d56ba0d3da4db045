"""Validity rules of universe fields: ranges of values, and array sizes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from inhand.hardware.model.hand import Hand

_POSITIVE = ("object_size", "object_mass", "friction", "shape_radius")
_NOT_NEGATIVE = (
    "link_mass",
    "joint_damping",
    "joint_friction",
    "stiction",
    "actuator_gain",
    "torque_limit",
    "backlash",
    "compliance",
    "torsional_friction",
    "contact_softness",
    "contact_rebound",
    "action_delay",
    "action_latency",
    "control_jitter",
    "pause_rate",
    "pause_time",
    "push_rate",
    "push_acceleration",
    "joint_noise",
    "position_noise",
    "rotation_noise",
    "joint_latency",
    "pose_latency",
    "pose_interval",
    "pose_dropout",
    "pose_freeze",
    "pose_outlier",
    "camera_shift",
    "camera_focal",
)


def problem(values: Mapping[str, Any]) -> str:
    """Message about the first invalid value; empty if all are valid.

    Args:
        values: of a universe, by field name.
    """
    for name in _POSITIVE:
        if not min(np.atleast_1d(values[name]), default=1.0) > 0:
            return f"{name} must be positive"
    for name in _NOT_NEGATIVE:
        if not min(np.atleast_1d(values[name]), default=0.0) >= 0:
            return f"{name} must not be negative"
    for name, value in values.items():
        if not isinstance(value, float | tuple) or np.isfinite(value).all():
            continue
        return f"{name} must be finite"
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


def sizes(hand: Hand) -> dict[str, int]:
    """Number of values of the fields of joints and servos, by field name."""
    joints, actuators = hand.n_joints, hand.n_actuators
    return {
        "link_mass": joints,
        "joint_damping": joints,
        "joint_friction": joints,
        "limit_offset": 2 * joints,
        "stiction": joints,
        "link_length": joints,
        "shape_radius": joints,
        "actuator_gain": actuators,
        "torque_limit": actuators,
        "backlash": actuators,
        "compliance": actuators,
        "action_delay": actuators,
    }
