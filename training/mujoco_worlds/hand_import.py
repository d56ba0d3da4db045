"""A hand file from a compiled model of others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.solids import inertia_values
from inhand.hardware.model.turning import axis_angle_matrix, matrix_rpy, rpy_matrix
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.mujoco_worlds.source_couplings import (
    Coupling,
    couplings,
    joint_name,
    tendon_lever,
)
from inhand.training.mujoco_worlds.source_shapes import drawing_of, shapes_of

ROOT, MOUNT = "base", "mount"


@dataclass(frozen=True)
class Choices:
    """What no model says.

    Attributes:
        name: of the hand.
        turn: roll, pitch, yaw of the model's base in the world, palm up [rad].
        object_start: where the object is put, world frame [m]; None is above the fingers' middle.
        servo_model: model of all servos; empty makes a hand for simulation only.
        first_id: of the servos; the others count up in the order of actuators.
        ids: servo ids by joint, in place of counting.
        reversed: joints whose servo turns the other way.
        rest: rest pose by joint [rad]; else that of the model's first keyframe, else zero.
        damping: of joints without any [N·m·s/rad].
        armature: of joints without any [kg·m²]: light links on a stiff servo without a rotor shake
            in simulation.
        gain: of joints without an actuator [N·m/rad].
        torque_limit: of actuators without one [N·m].
        velocity_limit: of all actuators [rad/s].
        acceleration_limit: of all actuators [rad/s²].
    """

    name: str
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    object_start: tuple[float, float, float] | None = None
    servo_model: str = ""
    first_id: int = 0
    ids: Mapping[str, int] = field(default_factory=dict)
    reversed: Sequence[str] = ()
    rest: Mapping[str, float] = field(default_factory=dict)
    damping: float = 0.1
    armature: float = 0.001
    gain: float = 1.0
    torque_limit: float = 0.5
    velocity_limit: float = 8.0
    acceleration_limit: float = 300.0


@dataclass
class Imported:
    """A hand file's content, and what was left out, approximated or assumed.

    Attributes:
        content: as in the file.
        notes: in words.
        drawings: triangles in link frames [m], (n, 3, 3), by the name of their file.
    """

    content: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    drawings: dict[str, Array] = field(default_factory=dict)

    def leave_out_drawings(self) -> None:
        """Leaves all meshes out."""
        self.drawings.clear()
        for part in (*self.content["fixed_links"], *self.content["links"]):
            part.pop("drawings", None)


def import_hand(model: mujoco.MjModel, choices: Choices) -> Imported:
    """The content of a hand file that describes the model."""
    notes: list[str] = []
    drawings: dict[str, Array] = {}
    links: list[dict[str, Any]] = []
    root = _free_name(model, ROOT)
    mount: dict[str, Any] = {
        "name": body_name(model, 0),
        "parent": root,
        "rpy": list(choices.turn),
    }
    if shapes := shapes_of(model, 0, np.zeros(3), notes):
        mount["shapes"] = shapes
    fixed = [mount]
    for body in range(1, model.nbody):
        part = _part(model, body, notes)
        if len(triangles := drawing_of(model, body, anchor(model, body))):
            file = f"{choices.name}-meshes/{_file_name(part['name'])}.stl"
            drawings[file] = triangles
            part["drawings"] = [{"file": file}]
        (links if "joint" in part else fixed).append(part)
    for link in links:
        if not link["damping"]:
            link["damping"] = choices.damping
            notes.append(f"assumed: damping {choices.damping} N·m·s/rad of {link['joint']}")
        if not link["armature"]:
            link["armature"] = choices.armature
            notes.append(f"assumed: armature {choices.armature} kg·m² of {link['joint']}")
    coupled = couplings(model, notes)
    ranges = {link["joint"]: link["range"] for link in links}
    for coupling in coupled:
        coupling.narrow(ranges, notes)
    tips = _add_tips(model, links, notes)
    content: dict[str, Any] = {
        "name": choices.name,
        "schema": 1,
        "root": root,
        "workspace": {},
        "collision_groups": _groups(links, tips),
        "fixed_links": fixed,
        "links": links,
        "actuators": _actuators(model, ranges, coupled, choices, notes),
    }
    content["workspace"] = _workspace(model, choices, tips, notes)
    if model.jnt_stiffness.any():
        notes.append("left out: springs of joints (stiffness)")
    if model.ntendon:
        notes.append(f"left out: {model.ntendon} tendons, except for the couplings above")
    return Imported(content, together(notes, [link["joint"] for link in links]), drawings)


def together(notes: Sequence[str], joints: Sequence[str] = ()) -> list[str]:
    """Notes that differ only in the part they end with, such as a joint, in one line.

    Args:
        notes: in words.
        joints: all joints of the hand.
    """
    ends: dict[str, list[str]] = {}
    for note in notes:
        start, sign, end = note.rpartition(" of ")
        if sign and " " not in end:
            names = ends.setdefault(start + sign, [])
            names += [end] if end not in names else []
        else:
            ends[note] = []
    return [
        start + ("all joints" if len(joints) > 1 and names == list(joints) else ", ".join(names))
        for start, names in ends.items()
    ]


def _file_name(part: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in part)


def body_name(model: mujoco.MjModel, body: int) -> str:
    """Name of a body; one without a name gets one by its number."""
    if body == 0:
        return _free_name(model, MOUNT)
    return str(model.body(body).name or f"body{body}")


def _free_name(model: mujoco.MjModel, name: str) -> str:
    """The name, or one like it if a body of the model has it."""
    taken = {model.body(body).name for body in range(1, model.nbody)}
    while name in taken:
        name = f"{name}_of_hand"
    return name


def anchor(model: mujoco.MjModel, body: int) -> Array:
    """Where a body's joint is, body frame [m], (3,): the origin of its link's frame."""
    if not model.body_jntnum[body]:
        return np.zeros(3)
    place: Array = model.jnt_pos[model.body_jntadr[body]].copy()
    return place


def _part(model: mujoco.MjModel, body: int, notes: list[str]) -> dict[str, Any]:
    parent = int(model.body_parentid[body])
    turn = rotations.to_matrix(model.body_quat[body])
    shift = anchor(model, body)
    origin = model.body_pos[body] + turn @ shift - anchor(model, parent)
    own = rotations.to_matrix(model.body_iquat[body])
    part: dict[str, Any] = {
        "name": body_name(model, body),
        "parent": body_name(model, parent),
        "origin": origin.tolist(),
    }
    if model.body_jntnum[body]:
        joint = int(model.body_jntadr[body])
        axis = model.jnt_axis[joint]
        # At angle zero, the source has turned the joint back by its reference angle.
        turn = turn @ axis_angle_matrix(axis, np.array(-model.qpos0[joint]))
        dof = int(model.jnt_dofadr[joint])
        part |= {
            "joint": joint_name(model, joint),
            "axis": axis.tolist(),
            "range": model.jnt_range[joint].tolist(),
            "rotor_inertia": 0.0,
            "armature": float(model.dof_armature[dof]),
            "damping": float(np.ravel(model.dof_damping[dof])[0]),
            "friction": float(model.dof_frictionloss[dof]),
        }
    part["rpy"] = list(matrix_rpy(turn))
    part["mass"] = float(model.body_mass[body])
    if model.body_mass[body]:
        part["center"] = (model.body_ipos[body] - shift).tolist()
        tensor = own @ np.diag(model.body_inertia[body]) @ own.T
        # A fixed body may be a point.
        if model.body_inertia[body].max() > 1e-15:
            part["inertia"] = list(inertia_values((tensor + tensor.T) / 2))
    if shapes := shapes_of(model, body, shift, notes):
        part["shapes"] = shapes
    return part


def _add_tips(
    model: mujoco.MjModel, links: Sequence[dict[str, Any]], notes: list[str]
) -> list[dict[str, Any]]:
    """Gives the last link of each finger a fingertip; returns these links."""
    inner = {link["parent"] for link in links}
    # A finger may end in fixed bodies.
    last = [link for link in links if link["name"] not in _carriers(model, inner)]
    for link in last:
        body = next(b for b in range(1, model.nbody) if body_name(model, b) == link["name"])
        places = [*_outer_places(model, body, np.eye(3), -anchor(model, body))]
        places.append(np.array(link.get("center", (0.0, 0.0, 0.0))))
        link["tip"] = max(places, key=lambda place: float(np.linalg.norm(place))).tolist()
    notes.append(
        "assumed: fingertips at the outermost site or shape of "
        + ", ".join(link["name"] for link in last)
    )
    return last


def _outer_places(model: mujoco.MjModel, body: int, turn: Array, origin: Array) -> Iterator[Array]:
    """Places of sites and colliding shapes of a body, and of bodies that are fixed to it.

    Args:
        model: the compiled model.
        body: its number.
        turn: of the body in the link's frame, (3, 3).
        origin: of the body in the link's frame [m], (3,).
    """
    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    for place in (
        *model.site_pos[model.site_bodyid == body],
        *model.geom_pos[(model.geom_bodyid == body) & collides],
    ):
        yield origin + turn @ place
    for below in np.flatnonzero(model.body_parentid == body).tolist():
        if below and not model.body_jntnum[below]:
            own = turn @ rotations.to_matrix(model.body_quat[below])
            yield from _outer_places(model, below, own, origin + turn @ model.body_pos[below])


def _carriers(model: mujoco.MjModel, inner: set[str]) -> set[str]:
    """Names of bodies with a moving link below them, at any depth."""
    above: set[str] = set()
    for body in range(1, model.nbody):
        if model.body_jntnum[body]:
            at = int(model.body_parentid[body])
            while at:
                above.add(body_name(model, at))
                at = int(model.body_parentid[at])
    return above | inner


def _groups(
    links: Sequence[dict[str, Any]], tips: Sequence[dict[str, Any]]
) -> dict[str, list[str]]:
    """The last two links of each finger collide with those of the others."""
    children = {link["name"]: link for link in links}
    parents = [link["parent"] for link in links]
    groups = {}
    for tip in tips:
        before = children.get(tip["parent"])
        alone = before is not None and parents.count(before["name"]) == 1
        groups[tip["name"]] = [
            *([before["name"]] if alone and before is not None else []),
            tip["name"],
        ]
    return groups


def _actuators(
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


def _workspace(
    model: mujoco.MjModel, choices: Choices, tips: Sequence[dict[str, Any]], notes: list[str]
) -> dict[str, Any]:
    """Where the object is held: above the middle of the fingers, unless it was chosen."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    turn = rpy_matrix(choices.turn)
    moving = np.flatnonzero(model.body_jntnum)
    places = data.xpos[moving] @ turn.T
    start = places.mean(axis=0) + [0.0, 0.0, 0.06]
    if choices.object_start is None:
        notes.append(
            "assumed: the workspace, above the middle of the fingers; set it for your hand"
        )
    else:
        start = np.array(choices.object_start)
    return {
        "object_start": start.tolist(),
        "center": (start - [0.0, 0.0, 0.01]).tolist(),
        "radius": 0.12,
        "drop_height": float(min(places[:, 2].min(), start[2]) - 0.06),
    }
