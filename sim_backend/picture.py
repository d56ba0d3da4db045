"""Pictures of the hand for documents: coloured faces, antialiasing, a shadow, and the goal.

`python -m inhand.sim_backend.picture FILE.png` draws the hand at rest with the block.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

try:
    import pybullet
except ModuleNotFoundError:
    if __name__ != "__main__":
        raise
    sys.exit(
        "error: pybullet, which draws the picture, is not installed; install it with "
        "`pip install 'inhand[sim]'`"
    )

from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.pictures import write_picture
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.assets import FACE_COLORS
from inhand.sim_backend.rig import make_camera
from inhand.sim_backend.scene import Scene

OVERSAMPLING = 2
"""Rendered pixels per pixel of the picture, along each edge: the renderer has no antialiasing."""

GHOST_OPACITY = 0.55
"""Opacity of the goal, which is drawn beside the hand; 1 is opaque."""

# Positions relative to the middle of the workspace, world frame [m]. With a distant camera and a
# long focal length, block and goal are seen from nearly the same direction.
VIEW = np.array([-0.42, -0.48, 0.62])
LOOK_AT = np.array([-0.048, -0.012, 0.022])
GHOST = np.array([-0.111, 0.093, 0.02])
FOCAL_SCALE = np.array([[1.85, 1.0, 1.0], [1.0, 1.85, 1.0], [1.0, 1.0, 1.0]])
"""Factors on the intrinsic matrix of the simulated cameras."""

TURN = np.array([0.0, 0.0, 0.3])
"""Rotation of the object in the still picture, as a rotation vector [rad]."""
TURN_TO_GO = np.array([0.5, -0.4, 0.9])
"""Rotation from the object to the goal in the still picture, as a rotation vector [rad]."""


class Studio(Scene):
    """Draws the hand, the object with coloured faces, and the goal as a translucent object.

    Args:
        hand: the hand to draw.
        description: the object.
        directory: for meshes and textures.
        width: of the pictures [px].
        height: of the pictures [px].
    """

    def __init__(
        self,
        hand: Hand,
        description: ObjectDescription,
        directory: Path,
        width: int = 960,
        height: int = 720,
    ) -> None:
        super().__init__(hand, description, directory, sides=48)
        self._size = (width, height)
        center = np.array(hand.workspace.center)
        self._ghost_position = center + GHOST
        self._camera = _camera(center, width, height)
        texture = _tinted(directory / f"{description.name}.png", len(description.faces))
        number = pybullet.loadTexture(str(texture), physicsClientId=self._client)
        mesh = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            fileName=str(directory / f"{description.name}.obj"),
            physicsClientId=self._client,
        )
        self._ghost = pybullet.createMultiBody(
            baseVisualShapeIndex=mesh, physicsClientId=self._client
        )
        for body in (self._object, self._ghost):
            pybullet.changeVisualShape(
                body, -1, textureUniqueId=number, physicsClientId=self._client
            )

    def draw(
        self, joint_angles: Array, position: Array, quaternion: Array, goal: Array | None
    ) -> Image:
        """One picture, RGB, (height, width, 3).

        Args:
            joint_angles: [rad], (n_joints,).
            position: object, world frame [m], (3,).
            quaternion: world from object, wxyz, (4,).
            goal: goal orientation, world from object, wxyz, (4,); None draws no goal.
        """
        self.place(joint_angles, position, quaternion)
        self._move_ghost(self._ghost_position + [0.0, 0.0, 100.0], rotations.IDENTITY)
        image = self._small()
        if goal is None:
            return image
        self._move_ghost(self._ghost_position, goal)
        # The renderer does not draw translucent bodies.
        mixed = cv2.addWeighted(self._small(), GHOST_OPACITY, image, 1 - GHOST_OPACITY, 0)
        return np.asarray(mixed, dtype=np.uint8)

    def _move_ghost(self, position: Array, quaternion: Array) -> None:
        w, x, y, z = (float(value) for value in quaternion)
        pybullet.resetBasePositionAndOrientation(
            self._ghost,
            [float(value) for value in position],
            [x, y, z, w],
            physicsClientId=self._client,
        )

    def _small(self) -> Image:
        """The camera's image, scaled down to the size of the picture."""
        image = self.render(self._camera, shadow=True)
        return np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)

    def __enter__(self) -> "Studio":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _camera(center: Array, width: int, height: int) -> Camera:
    """The camera of all pictures, for a hand that holds objects at `center` [m], (3,)."""
    up = np.array([0.0, 0.0, 1.0])
    size = (width * OVERSAMPLING, height * OVERSAMPLING)
    camera = make_camera("picture", center + VIEW, center + LOOK_AT, up, *size)
    return replace(camera, matrix=frozen_array(camera.matrix * FOCAL_SCALE))


def _tinted(texture: Path, faces: int) -> Path:
    """Writes a copy of an object's texture in which each face is tinted with its colour.

    Args:
        texture: PNG, the faces in square cells, row by row.
        faces: how many cells are in use.

    Raises:
        OSError: the texture cannot be read.
        WriteError: its copy cannot be written.
    """
    atlas = cv2.imread(str(texture))
    if atlas is None:
        raise OSError(f"cannot read the texture {texture}")
    columns = int(np.ceil(np.sqrt(faces)))
    cell = atlas.shape[1] // columns
    for index in range(faces):
        row, column = divmod(index, columns)
        face = atlas[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        color = np.array(FACE_COLORS[index % len(FACE_COLORS)][::-1]) / 255.0
        face[:] = np.round(face * color)
    path = texture.with_name(f"{texture.stem}-tinted.png")
    write_picture(path, np.asarray(atlas, dtype=np.uint8))
    return path


def hand_picture(
    hand: Hand, description: ObjectDescription, width: int = 960, height: int = 720
) -> Image:
    """The hand at rest, the object on its palm, a goal beside it; RGB, (height, width, 3)."""
    turn = rotations.exp(TURN)
    with (
        tempfile.TemporaryDirectory(prefix="inhand-picture-") as directory,
        Studio(hand, description, Path(directory), width, height) as studio,
    ):
        return studio.draw(
            hand.joint_angles(hand.rest),
            np.array(hand.workspace.object_start),
            turn,
            rotations.multiply(rotations.exp(TURN_TO_GO), turn),
        )


def main() -> None:
    """Writes the picture to the file named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m inhand.sim_backend.picture FILE.png")
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    image = hand_picture(load_hand("dactyl24"), load_object("block"))
    try:
        write_picture(path, image[..., ::-1])
    except InhandError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
