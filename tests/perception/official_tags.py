"""Tags as AprilRobotics drew them, as numbers, and pictures made from nothing else."""

import numpy as np

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

CODES = (
    0xD5D628584,
    0xD97F18B49,
    0xDD280910E,
    0xE479E9C98,
    0xEBCBCA822,
    0xF31DAB3AC,
    0x056A5D085,
    0x10652E1D4,
    0x22B1DFEAD,
    0x265AD0472,
    0x34FE91B86,
    0x3FF962CD5,
)
"""Data of the official pictures of tags 0 to 11: row by row from the top left, 1 for white."""


def official_picture(tag: int) -> Image:
    """The official picture, a pixel a module, with its white zone, (10, 10)."""
    picture = np.full((10, 10), 255, dtype=np.uint8)
    picture[1:9, 1:9] = 0
    data = [255 * int(bit) for bit in f"{CODES[tag]:036b}"]
    picture[2:8, 2:8] = np.array(data, dtype=np.uint8).reshape(6, 6)
    return picture


def block_picture(
    camera: Camera, block: ObjectDescription, position: Array, quaternion: Array, samples: int = 4
) -> Image:
    """A box with an official picture upright on each face, by following rays.

    Upright is +z on the sides, +y on the ends. A grey background, no shading.
    """
    half = block.half_extents
    edge = block.tags[0].size / 8
    places = (np.arange(samples) + 0.5) / samples - 0.5
    x = (np.arange(camera.width)[:, None] + places).ravel()
    y = (np.arange(camera.height)[:, None] + places).ravel()
    pixels = np.stack(np.meshgrid(x, y), axis=-1)
    flat = camera.normalize(pixels.reshape(-1, 2)).reshape(pixels.shape)
    rays = np.concatenate([flat, np.ones((*pixels.shape[:2], 1))], axis=-1)
    into = rotations.to_matrix(quaternion).T
    rays = rays @ camera.rotation.T @ into.T
    eye = into @ (camera.position - position)
    picture = np.full(rays.shape[:2], 128.0)
    faces = {tag.id: face for tag, face in zip(block.tags, block.faces.values(), strict=True)}
    for tag, normal in faces.items():
        height = float(half @ np.abs(normal))
        if eye @ normal <= height:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            far = (height - eye @ normal) / (rays @ normal)
        at = eye + far[..., None] * rays
        up = np.array([0.0, 1.0, 0.0]) if abs(normal[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
        across, along = at @ np.cross(up, normal), at @ up
        inside = (np.abs(at) <= half + 1e-9).all(axis=-1) & (far > 0)
        column = np.clip(np.floor(across / edge) + 5, 0, 9).astype(int)
        row = np.clip(np.floor(-along / edge) + 5, 0, 9).astype(int)
        picture[inside] = official_picture(tag)[row, column][inside]
    shape = (camera.height, samples, camera.width, samples)
    return picture.reshape(shape).mean(axis=(1, 3)).round().astype(np.uint8)
