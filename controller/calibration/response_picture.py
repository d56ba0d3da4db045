"""Picture of the measured joint motion and of the fitted model's."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from inhand.hardware.identification.fit import Samples
from inhand.hardware.records import Array
from inhand.perception.pictures import write_picture
from inhand.perception.tags import Image

_WIDTH, _HEIGHT, _MARGIN = 900, 160, 24
_MEASURED, _MODEL, _TARGET = (60, 60, 60), (0, 120, 230), (200, 200, 200)


def draw_responses(path: Path, rows: Sequence[tuple[str, Samples, Array]]) -> None:
    """Writes a PNG with a panel for each joint: target grey, measured black, model orange.

    Args:
        path: of the picture.
        rows: caption, samples, and the model's angles at their times [rad], (n,).

    Raises:
        WriteError: it cannot be written.
    """
    write_picture(path, np.concatenate([_panel(*row) for row in rows]))


def _panel(caption: str, samples: Samples, model: Array) -> Image:
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, dtype=np.uint8)
    low = min(samples.targets.min(), samples.position.min())
    high = max(samples.targets.max(), samples.position.max())
    begin, end = samples.sent_at[0], samples.sent_at[-1]

    def curve(t: Array, angles: Array, colour: tuple[int, int, int]) -> None:
        x = _MARGIN / 2 + (_WIDTH - _MARGIN) * (t - begin) / (end - begin)
        y = _HEIGHT - _MARGIN / 2 - (_HEIGHT - 2 * _MARGIN) * (angles - low) / (high - low + 1e-9)
        points = np.rint(np.stack([x, y], axis=1)).astype(np.int32)
        cv2.polylines(canvas, [points], False, colour, 1, cv2.LINE_AA)

    curve(samples.sent_at, samples.targets, _TARGET)
    curve(samples.t, samples.position, _MEASURED)
    curve(samples.t, model, _MODEL)
    cv2.putText(canvas, caption, (8, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas
