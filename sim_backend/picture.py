"""Draws a picture of the hand with the object: `python -m inhand.sim_backend.picture FILE`."""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.pictures import write_picture
from inhand.perception.tags import Image
from inhand.sim_backend.rig import make_camera
from inhand.sim_backend.scene import Scene

OVERSAMPLING = 2
"""Rendered pixels for one pixel, along each edge: the renderer has no antialiasing."""

# Where the picture is taken from and what is in its middle, world frame [m].
VIEW = np.array([-0.20, 0.10, 0.32])
TARGET = np.array([0.0, 0.315, 0.03])
TURN = np.array([0.0, 0.0, 0.3])
"""Rotation of the object, as a rotation vector [rad]."""


def hand_picture(
    hand: Hand, description: ObjectDescription, width: int = 960, height: int = 720
) -> Image:
    """The hand at rest with the object on its palm, RGB, (height, width, 3)."""
    camera = make_camera(
        "picture",
        VIEW,
        TARGET,
        np.array([0.0, 0.0, 1.0]),
        width * OVERSAMPLING,
        height * OVERSAMPLING,
    )
    rest = hand.joint_angles(np.array([actuator.rest for actuator in hand.actuators]))
    with tempfile.TemporaryDirectory(prefix="inhand-picture-") as directory:
        scene = Scene(hand, description, Path(directory), sides=48)
    position = np.array(hand.workspace.object_start)
    scene.place(rest, position, rotations.exp(TURN))
    image = scene.render(camera, shadow=True)
    scene.close()
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


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
