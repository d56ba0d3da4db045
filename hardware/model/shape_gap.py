"""How far points are from the shapes of a hand."""

from collections.abc import Iterator

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Shape
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.records import Array


def shape_gap(hand: Hand, angles: Array, points: Array) -> Array:
    """Distance of each point from the nearest surface of the hand; inf for a hand without shapes.

    Args:
        hand: the hand.
        angles: of the actuators [rad], (n_actuators,).
        points: world frame [m], (n, 3).

    Returns:
        [m], (n,); negative inside of a shape.
    """
    gaps = [_distance(shape, points, *pose) for shape, pose in _placed(hand, angles)]
    nearest: Array = np.min(gaps, axis=0) if gaps else np.full(len(points), np.inf)
    return nearest


def _placed(hand: Hand, angles: Array) -> Iterator[tuple[Shape, tuple[Array, Array]]]:
    """Shapes with the turn, (3, 3), and the place, (3,), of the frame that they are given in."""
    for shape in hand.root_shapes:
        yield shape, (np.eye(3), np.zeros(3))
    turns, places = link_poses(hand, hand.joint_angles(angles))
    for link, turn, place in zip(hand.links, turns, places, strict=True):
        for shape in link.shapes:
            yield shape, (turn, place)


def _distance(shape: Shape, points: Array, turn: Array, place: Array) -> Array:
    """Signed distance of points, (n, 3), from the surface of a shape [m], (n,)."""
    own = turn @ rpy_matrix(shape.rpy)
    inner = np.abs((points - place - turn @ np.array(shape.position)) @ own)
    if shape.kind == "sphere":
        away: Array = np.linalg.norm(inner, axis=1) - shape.size[0]
        return away
    across = np.linalg.norm(inner[:, :2], axis=1)
    if shape.kind == "capsule":
        radius, half = shape.size
        along = np.maximum(inner[:, 2] - half, 0.0)
        rounded: Array = np.hypot(across, along) - radius
        return rounded
    beyond = (
        np.stack([across, inner[:, 2]], axis=1) if shape.kind == "cylinder" else inner
    ) - np.array(shape.size)
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    inside = np.minimum(beyond.max(axis=1), 0.0)
    total: Array = outside + inside
    return total
