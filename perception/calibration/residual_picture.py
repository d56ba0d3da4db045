"""Picture of a calibration's residuals: an arrow for each corner, and a bar for each picture."""

from collections.abc import Sequence

import cv2
import numpy as np

from inhand.perception.rotations import Array
from inhand.perception.tags import Image

LONGEST = 0.06
"""Length of the arrow of a large residual (95 % are smaller), in image widths."""

_PANEL = 260
_GOOD, _BAD, _TEXT = (0, 140, 0), (0, 0, 220), (40, 40, 40)


def residual_picture(
    image: Image,
    title: str,
    names: Sequence[str],
    pixels: Sequence[Array],
    errors: Sequence[Array],
    outliers: Sequence[bool] = (),
) -> Image:
    """Draws the residuals of a calibration over one of its pictures; BGR.

    Args:
        image: grey, (height, width).
        title: of the camera or the object.
        names: of the pictures.
        pixels: corners of each picture [px], (n, 2) each.
        errors: measured minus expected [px], (n, 2) each.
        outliers: which pictures contradict the others; they are red.
    """
    height, width = image.shape
    zoom = max(1.0, 640 / width)
    size = (round(width * zoom), round(height * zoom))
    faint = 255 - (255 - cv2.resize(image, size)) // 3
    canvas = np.full((max(size[1], 60 + 16 * len(names)), size[0] + _PANEL, 3), 255, np.uint8)
    canvas[: size[1], : size[0]] = faint[:, :, None]
    lengths = np.linalg.norm(np.concatenate([np.zeros((1, 2)), *errors]), axis=1)
    large = max(float(np.percentile(lengths, 95)), 1e-3)
    scale = LONGEST * width / large
    bad = [*outliers, *[False] * (len(names) - len(outliers))]
    rms = [float(np.sqrt(np.square(e).sum(axis=1).mean())) if len(e) else 0.0 for e in errors]
    for seen, error, outlier in zip(pixels, errors, bad, strict=True):
        for start, end in zip(seen, seen + scale * error, strict=True):
            ends = [tuple(int(round(zoom * float(x))) for x in point) for point in (start, end)]
            color = _BAD if outlier else _GOOD
            cv2.arrowedLine(canvas, ends[0], ends[1], color, 1, cv2.LINE_AA, 0, 0.25)
    left = size[0] + 10
    _write(canvas, title, (left, 18), 0.5)
    _write(canvas, f"arrows x {scale:.0f}; bars: residual [px]", (left, 36), 0.4)
    for k, (name, value, outlier) in enumerate(zip(names, rms, bad, strict=True)):
        down = 50 + 16 * k
        right = left + round(120 * value / max(*rms, 1e-9))
        cv2.rectangle(canvas, (left, down), (right, down + 10), _BAD if outlier else _GOOD, -1)
        _write(canvas, f"{value:.2f}  {name}", (left + 124, down + 10), 0.35)
    return canvas


def _write(canvas: Image, text: str, at: tuple[int, int], size: float) -> None:
    ascii_only = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, ascii_only, at, cv2.FONT_HERSHEY_SIMPLEX, size, _TEXT, 1, cv2.LINE_AA)
