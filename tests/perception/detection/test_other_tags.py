"""Tags that are not the object's are named, with the remedy: tags of all usual families."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inhand.perception.cameras import Camera
from inhand.perception.detection.decoding import codes_of
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import load_object
from inhand.perception.tags import Image, family

BLOCK = load_object("block")


def bits_of(number: int, tag: int) -> NDArray[np.uint8]:
    return codes_of(cv2.aruco.getPredefinedDictionary(number)).bits[tag]


def picture(bits: NDArray[np.uint8], border: int = 1, module: int = 8) -> Image:
    """A tag with its white edge, a little slanted and blurred, on a grey page of 320×240."""
    inner = np.pad(255 * bits, border)
    tag = np.kron(np.pad(inner, 2, constant_values=255), np.ones((module, module)))
    page = np.full((240, 320), 190, dtype=np.uint8)
    top, left = (240 - len(tag)) // 2, (320 - len(tag)) // 2
    page[top : top + len(tag), left : left + len(tag)] = tag
    about = np.array([[1.0, 0.1, -10.0], [-0.15, 0.95, 25.0], [3e-4, 2e-4, 1.0]])
    warped = cv2.warpPerspective(page, about, (320, 240), borderValue=(190.0,))
    return np.asarray(cv2.GaussianBlur(warped, (0, 0), 0.8), dtype=np.uint8)


def said(camera: Camera, image: Image) -> str:
    detector = TagDetector(camera, BLOCK)
    assert detector.detect(image, 0.0).ids == ()
    return detector.problem


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (cv2.aruco.DICT_APRILTAG_16h5, "AprilTag 16h5"),
        (cv2.aruco.DICT_APRILTAG_25h9, "AprilTag 25h9"),
        (cv2.aruco.DICT_APRILTAG_36h10, "AprilTag 36h10"),
        (cv2.aruco.DICT_4X4_50, "ArUco 4x4"),
        (cv2.aruco.DICT_4X4_250, "ArUco 4x4"),
        (cv2.aruco.DICT_5X5_100, "ArUco 5x5"),
        (cv2.aruco.DICT_6X6_250, "ArUco 6x6"),
        (cv2.aruco.DICT_7X7_1000, "ArUco 7x7"),
        (cv2.aruco.DICT_ARUCO_ORIGINAL, "ArUco (original)"),
        (cv2.aruco.DICT_ARUCO_MIP_36h12, "ArUco MIP 36h12"),
    ],
)
def test_other_families_are_named(rig: dict[str, Camera], number: int, name: str) -> None:
    for tag in (0, 3, 17, 29):
        text = said(rig["left"], picture(bits_of(number, tag)))
        assert f"tag {tag} is seen of the family {name}:" in text, (tag, text)
        assert "AprilTag 36h11; print the object's tags with `inhand print" in text
    assert ("calibration plate" in text) == (name == "ArUco 5x5")


def test_mirrored_inverted_and_wide_borders_are_told_apart(rig: dict[str, Camera]) -> None:
    bits = codes_of(family()).bits[4]
    whole = picture(bits)
    assert TagDetector(rig["left"], BLOCK).detect(whole, 0.0).ids == (4,)
    mirrored = said(rig["left"], np.ascontiguousarray(whole[:, ::-1]))
    assert "tag 4 is seen mirrored" in mirrored and "turn mirroring off" in mirrored
    inverted = said(rig["left"], np.asarray(255 - whole, dtype=np.uint8))
    assert "tag 4 is seen with black and white exchanged: print" in inverted
    wide = said(rig["left"], picture(bits, border=2))
    assert "tag 4 is seen with a black border of two modules" in wide and "AprilGrid" in wide


def test_the_tags_of_another_object_are_named_with_it(rig: dict[str, Camera]) -> None:
    text = said(rig["left"], picture(codes_of(family()).bits[12]))
    assert "only tags [12] are seen, the object has [0, 1, 2, 3, 4, 5]" in text
    assert "those of the object prism: name it under `object`" in text
    text = said(rig["left"], picture(codes_of(family()).bits[300]))
    assert "only tags [300] are seen" in text and "is it the object that" in text


def test_squares_that_are_no_tags_are_not_named(rig: dict[str, Camera]) -> None:
    rng = np.random.default_rng(5)
    named = 0
    for _ in range(40):
        # Dark frames with blurred content, such as windows, screens and labels.
        content = cv2.GaussianBlur(rng.normal(128, 90, (6, 6)), (0, 0), 0.7)
        bits = np.clip(content / 255, 0, 1)
        named += said(rig["left"], picture(bits)) != ""
    assert named == 0


def test_what_is_said_ends_when_the_right_tag_comes(rig: dict[str, Camera]) -> None:
    detector = TagDetector(rig["left"], BLOCK)
    other = picture(bits_of(cv2.aruco.DICT_6X6_50, 2))
    for k in range(3):
        detector.detect(other, 0.1 * k)
        assert "ArUco 6x6" in detector.problem
    detector.detect(picture(codes_of(family()).bits[2]), 0.4)
    assert detector.problem == ""
    detector.detect(other, 0.5)
    assert detector.problem == ""
    detector.detect(other, 2.6)
    assert "ArUco 6x6" in detector.problem
