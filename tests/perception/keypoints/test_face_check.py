"""Faces in a window are compared with the object's, on drawn windows without any renderer."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from inhand.perception import rotations
from inhand.perception.appearance import FaceMark
from inhand.perception.face_picture import face_corners, face_frame, marked_face, to_cell
from inhand.perception.keypoints.detector import ENOUGH, KEPT
from inhand.perception.keypoints.face_check import MOST, Agreement, FaceCheck
from inhand.perception.keypoints.window import PIXELS
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

BLOCK = load_object("block")
CELL, AWAY = 240, 10.0
"""Picture of a face [px]; distance of the camera [edges of the block]."""


def drawn(target: ObjectDescription, turn: Array) -> tuple[Image, Array]:
    """A window that shows a turned object on grey, and its vertices in it [px]."""
    size = max(target.size)
    away = rotations.rotate(turn, target.vertices) / size + [0.0, 0.0, AWAY]
    pixels = away[:, :2] / away[:, 2:] * AWAY * 38 + PIXELS / 2
    window = np.full((PIXELS, PIXELS, 3), 90, dtype=np.uint8)
    for name, normal in target.faces.items():
        corners = face_corners(target.vertices, normal)
        middle = away[corners].mean(axis=0)
        if rotations.rotate(turn, normal) @ middle > 0:
            continue
        flat = target.vertices[corners] @ face_frame(normal)[:, :2]
        face = marked_face(target.appearance[name], flat, CELL)[..., ::-1]
        transform, _ = cv2.findHomography(to_cell(flat, CELL), pixels[corners])
        outline = np.round(pixels[corners]).astype(np.int32)
        mask = cv2.fillConvexPoly(np.zeros(window.shape[:2], np.uint8), outline, (1,))
        shown = cv2.warpPerspective(face, transform, (PIXELS, PIXELS), flags=cv2.INTER_AREA)
        window = np.where(mask[..., None] > 0, shown, window).astype(np.uint8)
    return window, pixels


def turns(count: int) -> list[Array]:
    rng = np.random.default_rng(3)
    return [rotations.random_quaternion(rng) for _ in range(count)]


@pytest.mark.parametrize("gain", [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.9, 0.75, 0.65)])
def test_the_object_agrees_in_any_light(gain: tuple[float, ...]) -> None:
    check, rng = FaceCheck(BLOCK), np.random.default_rng(1)
    for turn in turns(20):
        window, pixels = drawn(BLOCK, turn)
        lit = np.clip(window * np.array(gain) + 15 + rng.normal(0, 4, window.shape), 0, 255)
        # Vertices that a network finds are up to two pixels off.
        found = check.agreement(lit.astype(np.uint8), pixels + rng.normal(0, 0.8, pixels.shape))
        assert found.good(), found


def test_other_letters_other_colours_and_other_turns_rarely_agree() -> None:
    check = FaceCheck(BLOCK)
    letters = dict(zip(BLOCK.faces, "XZMQWT", strict=True))
    other, paint = {}, {}
    for name, mark in BLOCK.appearance.items():
        red, green, blue = (255 - part for part in mark.color)
        other[name] = FaceMark(mark.color, letters[name])
        paint[name] = FaceMark((red, green, blue), letters[name])
    half_turn, taken = np.array([0.0, 1.0, 0.0, 0.0]), np.zeros(2)
    for turn in turns(40):
        window, pixels = drawn(replace(BLOCK, appearance=other), turn)
        taken[0] += check.agreement(window, pixels).good()
        found = check.agreement(drawn(replace(BLOCK, appearance=paint), turn)[0], pixels)
        assert not found.good() and found.colors < 0
        # The block itself, taken for one that is turned by 180 degrees.
        wrong = drawn(BLOCK, rotations.multiply(turn, half_turn))[1]
        taken[1] += check.agreement(drawn(BLOCK, turn)[0], wrong).good()
    assert taken[0] <= 1 and taken[1] <= 2, taken


def test_an_object_without_letters_is_compared_by_its_colours() -> None:
    plain = {name: FaceMark(mark.color) for name, mark in BLOCK.appearance.items()}
    target = replace(BLOCK, appearance=plain)
    swapped = dict(zip(plain, [*list(plain.values())[3:], *list(plain.values())[:3]], strict=True))
    check = FaceCheck(target)
    taken = 0
    for turn in turns(40):
        window, pixels = drawn(target, turn)
        found = check.agreement(window, pixels)
        assert found.letters is None and found.colors > 0.95
        other, _ = drawn(replace(target, appearance=swapped), turn)
        taken += check.agreement(other, pixels).good()
    assert taken <= 8, taken


def test_nothing_to_compare_is_no_contradiction() -> None:
    window, pixels = drawn(BLOCK, np.array([1.0, 0.0, 0.0, 0.0]))
    grey = {name: FaceMark((120, 120, 120)) for name in BLOCK.faces}
    assert FaceCheck(replace(BLOCK, appearance=grey)).agreement(window, pixels).good()
    assert FaceCheck(replace(BLOCK, appearance={})).agreement(window, pixels).good()
    assert FaceCheck(BLOCK).agreement(window, pixels / 20).good()


def test_views_add_up_and_one_of_them_changes_no_verdict() -> None:
    """Evidence is bounded, so that one odd view weighs no more than the views before."""
    own, odd = Agreement(0.11, 0.9), Agreement(-0.4, 0.9)
    assert own.evidence > 2.0 and odd.evidence == -MOST
    assert own.good() and not odd.good()
    assert odd.good(ENOUGH * KEPT) and not own.good(-ENOUGH * KEPT)
    # Colours that differ are refused at once, and without letters nothing is added.
    assert not Agreement(0.11, 0.2).good(ENOUGH)
    assert Agreement(None, 0.9).evidence == 0.0 and Agreement(None, 0.9).good()
