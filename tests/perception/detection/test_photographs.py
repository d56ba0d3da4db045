"""Small tags, beside AprilRobotics' detector at full resolution: real photographs, and renders."""

import cv2
import numpy as np
import pytest

from benchmarks import photographs
from benchmarks.peers import april_robotics
from inhand.perception.detection.decoding import codes_of, match, read_bits
from inhand.perception.detection.tag_finder import TagFinder
from inhand.perception.rotations import Array
from inhand.perception.tags import FAMILY_SIZE, Image, family, tag_image

COLUMNS, ROWS = 12, 8
CELL = 50
"""Distance between two tags [px]."""


def with_white_edge(tag: int) -> Image:
    """A tag's official picture, a pixel a module, (10, 10)."""
    return np.pad(tag_image(tag, 1), 1, constant_values=255)


def small_tags(edge: float, rng: np.random.Generator) -> tuple[Image, dict[int, Array]]:
    """A page of slanted tags, as a cheap camera sees it: blurred, noisy, compressed.

    Args:
        edge: of the black squares [px].
        rng: draws shapes, light and noise.

    Returns:
        The image, and each tag's corners in it.
    """
    page = rng.normal(150.0, 4.0, (ROWS * CELL, COLUMNS * CELL))
    truth = {}
    for tag in range(ROWS * COLUMNS):
        middle = np.array([tag % COLUMNS + 0.5, tag // COLUMNS + 0.5]) * CELL
        square = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        angle = rng.uniform(0.0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = middle + edge * (square @ turn.T + rng.uniform(-0.06, 0.06, (4, 2)))
        scale = 8
        large = np.kron(with_white_edge(tag), np.ones((16, 16), dtype=np.uint8))
        inner = np.array([[16, 16], [144, 16], [144, 144], [16, 144]], dtype=np.float32) - 0.5
        left, top = (np.floor(middle) - CELL // 2).astype(int)
        at = (scale * (corners - (left, top) + 0.5) - 0.5).astype(np.float32)
        transform = cv2.getPerspectiveTransform(inner, at)
        cut = (CELL * scale, CELL * scale)
        drawn = cv2.warpPerspective(large, transform, cut, borderValue=(-1.0,))
        covered = cv2.warpPerspective(np.ones_like(large), transform, cut)
        grey = cv2.resize(drawn.astype(np.float32), (CELL, CELL), interpolation=cv2.INTER_AREA)
        share = cv2.resize(covered.astype(np.float32), (CELL, CELL), interpolation=cv2.INTER_AREA)
        part = page[top : top + CELL, left : left + CELL]
        part[:] = (1 - share) * part + share * (30 + 0.7 * grey)
        truth[tag] = corners
    blurred = cv2.GaussianBlur(page, (0, 0), 0.6) + rng.normal(0.0, 3.0, page.shape)
    sharp = np.clip(blurred, 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", sharp, [cv2.IMWRITE_JPEG_QUALITY, 85])
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return np.asarray(image, dtype=np.uint8), truth


def right(found: list[tuple[int, Array]], truth: dict[int, Array]) -> int:
    """How many tags were found where they are; corners in the official order."""
    return sum(
        any(id == tag and np.abs(place - corners).max() < 1.5 for id, place in found)
        for tag, corners in truth.items()
    )


def test_small_tags_are_found_as_by_april_robotics() -> None:
    """Over all sizes; of those of 14 px it finds 96 of 96, ours 91, and of 12 px 64, ours 85."""
    peer = april_robotics(decimation=1.0, ids=range(FAMILY_SIZE))
    assert peer is not None
    counts = np.zeros(2, dtype=int)
    for edge in (12.0, 14.0, 17.0, 20.0):
        image, truth = small_tags(edge, np.random.default_rng(7))
        found = TagFinder().find(image)
        ours = right(list(zip(found.ids, found.corners, strict=True)), truth)
        assert ours >= 80
        assert set(found.ids) <= truth.keys()
        counts += (ours, right(peer(image), truth))
    assert counts[0] >= counts[1]


@pytest.mark.skipif(not photographs.folder().is_dir(), reason="the photographs do not lie here")
def test_as_many_tags_as_by_april_robotics_in_real_photographs() -> None:
    peer = april_robotics(decimation=1.0, ids=range(FAMILY_SIZE))
    assert peer is not None
    theirs, number, _ = photographs.recalled(peer)
    ours, _, _ = photographs.recalled(photographs.find_tags)
    assert number == 47 and theirs == 44
    assert ours >= theirs


def test_squares_with_random_bits_are_no_tags() -> None:
    rng = np.random.default_rng(1)
    squares = rng.integers(0, 2, (20_000, 10, 10))
    squares[:, 1:9, 1:9][:, [0, -1]] = 0
    squares[:, 1:9, 1:9][:, :, [0, -1]] = 0
    squares[:, [0, -1]] = 1
    squares[:, :, [0, -1]] = 1
    # One long strip of squares with modules of one pixel.
    strip = np.concatenate(list(255 * squares), axis=1).astype(np.uint8)
    left = 10.0 * np.arange(len(squares))
    corners = np.array([[0.5, 0.5], [8.5, 0.5], [8.5, 8.5], [0.5, 8.5]])
    quads = corners + np.stack([left, np.zeros_like(left)], axis=-1)[:, None]
    tags, _ = match(read_bits(strip, quads, 6), codes_of(family()), 2)
    # 587 tags in 4 ways, 667 neighbours each, of 2^36: one in 44,000.
    assert (tags >= 0).sum() <= 3


def test_all_tags_are_read_in_all_four_ways() -> None:
    corners = np.array([[[0.5, 0.5], [8.5, 0.5], [8.5, 8.5], [0.5, 8.5]]])
    for tag in range(0, FAMILY_SIZE, 7):
        for turn in range(4):
            quads = np.roll(corners, turn, axis=1)
            bits = read_bits(with_white_edge(tag), quads, 6)
            found, first = match(bits, codes_of(family()), 0)
            assert (int(found[0]), int(first[0])) == (tag, turn)
