"""The object as nodes of the page's scene: estimated, measured, true and goal pose."""

import numpy as np
from numpy.typing import NDArray
from viser import MeshHandle, SceneApi

from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.perception.tags import tag_image

_COLOURS = (
    (214, 79, 79),
    (235, 146, 75),
    (236, 200, 82),
    (118, 183, 90),
    (76, 158, 200),
    (150, 111, 190),
    (200, 110, 160),
    (120, 190, 190),
    (170, 140, 100),
    (140, 150, 170),
)
_LIFT = 2e-4
"""Distance of a tag above its face, against flicker [m]."""


def add_solid(
    scene: SceneApi, path: str, target: ObjectDescription, *, opacity: float | None = None
) -> None:
    """Adds the object with a colour a face."""
    for number, normal in enumerate(target.faces.values()):
        vertices, faces = face_mesh(target, normal)
        scene.add_mesh_simple(
            f"{path}/face{number}",
            vertices,
            faces,
            color=face_colour(number),
            opacity=opacity,
            side="double",
            cast_shadow=False,
            receive_shadow=False,
        )


def add_tags(scene: SceneApi, path: str, target: ObjectDescription) -> None:
    """Adds the object's tags."""
    # The page draws an image with its own up along the node's -y, as a camera sees it.
    flip = rotations.exp(np.array([np.pi, 0.0, 0.0]))
    for tag in target.tags:
        out = rotations.rotate(tag.quaternion, np.array([0.0, 0.0, _LIFT]))
        upright = np.rot90(tag_image(tag.id, 8), 2 if target.upside_down else 0)
        image = np.repeat(upright[..., None], 3, axis=-1)
        scene.add_image(
            f"{path}/tag{tag.id}",
            image,
            tag.size,
            tag.size,
            format="png",
            cast_shadow=False,
            receive_shadow=False,
            position=tag.position + out,
            wxyz=rotations.multiply(tag.quaternion, flip),
        )


def add_edges(
    scene: SceneApi, path: str, target: ObjectDescription, colour: tuple[int, int, int]
) -> None:
    """Adds only the object's edges."""
    pieces = []
    for normal in target.faces.values():
        ring = face_ring(target, normal)
        pieces.append(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1))
    scene.add_line_segments(f"{path}/edges", np.concatenate(pieces), colour)


def add_ellipsoid(scene: SceneApi, path: str) -> MeshHandle:
    """Adds a sphere of radius 1 m, to be scaled."""
    ring = np.linspace(0, 2 * np.pi, 25)[:-1]
    bands = np.linspace(0, np.pi, 13)
    polar, around = np.meshgrid(bands, ring, indexing="ij")
    points = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1
    )
    index = np.arange(polar.size).reshape(polar.shape)
    right = np.roll(index, -1, axis=1)
    low = np.stack([index[:-1], index[1:], right[1:]], axis=-1).reshape(-1, 3)
    high = np.stack([index[:-1], right[1:], right[:-1]], axis=-1).reshape(-1, 3)
    return scene.add_mesh_simple(
        path,
        points.reshape(-1, 3).astype(np.float32),
        np.concatenate([low, high]).astype(np.uint32),
        color=(90, 200, 255),
        opacity=0.35,
        scale=1e-3,
        cast_shadow=False,
        receive_shadow=False,
    )


def face_colour(number: int) -> tuple[int, int, int]:
    """The colour of a face: red, green, blue, 0 to 255."""
    return _COLOURS[number % len(_COLOURS)]


def face_ring(target: ObjectDescription, normal: Array) -> Array:
    """Corners of a face in order about its normal, object frame [m], (n, 3)."""
    height = target.vertices @ normal
    corners = target.vertices[height > height.max() - 1e-9]
    spokes = corners - corners.mean(axis=0)
    right = spokes[0] / np.linalg.norm(spokes[0])
    angles = np.arctan2(spokes @ np.cross(normal, right), spokes @ right)
    ordered: Array = corners[np.argsort(angles)]
    return ordered


def face_mesh(
    target: ObjectDescription, normal: Array
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """A face as vertices [m], (n, 3), and triangles, (n - 2, 3)."""
    ring = face_ring(target, normal)
    triangles = np.array([[0, k, k + 1] for k in range(1, len(ring) - 1)], dtype=np.uint32)
    return ring.astype(np.float32), triangles
