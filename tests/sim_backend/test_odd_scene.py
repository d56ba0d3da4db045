"""Pictures of a hand with a palm that never moves, a cylinder, a sphere and turned shapes."""

from pathlib import Path

import numpy as np

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import link_poses
from inhand.perception.objects import load_object
from inhand.sim_backend.rig import rig_around
from inhand.sim_backend.scene import Scene

HAND = load_hand(Path(__file__).parents[1] / "hardware" / "model" / "odd_hand.toml")


def test_all_shapes_are_drawn_where_they_are(tmp_path: Path) -> None:
    scene = Scene(HAND, load_object("block"), tmp_path)
    angles = HAND.joint_angles(HAND.rest)
    scene.place(angles, np.array([0.0, 0.0, 5.0]), np.array([1.0, 0.0, 0.0, 0.0]))
    turns, origins = link_poses(HAND, angles)
    places = [np.array(shape.position) for shape in HAND.root_shapes]
    places += [
        origins[i] + turns[i] @ shape.position
        for i, link in enumerate(HAND.links)
        for shape in link.shapes
    ]
    for camera in rig_around(HAND).values():
        image = scene.render(camera)
        # The background is white, the hand is not.
        for column, row in camera.project(np.array(places)).round().astype(int):
            assert image[row, column].max() < 200
        assert image[2, 2].min() > 250
    scene.close()
