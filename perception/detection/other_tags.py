"""Recognises tags that are not the object's: other families, mirrored, inverted, other borders.

They are searched for only when no tag of the object is seen, to say why.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from inhand.perception.detection.decoding import Bits, Codes, codes_of, match, read_bits
from inhand.perception.detection.refinement import refine_corners
from inhand.perception.detection.tag_finder import TagFinder
from inhand.perception.objects import ObjectDescription, tags_of_known_objects
from inhand.perception.tags import Image, family

CLEAR = 0.35
"""Least brightness of every module, white or black, relative to half the contrast of the tag: a
family of few bits has a tag for one in a hundred squares, but few squares have clear modules."""

PRINT = "print the object's tags with `inhand print object` or `inhand print tag`"


@dataclass(frozen=True)
class Kind:
    """A kind of tags.

    Attributes:
        what: how they differ from the object's, in words.
        remedy: what to do.
        codes: of the tags.
        border: width of the black border [modules].
        wrong: number of wrong bits that is corrected.
    """

    what: str
    remedy: str
    codes: Codes
    border: int = 1
    wrong: int = 1


def recognise(image: Image, finder: TagFinder) -> str:
    """What tags that are not of the object's family an image shows, and the remedy; empty if none.

    Args:
        image: grey, (height, width).
        finder: finds squares.
    """
    squares = finder.find(image, nested=True).rejected
    corners, _ = refine_corners(image, squares, finder.lens) if len(squares) else (squares, None)
    corners = corners[np.isfinite(corners).all(axis=(1, 2))]
    read: dict[tuple[int, int], Bits] = {}
    for kind in kinds() if len(corners) else ():
        key = kind.codes.side, kind.border
        if key not in read:
            read[key] = read_bits(image, corners, *key)
        tags, _ = match(read[key], kind.codes, kind.wrong)
        if ids := set(tags[(tags >= 0) & read[key].clear(CLEAR)].tolist()):
            return f"{_are_seen(ids)} {kind.what}: {kind.remedy}"
    if ids := set(finder.find(np.asarray(255 - image, dtype=np.uint8), nested=True).ids):
        return f"{_are_seen(ids)} with black and white exchanged: {PRINT}"
    return ""


def _are_seen(ids: set[int]) -> str:
    listed = sorted(ids)
    return f"tag {listed[0]} is seen" if len(listed) == 1 else f"tags {listed} are seen"


def others(description: ObjectDescription, ids: set[int]) -> str:
    """What to say of tags of the right family that the object does not have.

    Args:
        description: the object.
        ids: of the tags that are seen.
    """
    known = sorted(tag.id for tag in description.tags)
    owners = [name for name, theirs in tags_of_known_objects().items() if ids & theirs]
    owners = [name for name in owners if name != description.name]
    hint = (
        f"those of the object {' or '.join(owners)}: name it under `object` in the configuration"
        if owners
        else "is it the object that the configuration names?"
    )
    return f"only tags {sorted(ids)} are seen, the object has {known}; {hint}"


@cache
def kinds() -> tuple[Kind, ...]:
    """All kinds that are recognised, those with many bits first."""
    return tuple(_kinds())


def _kinds() -> Iterator[Kind]:
    own = codes_of(family())
    mirrored = Codes(np.ascontiguousarray(own.bits[:, :, ::-1]))
    yield Kind(
        "mirrored: the picture is mirrored",
        "turn mirroring off in the camera; if letters are not mirrored in the picture, the print "
        "is, so print the tags again",
        mirrored,
        wrong=2,
    )
    yield Kind(
        "with a black border of two modules, as an AprilGrid has it",
        f"the object's tags need a border of one module; {PRINT}",
        own,
        border=2,
        wrong=2,
    )
    for name, number, count in FAMILIES:
        codes = codes_of(cv2.aruco.getPredefinedDictionary(number))
        wrong = 1 if codes.side > 4 else 0
        remedy = f"the object's tags are of the family AprilTag 36h11; {PRINT}"
        if name == "ArUco 5x5":
            remedy = f"the calibration plate has such tags; {remedy}"
        yield Kind(f"of the family {name}", remedy, Codes(codes.bits[:count]), wrong=wrong)


FAMILIES: tuple[tuple[str, int, int], ...] = (
    # Name, number in OpenCV, and how many of its tags: few, where random squares look like tags.
    ("AprilTag 36h10", cv2.aruco.DICT_APRILTAG_36h10, 10_000),
    ("ArUco MIP 36h12", cv2.aruco.DICT_ARUCO_MIP_36h12, 10_000),
    ("ArUco 7x7", cv2.aruco.DICT_7X7_1000, 10_000),
    ("ArUco 6x6", cv2.aruco.DICT_6X6_1000, 10_000),
    ("AprilTag 25h9", cv2.aruco.DICT_APRILTAG_25h9, 10_000),
    ("ArUco 5x5", cv2.aruco.DICT_5X5_1000, 10_000),
    ("ArUco (original)", cv2.aruco.DICT_ARUCO_ORIGINAL, 10_000),
    ("AprilTag 16h5", cv2.aruco.DICT_APRILTAG_16h5, 10_000),
    ("ArUco 4x4", cv2.aruco.DICT_4X4_1000, 250),
)
