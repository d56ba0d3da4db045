"""The network of the block in a camera's frames: found, followed, lost; all else is refused."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.perception import rotations
from inhand.perception.appearance import FaceMark
from inhand.perception.cameras import CameraError
from inhand.perception.keypoints.detector import VertexDetector
from inhand.perception.keypoints.network import NetworkError, VertexNetwork, shipped_network
from inhand.perception.objects import load_object
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
RIG, MIDDLE = default_rig(), np.array(load_hand("dactyl24").workspace.center)
REST = HAND.joint_angles(HAND.rest)
SEARCH = 8
"""Frames in which the whole workspace is searched, and one more."""


@pytest.fixture(scope="module")
def network() -> VertexNetwork:
    return VertexNetwork(shipped_network(BLOCK), BLOCK)


def scene_of(name: str, *, tagged: bool) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory() as directory:
        scene = Scene(HAND, load_object(name), Path(directory), tagged=tagged)
    yield scene
    scene.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[Scene]:
    yield from scene_of("block", tagged=False)


@pytest.fixture(scope="module")
def other(request: pytest.FixtureRequest) -> Iterator[Scene]:
    yield from scene_of(request.param, tagged=True)


def frames(scene: Scene, position: Array, turn: Array) -> dict[str, Image]:
    scene.place(REST, position, turn)
    return {name: scene.render(camera) for name, camera in RIG.items()}


def detectors(network: VertexNetwork) -> dict[str, VertexDetector]:
    return {n: VertexDetector(camera, BLOCK, network, MIDDLE) for n, camera in RIG.items()}


def seen(eyes: dict[str, VertexDetector], images: dict[str, Image]) -> list[TagCorners]:
    return [eyes[name].detect(image, 0.0) for name, image in images.items()]


def test_it_finds_the_block_from_nothing_and_follows_it(
    plain: Scene, network: VertexNetwork
) -> None:
    rng, eyes = np.random.default_rng(1), detectors(network)
    position, turn = MIDDLE + [0.01, -0.01, 0.0], rotations.random_quaternion(rng)
    for _ in range(SEARCH):
        found = seen(eyes, frames(plain, position, turn))
    errors = []
    for _ in range(20):
        position = position + rng.normal(0.0, 0.002, 3)
        turn = rotations.multiply(rotations.exp(rng.normal(0.0, 0.1, 3)), turn)
        found = seen(eyes, frames(plain, position, turn))
        if poses := estimate_poses(BLOCK, RIG, [one for one in found if one.seen]):
            error = np.linalg.norm(poses[0].position - position)
            errors.append((error, rotations.angle_between(poses[0].quaternion, turn)))
    assert len(errors) >= 18
    assert np.median(errors, axis=0)[0] < 0.004
    assert np.median(errors, axis=0)[1] < np.radians(8)


def test_a_block_elsewhere_is_found_again(plain: Scene, network: VertexNetwork) -> None:
    eyes, turn = detectors(network), rotations.IDENTITY
    for position in (MIDDLE, MIDDLE + [0.045, 0.02, 0.01]):
        for _ in range(SEARCH):
            found = seen(eyes, frames(plain, position, turn))
        assert sum(one.seen for one in found) >= 2


def refusals(network: VertexNetwork, scene: Scene, places: list[Array]) -> float:
    """Share of frames in which nothing is found, each after a search."""
    rng, none, count = np.random.default_rng(5), 0, 0
    for place in places:
        eyes, turn = detectors(network), rotations.random_quaternion(rng)
        for _ in range(SEARCH):
            found = seen(eyes, frames(scene, place, turn))
            none += sum(not one.seen for one in found)
            count += len(found)
    return none / count


def test_an_empty_hand_is_refused(plain: Scene, network: VertexNetwork) -> None:
    assert refusals(network, plain, [MIDDLE + [0.0, 0.0, 3.0]]) == 1.0


@pytest.mark.parametrize("other", ["block", "prism"], indirect=True)
def test_another_object_is_refused(other: Scene, network: VertexNetwork) -> None:
    """Also the block with tags: it looks otherwise than the network has seen it."""
    assert refusals(network, other, [MIDDLE, MIDDLE + [0.01, 0.01, 0.0]]) > 0.95


def test_a_block_with_other_faces_is_refused_and_told(network: VertexNetwork) -> None:
    marks = {
        name: FaceMark(mark.color, "XZMQWT"[i])
        for i, (name, mark) in enumerate(BLOCK.appearance.items())
    }
    with tempfile.TemporaryDirectory() as directory:
        scene = Scene(HAND, replace(BLOCK, appearance=marks), Path(directory), tagged=False)
    rng, refused, said = np.random.default_rng(5), 0, 0
    for _ in range(2):
        eyes, turn = detectors(network), rotations.random_quaternion(rng)
        for _ in range(SEARCH):
            found = seen(eyes, frames(scene, MIDDLE, turn))
        refused += sum(not one.seen for one in found)
        said += sum("different; paint them as [appearance]" in e.problem for e in eyes.values())
    scene.close()
    assert refused >= 5 and said >= 5


@pytest.mark.parametrize("level", [2.0, 90.0])
def test_night_and_a_covered_lens_are_refused(network: VertexNetwork, level: float) -> None:
    rng = np.random.default_rng(6)
    for _ in range(3):
        eyes = detectors(network)
        for _ in range(SEARCH):
            noise = rng.normal(level, 3.0, (240, 320, 3)).clip(0, 255).astype(np.uint8)
            assert not any(one.seen for one in seen(eyes, dict.fromkeys(RIG, noise)))


def test_grey_frames_and_other_sizes_are_refused(network: VertexNetwork) -> None:
    eyes = detectors(network)["left"]
    with pytest.raises(CameraError, match="needs colour"):
        eyes.detect(np.zeros((240, 320), np.uint8), 0.0)
    with pytest.raises(CameraError, match="480x360"):
        eyes.detect(np.zeros((360, 480, 3), np.uint8), 0.0)
    with pytest.raises(NetworkError, match="640x480"):
        VertexDetector(default_rig(640, 480)["left"], BLOCK, network, MIDDLE)
