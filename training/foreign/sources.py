"""Sources of the parts of a foreign observation: linear maps of what the daemon measures.

Each source is a matrix and a bias on a tensor of the adapter: a part of the daemon's observation
(`inhand.controller.policy.observation`), or one that `adapter.py` computes or remembers.
"""

from dataclasses import dataclass

import numpy as np

from inhand.controller.errors import PolicyError
from inhand.controller.policy.observation import VERSIONS, observation_layout
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.foreign.joints import Joints
from inhand.training.foreign.policy_map import FrameMap, PartMap

JOINT_SOURCES = ("joint_position", "sent_target", "last_target")
"""Angles of all joints [rad]."""

JOINT_DIFFERENCES = ("joint_velocity", "target_error")
"""Differences of angles: speeds [rad/s]; measured angle less sent target [rad]."""

VECTORS = ("object_from_palm", "object_velocity", "object_angular_velocity")
TO_GO = ("rotation_to_go", "rotation_to_go_matrix", "rotation_to_go_axis", "rotation_to_go_vector")
ORIENTATIONS = ("object_orientation", "goal_orientation")
FINGERTIPS = ("fingertip_from_object", "fingertip_from_palm")
SCALARS = ("rotation_to_go_angle", "pose_age", "goal_tolerance")
NAMES = (
    *JOINT_SOURCES,
    *JOINT_DIFFERENCES,
    "last_action",
    *VECTORS,
    *FINGERTIPS,
    "object_attitude",
    *ORIENTATIONS,
    *TO_GO,
    *SCALARS,
    "constant",
)
"""All sources."""

QUATERNIONS = ("rotation_to_go", *ORIENTATIONS)
"""Sources that are quaternions wxyz; their real part is not negative."""

_NEEDS = {"fingertip_from_palm": "fingertip_from_object", "object_velocity": "object_from_palm"}
"""Parts of the daemon's observation from which sources of other names are computed."""


@dataclass(frozen=True)
class Source:
    """A linear map: matrix · tensor + bias.

    Attributes:
        tensor: its name; empty: the bias alone.
        matrix: (size, size of the tensor).
        bias: (size,).
    """

    tensor: str
    matrix: Array
    bias: Array


def version_for(hand: Hand, parts: list[PartMap]) -> int:
    """The oldest version of the daemon's observation that has all that these parts need."""
    known = {
        version: {part[0] for part in observation_layout(hand, version)} for version in VERSIONS
    }
    wanted = {_NEEDS.get(source_name(part), source_name(part)) for part in parts}
    wanted &= known[VERSIONS[-1]]
    return next(version for version in VERSIONS if wanted <= known[version])


def source_name(part: PartMap) -> str:
    """The name of a part's source."""
    return part.source or part.name


def source_of(part: PartMap, hand: Hand, joints: Joints, frame: FrameMap) -> Source:
    """What a part is made of, before it is selected and scaled.

    Raises:
        PolicyError: there is no such source, or it has no such option.
    """
    name = source_name(part)
    if name not in NAMES:
        raise PolicyError(
            f"part {part.name!r}: no source {name!r:.40}; there are {', '.join(NAMES)}"
        )
    if part.inverse and name not in TO_GO:
        raise PolicyError(f"part {part.name!r}: only a rotation to go has an inverse, not {name}")
    if part.normalized and name not in (*JOINT_SOURCES, *JOINT_DIFFERENCES):
        raise PolicyError(f"part {part.name!r}: only joints can be normalized, not {name}")
    if part.value and name != "constant":
        raise PolicyError(f"part {part.name!r}: only the source constant has a `value`, not {name}")
    if name == "constant" and not part.value:
        raise PolicyError(f"part {part.name!r}: the source constant needs a `value`, a list")
    if name == "constant":
        return Source("", np.zeros((len(part.value), 0)), np.array(part.value))
    if name in (*JOINT_SOURCES, *JOINT_DIFFERENCES):
        return _of_joints(name, part, joints)
    matrix = _matrix(name, part.inverse, hand, frame, len(joints.names))
    return Source(name, matrix, np.zeros(len(matrix)))


def _of_joints(name: str, part: PartMap, joints: Joints) -> Source:
    matrix = joints.matrix
    bias = joints.offsets if name in JOINT_SOURCES else np.zeros(len(joints.names))
    if part.normalized:
        lower, upper = joints.range
        factor = 2.0 / (upper - lower)
        matrix = factor[:, None] * matrix
        middle = (lower + upper) / 2 if name in JOINT_SOURCES else 0.0
        bias = factor * (bias - middle)
    return Source(name, matrix, bias)


def _matrix(name: str, inverse: bool, hand: Hand, frame: FrameMap, action_size: int) -> Array:
    world, thing = _unit(frame.world), _unit(frame.object)
    turned, own = rotations.to_matrix(world), rotations.to_matrix(thing)
    found: Array
    match name:
        case "last_action":
            found = np.eye(action_size)
        case "object_from_palm" | "object_velocity" | "object_angular_velocity":
            found = turned
        case "fingertip_from_object" | "fingertip_from_palm":
            found = np.asarray(np.kron(np.eye(len(hand.fingertips)), turned), np.float64)
        case "object_attitude":
            # F·A·G in rows is (F ⊗ Gᵀ) times A in rows.
            found = np.asarray(np.kron(turned, own.T), np.float64)
        case "object_orientation" | "goal_orientation":
            found = _left(world) @ _right(thing)
        case "rotation_to_go":
            found = _left(world) @ _right(rotations.conjugate(world))
            found = found @ np.diag([1.0, -1.0, -1.0, -1.0]) if inverse else found
        case "rotation_to_go_matrix":
            found = np.asarray(np.kron(turned, turned), np.float64)
            found = found[np.arange(9).reshape(3, 3).T.ravel()] if inverse else found
        case "rotation_to_go_axis" | "rotation_to_go_vector":
            found = -turned if inverse else turned
        case _:
            found = np.eye(1)
    return found


def _unit(quaternion: tuple[float, float, float, float]) -> Array:
    given = np.array(quaternion)
    return np.asarray(given / np.linalg.norm(given))


def _left(q: Array) -> Array:
    """The matrix of p → q · p."""
    return np.stack([rotations.multiply(q, one) for one in np.eye(4)], axis=1)


def _right(q: Array) -> Array:
    """The matrix of p → p · q."""
    return np.stack([rotations.multiply(one, q) for one in np.eye(4)], axis=1)
