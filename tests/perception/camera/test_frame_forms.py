"""Frames in the forms that drivers deliver become grey, or keep their colours."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from inhand.perception.camera.live import decoded
from inhand.perception.errors import PerceptionError


def grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


@pytest.mark.parametrize(
    "form",
    [
        lambda bgr: grey(bgr),
        lambda bgr: grey(bgr)[:, :, None],
        lambda bgr: bgr,
        lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA),
        lambda bgr: np.stack([grey(bgr), np.full(bgr.shape[:2], 128, np.uint8)], axis=-1),
        lambda bgr: grey(bgr).astype(np.uint16) * 257,
        lambda bgr: grey(bgr).astype(np.uint16) * 4,
        lambda bgr: cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, 100))[1].reshape(1, -1),
    ],
)
def test_frames_of_every_form_become_grey(form: Callable[[np.ndarray], np.ndarray]) -> None:
    bgr = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8), (64, 48))
    bgr[0, 0] = 255
    image = decoded(form(bgr))
    assert image.shape == (48, 64) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - grey(bgr)).max() <= 4


@pytest.mark.parametrize(
    "form",
    [
        lambda bgr: bgr,
        lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA),
        lambda bgr: cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, 100))[1].reshape(1, -1),
    ],
)
def test_frames_keep_their_colours_for_a_network(form: Callable[[np.ndarray], np.ndarray]) -> None:
    bgr = np.full((48, 64, 3), (200, 90, 30), np.uint8)
    image = decoded(form(bgr), color=True)
    assert np.abs(image.astype(int) - [30, 90, 200]).max() <= 4
    assert decoded(grey(bgr), color=True).shape == (48, 64)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_frames_of_no_known_form_are_refused(image: np.ndarray) -> None:
    with pytest.raises(PerceptionError, match="not supported"):
        decoded(image)
