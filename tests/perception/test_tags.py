"""One orientation of tags, the official one: drawn, detected, on objects, with any OpenCV."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.peers import april_robotics_detector
from inhand.perception import rotations
from inhand.perception.cameras import Camera, look_at
from inhand.perception.detection.detection import TagDetector
from inhand.perception.errors import PerceptionError
from inhand.perception.objects import load_object
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import FAMILY_SIZE, Image, family, official, tag_image
from tests.perception.official_tags import CODES, block_picture, official_picture

BLOCK = load_object("block")
PICTURES = Path(__file__).resolve().parents[3] / "shared" / "data" / "tag36h11"
"""AprilRobotics' own files, where they lie beside the source tree."""

VIEWS = [d for d in product((-1.0, 0.0, 1.0), repeat=3) if any(d)]
"""Towards the faces, edges and corners of a block."""


@pytest.mark.parametrize("tag", range(len(CODES)))
def test_a_tag_is_drawn_as_its_official_picture(tag: int) -> None:
    np.testing.assert_array_equal(tag_image(tag, 1), official_picture(tag)[1:9, 1:9])
    np.testing.assert_array_equal(tag_image(tag, 3)[1::3, 1::3], official_picture(tag)[1:9, 1:9])


@pytest.mark.skipif(not PICTURES.is_dir(), reason="AprilRobotics' files do not lie here")
@pytest.mark.parametrize("tag", range(len(CODES)))
def test_the_numbers_are_those_of_the_official_files(tag: int) -> None:
    image = cv2.imread(str(PICTURES / f"tag36_11_{tag:05d}.png"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(image, official_picture(tag))


def turned(quarter_turns: int) -> cv2.aruco.Dictionary:
    """The family as a library might have it that turns all tags."""
    kind = cv2.aruco.Dictionary
    rows = np.asarray(family().bytesList)
    tags = [kind.getBitsFromByteList(rows[i : i + 1], 6) for i in range(FAMILY_SIZE)]
    listed = [kind.getByteListFromBits(np.rot90(bits, quarter_turns).copy()) for bits in tags]
    return kind(np.concatenate(listed), 6, 0)


@pytest.mark.parametrize("quarter_turns", range(4))
def test_a_library_that_turns_its_tags_changes_nothing(quarter_turns: int) -> None:
    again = official(turned(quarter_turns))
    np.testing.assert_array_equal(again.bytesList, family().bytesList)
    assert again.maxCorrectionBits == 5


def test_a_library_with_other_tags_is_refused() -> None:
    other = turned(0)
    rows = np.array(other.bytesList)
    rows[[100, 101]] = rows[[101, 100]]
    other.bytesList = rows
    with pytest.raises(PerceptionError, match=rf"OpenCV {cv2.__version__} does not have the tags"):
        official(other)


PEER = april_robotics_detector(1.0)


def by_april_robotics(image: Image) -> dict[int, Array]:
    """Corners by tag, clockwise from the official picture's top left [px], (4, 2)."""
    found = PEER.detect(image)
    # Theirs run from the bottom left to the right; their pixels have their centres at one half.
    return {one.tag_id: one.corners[::-1] - 0.5 for one in found}


def test_april_robotics_sees_every_tag_the_same_way_up() -> None:
    for first in range(0, FAMILY_SIZE, 64):
        tags = range(first, min(first + 64, FAMILY_SIZE))
        page = np.full((640, 640), 255, dtype=np.uint8)
        for k, tag in enumerate(tags):
            row, column = (80 * i + 16 for i in divmod(k, 8))
            page[row : row + 48, column : column + 48] = tag_image(tag, 6)
        found = by_april_robotics(page)
        assert sorted(found) == list(tags)
        for k, tag in enumerate(tags):
            row, column = (80 * i + 15.5 for i in divmod(k, 8))
            square = np.array([[0, 0], [48, 0], [48, 48], [0, 48]]) + [column, row]
            np.testing.assert_allclose(found[tag], square, atol=1.0)


@pytest.mark.parametrize("quarter_turns", range(4))
@pytest.mark.parametrize("slanted", [False, True])
def test_corners_begin_at_the_official_pictures_top_left(
    rig: dict[str, Camera], quarter_turns: int, slanted: bool
) -> None:
    to = np.array([[60, 40], [240, 40], [240, 220], [60, 220]], dtype=np.float32)
    if slanted:
        to += np.array([[20, 15], [-5, 0], [0, -30], [10, 5]], dtype=np.float32)
    to = np.roll(to, quarter_turns, axis=0)
    size = 400
    edge = np.array([[0, 0], [size, 0], [size, size], [0, size]], dtype=np.float32) - 0.5
    transform = cv2.getPerspectiveTransform(edge, to)
    inner = edge + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * size / 10
    expected = cv2.perspectiveTransform(inner[None].astype(np.float32), transform)[0]
    for tag in range(6):
        large = np.kron(official_picture(tag), np.ones((40, 40), dtype=np.uint8))
        page = cv2.warpPerspective(large, transform, (320, 240), borderValue=(200.0,))
        image = np.asarray(page, dtype=np.uint8)
        seen = TagDetector(rig["left"], BLOCK).detect(image, 0.0)
        assert seen.ids == (tag,)
        # Warps differ by version and put edges some tenths of a pixel off.
        np.testing.assert_allclose(seen.corners[0], expected, atol=1.5)
        np.testing.assert_allclose(by_april_robotics(image)[tag], seen.corners[0], atol=0.7)


@pytest.mark.parametrize("towards", VIEWS)
def test_a_block_with_official_pictures_is_seen_from_everywhere(
    rig: dict[str, Camera], towards: tuple[float, float, float]
) -> None:
    position = np.array([0.02, 0.3, 0.05])
    quaternion = rotations.exp(np.array([0.2, -0.1, 0.15]))
    eye = rotations.rotate(quaternion, 0.3 * np.array(towards) / np.linalg.norm(towards))
    # A little aside: a face seen straight on could be tilted either way.
    eye = eye + rotations.rotate(quaternion, np.array([0.03, 0.05, -0.04]))
    camera = replace(
        rig["left"],
        position=frozen_array(position + eye),
        quaternion=frozen_array(look_at(position + eye, position, np.array([0.3, 0.5, 0.8]))),
    )
    image = block_picture(camera, BLOCK, position, quaternion)
    seen = TagDetector(camera, BLOCK).detect(image, 0.0)
    assert len(seen.ids) >= 1
    found = estimate_poses(BLOCK, {"left": camera}, [seen])
    assert found
    assert np.linalg.norm(found[0].position - position) < 0.001
    assert rotations.angle_between(found[0].quaternion, quaternion) < 0.03
