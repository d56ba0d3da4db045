"""The picture shows the object and the goal in their orientations."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.tags import Image
from inhand.sim_backend.picture import Studio

TURNS = {"+x": [0.0, -np.pi / 2, 0.0], "-z": [np.pi, 0.0, 0.0]}
"""Rotation vectors [rad] that turn a face up."""


def tags_in(image: Image) -> set[int]:
    detector = cv2.aruco.ArucoDetector(
        cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    )
    _, ids, _ = detector.detectMarkers(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return set() if ids is None else set(map(int, ids.ravel()))


@pytest.mark.parametrize("face", TURNS)
def test_the_goal_is_drawn_beside_the_hand_as_it_was_asked_for(tmp_path: Path, face: str) -> None:
    hand, block = load_hand("dactyl24"), load_object("block")
    up = next(
        tag
        for tag in block.tags
        if rotations.rotate(tag.quaternion, np.eye(3)[2]) @ block.faces[face] > 0.9
    )
    goal = rotations.exp(np.array(TURNS[face]))
    pose = (hand.joint_angles(hand.rest), np.array(hand.workspace.object_start))
    with Studio(hand, block, tmp_path) as studio:
        without = studio.draw(*pose, rotations.IDENTITY, None)
        image = studio.draw(*pose, rotations.IDENTITY, goal)
    left = image.shape[1] // 3
    assert up.id in tags_in(image[:, :left])
    assert not tags_in(without[:, :left])
    # Beside the hand, the picture is the same.
    np.testing.assert_array_equal(image[:, left:], without[:, left:])


@pytest.mark.parametrize("goal", [rotations.IDENTITY, rotations.exp(np.array([0.4, 0.3, 0.8]))])
def test_nothing_is_cut_off(tmp_path: Path, goal: np.ndarray) -> None:
    hand = load_hand("dactyl24")
    with Studio(hand, load_object("block"), tmp_path, 480, 360) as studio:
        image = studio.draw(
            hand.joint_angles(hand.rest),
            np.array(hand.workspace.object_start),
            rotations.IDENTITY,
            goal,
        )
    edges = [image[0], image[-1], image[:, 0], image[:, -1]]
    assert all((edge == 255).all() for edge in edges)


def test_the_command_writes_the_picture(tmp_path: Path) -> None:
    file = tmp_path / "images" / "hand.png"
    subprocess.run([sys.executable, "-m", "inhand.sim_backend.picture", str(file)], check=True)
    assert cv2.imread(str(file)).shape == (720, 960, 3)


def test_without_pybullet_the_command_ends_with_one_line(tmp_path: Path) -> None:
    file = tmp_path / "hand.png"
    program = (
        "import runpy, sys; sys.modules['pybullet'] = None; "
        f"sys.argv = ['picture', {str(file)!r}]; "
        "runpy.run_module('inhand.sim_backend.picture', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "error: pybullet, which draws the picture, is not installed; "
        "install it with `pip install 'inhand[sim]'`"
    ]
    assert not file.exists()
