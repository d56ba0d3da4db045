"""Actuators of a compiled model, with their couplings, gains, torque limits and rest pose."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from inhand.hardware.dynamixel.models import MODELS
from inhand.hardware.errors import DescriptionError
from inhand.training.mujoco_worlds.import_choices import Choices
from inhand.training.mujoco_worlds.source_couplings import Coupling, joint_name, tendon_lever
from inhand.training.mujoco_worlds.source_loads import joint_loads

GAIN = 1.0
"""Least gain that is assumed [N·m/rad]."""
TORQUE = 0.5
"""Least torque limit that is assumed [N·m]."""
SAG = 0.1
"""How far a joint with an assumed gain sinks under the weight of its links at most [rad]."""
RESERVE = 2.0
"""An assumed torque limit is this many times what the links weigh at most."""
MOST_SAG = 0.3
"""A joint that sinks further is named [rad]."""
MOST_EFFORT = 50.0
"""Makers write 1000 or so for no limit [N·m]."""


def actuators_of(
    model: mujoco.MjModel,
    ranges: dict[str, list[float]],
    coupled: Sequence[Coupling],
    choices: Choices,
    notes: list[str],
) -> list[dict[str, Any]]:
    if choices.servo_model and choices.servo_model not in MODELS:
        raise DescriptionError(
            f"servo model {choices.servo_model} is not known here; known are {', '.join(MODELS)}"
        )
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
    loads = joint_loads(model, choices.turn, coupled)
    actuators: list[dict[str, Any]] = []
    for joint, (low, high) in ranges.items():
        if joint in following:
            continue
        gain, torque = _strength(model, driven.get(joint), joint, loads[joint], choices, notes)
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
    drive: tuple[int, float] | None,
    joint: str,
    load: float,
    choices: Choices,
    notes: list[str],
) -> tuple[float, float]:
    """Gain [N·m/rad] and torque limit [N·m] of an actuator.

    Args:
        model: the compiled model.
        drive: number of its actuator, and the turn of that per turn of the joint; None: there is
            no actuator.
        joint: its name.
        load: largest weight that it must carry [N·m].
        choices: what no model says.
        notes: gets what is assumed, and whether the actuator is too weak for its links.
    """
    gain, limits = 0.0, _efforts(model, _number_of(model, joint), joint, notes)
    if drive is not None:
        number, lever = drive
        gear = abs(float(model.actuator_gear[number, 0]) * lever)
        # MuJoCo's position servo compares its setpoint with gear times the joint's angle.
        gain = -float(model.actuator_biasprm[number, 1]) * gear**2
        if model.actuator_forcelimited[number]:
            limits.append(float(np.abs(model.actuator_forcerange[number]).max()) * gear)
    elif choices.torque_limit is not None:
        limits = []
    assumed, why = [], ""
    if gain <= 0:
        why = ", as it is no position servo,"
        gain = choices.gain or max(GAIN, _rounded_up(load / SAG))
        assumed.append(f"gain {gain:g} N·m/rad")
    torque = min(limits, default=choices.torque_limit or max(TORQUE, _rounded_up(RESERVE * load)))
    if not limits:
        assumed.append(f"torque limit {torque:g} N·m")
    elif drive is None:
        notes.append(f"torque limit {torque:g} N·m, the effort that the model allows, of {joint}")
    if assumed:
        why = ", as the model has no actuator," if drive is None else why
        notes.append(f"assumed: {' and '.join(assumed)}{why} of {joint}")
    if torque > (most := _most_torque(choices.servo_model)):
        notes.append(
            f"approximated: torque limit {torque:g} → {most:g} N·m, the most of "
            f"{choices.servo_model or 'all servos that simulation has'}, of {joint}"
        )
        torque = most
    if torque < load:
        notes.append(
            f"too weak: the links weigh up to {load:.2g} N·m about the joint, more than the torque "
            f"limit of {joint}"
        )
    elif load / gain > MOST_SAG:
        notes.append(
            f"soft: under the weight of its links, up to {load:.2g} N·m, it sinks by "
            f"{load / gain:.2g} rad; its gain is small, that of {joint}"
        )
    return gain, torque


def _most_torque(servo_model: str) -> float:
    """Of a servo model, or of the strongest one that can limit its torque [N·m], rounded down."""
    models = [MODELS[servo_model]] if servo_model else MODELS.values()
    most = max(model.most_torque for model in models if servo_model or model.current_control)
    return float(np.floor(1000 * most) / 1000)


def _number_of(model: mujoco.MjModel, joint: str) -> int:
    """Number of a joint in the model, also of one without a name there."""
    return next(at for at in range(model.njnt) if joint_name(model, at) == joint)


def _efforts(model: mujoco.MjModel, at: int, joint: str, notes: list[str]) -> list[float]:
    """The torque that the model allows a joint [N·m], such as a URDF's effort; empty for none."""
    if not model.jnt_actfrclimited[at]:
        return []
    effort = float(np.abs(model.jnt_actfrcrange[at]).max())
    if effort > MOST_EFFORT:
        notes.append(f"left out: the effort of {effort:g} N·m, which no hand has, of {joint}")
        return []
    return [effort]


def _rounded_up(value: float) -> float:
    """To two digits."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / step) * step)
