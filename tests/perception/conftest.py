"""Renders of the hand and the object for tests of perception."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.rig import default_rig

if TYPE_CHECKING:
    from inhand.sim_backend.scene import Scene

Render = Callable[[Camera], Image]


@pytest.fixture(scope="session")
def hand() -> Hand:
    return load_hand("dactyl24")


@pytest.fixture(scope="session")
def block() -> ObjectDescription:
    return load_object("block")


@pytest.fixture(scope="session")
def rig() -> dict[str, Camera]:
    return default_rig()


@pytest.fixture(scope="session")
def rest(hand: Hand) -> Array:
    """Joint angles of a hand that lies level, so that cameras see objects in it, (n_joints,)."""
    return hand.joint_angles(hand.action_zero)


@pytest.fixture(scope="module")
def scene(
    hand: Hand, block: ObjectDescription, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Scene]":
    # Tests that need no picture run without PyBullet, too.
    from inhand.sim_backend.scene import Scene

    scene = Scene(hand, block, tmp_path_factory.mktemp("assets"))
    yield scene
    scene.close()


@pytest.fixture
def random_pose() -> Callable[[np.random.Generator], tuple[Array, Array]]:
    """Draws a pose of the object about where the hand holds it."""

    def draw(rng: np.random.Generator) -> tuple[Array, Array]:
        position = np.array([0.0, 0.335, 0.055]) + rng.normal(0.0, 0.01, 3)
        return position, rotations.random_quaternion(rng)

    return draw


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder
