"""Tags in real photographs that others took and counted: those of AprilRobotics' own tests.

The photographs are NASA's (CC BY-SA 2.0), with the corners of all tags beside them:
https://github.com/AprilRobotics/apriltag/tree/master/test/data. They are not part of this project.
Put them into `../shared/data/apriltag-photographs`, or name their folder in `INHAND_PHOTOGRAPHS`.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import Row, row
from benchmarks.peers import Found, april_robotics
from inhand.perception.detection.tag_finder import TagFinder
from inhand.perception.rotations import Array
from inhand.perception.tags import FAMILY_SIZE, Image

NEAR = 3.0
"""Largest distance of a tag's centre from where it is [px]."""


def folder() -> Path:
    """Where the photographs are, if they are anywhere."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "apriltag-photographs"
    return Path(os.environ.get("INHAND_PHOTOGRAPHS", beside))


def photographs() -> Iterator[tuple[Image, Found]]:
    """Each photograph, grey, with its tags; corners as the file has them, (4, 2) [px]."""
    for path in sorted(folder().glob("*.txt")):
        image = cv2.imread(str(path.with_suffix(".jpg")), cv2.IMREAD_GRAYSCALE)
        lines = [re.findall(r"-?[\d.]+", line) for line in path.read_text().splitlines()]
        tags = [(int(n[0]), np.array(n[1:], dtype=np.float64)) for n in lines if len(n) == 9]
        if image is not None:
            yield np.asarray(image, dtype=np.uint8), [(id, c.reshape(4, 2)) for id, c in tags]


def find_tags(image: Image) -> Found:
    """What this project finds in a photograph."""
    found = TagFinder().find(image)
    return list(zip(found.ids, found.corners, strict=True))


def recalled(find: Callable[[Image], Found]) -> tuple[int, int, float]:
    """How many of the tags a detector finds, of how many, and its processor time [s]."""
    hits, number, spent = 0, 0, 0.0
    for image, tags in photographs():
        find(image)
        began = time.thread_time()
        found = find(image)
        spent += time.thread_time() - began
        number += len(tags)
        left = list(found)
        for tag, corners in tags:
            for k, (other, place) in enumerate(left):
                if tag == other and _distance(corners, place) < NEAR:
                    hits += 1
                    del left[k]
                    break
    return hits, number, spent


def measure() -> list[Row]:
    """Tags found beside AprilRobotics at full resolution; nothing without the photographs."""
    peer = april_robotics(decimation=1.0, ids=range(FAMILY_SIZE))
    if peer is None or not folder().is_dir():
        return []
    (ours, number, spent), (theirs, _, their_time) = recalled(find_tags), recalled(peer)
    name = "AprilRobotics apriltag, full resolution"
    what = f"tags found of {number} in photographs"
    return [
        row(what, ours, "", name, theirs, 1.0, more_is_better=True),
        row("detection in photographs", 1e3 * spent, "ms", name, 1e3 * their_time),
    ]


def _distance(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)))
