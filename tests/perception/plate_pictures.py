"""Pictures of a ChArUco plate as a camera would take them: lens, blur, noise and light."""

from functools import lru_cache

import cv2
import numpy as np

from inhand.perception import rotations
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import Camera
from inhand.perception.lens import Lens, Model
from inhand.perception.rotations import Array
from inhand.perception.tags import Image


@lru_cache(maxsize=4)
def _directions(width: int, height: int, matrix: bytes, distortion: bytes, model: Model) -> Array:
    """Directions of all pixels in the camera's frame, (height * width, 3)."""
    lens = Lens(np.frombuffer(matrix).reshape(3, 3), np.frombuffer(distortion), model)
    rows, columns = np.mgrid[:height, :width]
    rays = lens.rays(np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64))
    return np.column_stack([rays, np.ones(len(rays))])


def photograph(
    camera: Camera, plate: Plate, position: Array, quaternion: Array, rng: np.random.Generator
) -> Image:
    """Takes a picture.

    Args:
        camera: what takes it; every pixel is followed through its lens to the plate.
        plate: the print, on grey.
        position: the plate's origin, world frame [m], (3,).
        quaternion: world from plate, wxyz, (4,).
        rng: of the noise.
    """
    grain = 48
    print_ = cv2.GaussianBlur(plate.image(grain), (0, 0), 1.0)
    columns = np.arange(camera.width)
    directions = _directions(
        camera.width,
        camera.height,
        camera.matrix.tobytes(),
        camera.distortion.tobytes(),
        camera.model,
    )
    into = rotations.to_matrix(rotations.conjugate(quaternion))
    lens = into @ (camera.position - position)
    directions = directions @ (into @ rotations.to_matrix(camera.quaternion)).T
    hit = lens[:2] - directions[:, :2] * (lens[2] / directions[:, 2])[:, None]
    # The centre of the print's first pixel lies half a pixel inside of its edge.
    at = (hit / plate.square * grain - 0.5).reshape(camera.height, camera.width, 2)
    at = np.clip(at, -1e4, 1e4).astype(np.float32)
    picture = cv2.remap(
        print_, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=(200.0,)
    ).astype(np.float64)
    light = 0.7 + 0.2 * columns / camera.width
    spoiled = cv2.GaussianBlur(light * picture, (0, 0), 0.6) + rng.normal(0.0, 2.0, picture.shape)
    return np.clip(spoiled, 0, 255).astype(np.uint8)
