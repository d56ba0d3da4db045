"""Actuators of a compiled model, with their couplings, gains, torque limits and rest pose."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from inhand.hardware.errors import DescriptionError
from inhand.training.mujoco_worlds.import_choices import Choices
from inhand.training.mujoco_worlds.source_couplings import Coupling, joint_name, tendon_lever


def actuators_of(
    model: mujoco.MjModel,
    ranges: dict[str, list[float]],
    coupled: Sequence[Coupling],
    choices: Choices,
    notes: list[str],
) -> list[dict[str, Any]]:
    following = {coupling.following for coupling in coupled}
    driven: dict[str, tuple[int, float]] = {}
    for number in range(model.nu):
        target = int(model.actuator_trnid[number, 0])
        if model.actuator_trntype[number] == mujoco.mjtTrn.mjTRN_JOINT:
            driven[joint_name(model, target)] = number, 1.0
            continue
        leading, lever = "", 0.0
        if model.actuator_trntype[number] == mujoco.mjtTrn.mjTRN_TENDON:
            leading, lever = tendon_lever(model, target)
        if any(coupling.leading == leading for coupling in coupled):
            driven[leading] = number, lever
        else:
            notes.append(f"left out: actuator {model.actuator(number).name}, not on a joint")
    rest = _rest(model, choices, notes)
    actuators: list[dict[str, Any]] = []
    for joint, (low, high) in ranges.items():
        if joint in following:
            continue
        gain, torque = choices.gain, choices.torque_limit
        if joint in driven:
            gain, torque = _strength(model, *driven[joint], joint, choices, notes)
        else:
            notes.append(
                f"assumed: gain {gain} N·m/rad and torque limit {torque} N·m, as the model has no "
                f"actuator, of {joint}"
            )
        own = [coupling for coupling in coupled if coupling.leading == joint]
        actuator: dict[str, Any] = {
            "name": joint,
            "joints": [joint, *(coupling.following for coupling in own)],
            "rest": min(max(rest[joint], low), high),
            "gain": gain,
            "torque_limit": torque,
            "velocity_limit": choices.velocity_limit,
            "acceleration_limit": choices.acceleration_limit,
        }
        if own:
            actuator["ratios"] = [1.0, *(coupling.ratio for coupling in own)]
            actuator["offsets"] = [0.0, *(coupling.offset for coupling in own)]
        if choices.servo_model:
            actuator["servo"] = {
                "id": choices.ids.get(joint, choices.first_id + len(actuators)),
                "sign": -1 if joint in choices.reversed else 1,
                "zero": 0.0,
                "model": choices.servo_model,
            }
        actuators.append(actuator)
    return actuators


def _rest(model: mujoco.MjModel, choices: Choices, notes: list[str]) -> dict[str, float]:
    """Rest pose by joint [rad]."""
    names = [joint_name(model, joint) for joint in range(model.njnt)]
    given = (*choices.rest, *choices.ids, *choices.reversed)
    if unknown := [name for name in given if name not in names]:
        raise DescriptionError(
            f"the model has no joint {', '.join(unknown)}; it has {', '.join(names)}"
        )
    pose = np.zeros(model.nq)
    if model.nkey:
        pose = model.key_qpos[0]
        notes.append(f"rest pose: the model's keyframe {model.key(0).name}".rstrip())
    elif not choices.rest:
        notes.append("assumed: rest pose, zero or the end of the range that is nearest to it")
    return dict(zip(names, pose.tolist(), strict=True)) | dict(choices.rest)


def _strength(
    model: mujoco.MjModel,
    number: int,
    lever: float,
    joint: str,
    choices: Choices,
    notes: list[str],
) -> tuple[float, float]:
    """Gain [N·m/rad] and torque limit [N·m] of an actuator; `lever` is its pull per turn."""
    gear = abs(float(model.actuator_gear[number, 0]) * lever)
    # MuJoCo's position servo compares its setpoint with gear times the joint's angle.
    gain = -float(model.actuator_biasprm[number, 1]) * gear**2
    if gain <= 0:
        gain = choices.gain
        notes.append(f"assumed: gain {gain} N·m/rad, as it is no position servo, of {joint}")
    limits = []
    if model.actuator_forcelimited[number]:
        limits.append(float(np.abs(model.actuator_forcerange[number]).max()) * gear)
    if model.jnt_actfrclimited[model.joint(joint).id]:
        limits.append(float(np.abs(model.jnt_actfrcrange[model.joint(joint).id]).max()))
    if not limits:
        notes.append(f"assumed: torque limit {choices.torque_limit} N·m of {joint}")
    return gain, min(limits, default=choices.torque_limit)
