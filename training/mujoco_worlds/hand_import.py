"""Converts a compiled MuJoCo model of a hand to a hand file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from inhand.hardware.model.hand import parse_hand
from inhand.hardware.model.hand_doubts import doubts
from inhand.hardware.model.hand_text import hand_text
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.shape_gap import shape_gap
from inhand.hardware.model.solids import inertia_values
from inhand.hardware.model.turning import axis_angle_matrix, matrix_rpy
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.mujoco_worlds.import_choices import Choices
from inhand.training.mujoco_worlds.source_actuators import actuators_of
from inhand.training.mujoco_worlds.source_bodies import ROOT, anchor, body_name, free_name
from inhand.training.mujoco_worlds.source_couplings import (
    couplings,
    joint_name,
)
from inhand.training.mujoco_worlds.source_fingers import add_tips, collision_groups
from inhand.training.mujoco_worlds.source_shapes import drawing_of, shapes_of

OBJECT_RADIUS = 0.05
"""Free of shapes around the object's start: the block's corners are 48 mm from its middle [m]."""
FIRST_HEIGHT, HIGHEST = 0.06, 0.5
"""Heights of an assumed start above the middle of the fingers [m]."""
_SOMEWHERE = {
    "object_start": [0.0, 0.0, 0.0],
    "center": [0.0, 0.0, 0.0],
    "radius": 0.12,
    "drop_height": 0.0,
}


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
    root = free_name(model, ROOT)
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
    tips = add_tips(model, links, notes)
    content: dict[str, Any] = {
        "name": choices.name,
        "schema": 1,
        "root": root,
        "workspace": dict(_SOMEWHERE),
        "collision_groups": collision_groups(links, tips),
        "fixed_links": fixed,
        "links": links,
        "actuators": actuators_of(model, ranges, coupled, choices, notes),
    }
    content["workspace"] = _workspace(content, choices, notes)
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


def _workspace(content: dict[str, Any], choices: Choices, notes: list[str]) -> dict[str, Any]:
    """Where the object is held, unless it was chosen: above the middle of the fingers.

    In whichever way it is turned there, it touches no shape of the hand at rest: an engine would
    throw both apart.
    """
    hand = parse_hand(hand_text(content, []).encode(), Path(f"{choices.name}.toml"))
    _, places = link_poses(hand, hand.joint_angles(hand.rest))
    if choices.object_start is None:
        heights = np.arange(FIRST_HEIGHT, HIGHEST, 0.002)
        above = places.mean(axis=0) + np.outer(heights, [0.0, 0.0, 1.0])
        free = shape_gap(hand, hand.rest, above) >= OBJECT_RADIUS
        start = above[int(np.argmax(free))] if free.any() else above[-1]
        notes.append(
            "assumed: the workspace, above the middle of the fingers; set it for your hand"
        )
    else:
        start = np.array(choices.object_start)
    notes += doubts(hand, start, choices.turn)
    return {
        "object_start": start.tolist(),
        "center": list(choices.center or (start - [0.0, 0.0, 0.01]).tolist()),
        "radius": 0.12,
        "drop_height": float(min(places[:, 2].min(), start[2]) - 0.06),
    }
