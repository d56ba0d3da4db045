"""Plot of a camera's latency: image motion of the object, measured and by the encoders."""

import cv2
import numpy as np

from inhand.perception.calibration.latency import LatencyReport
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

SIZE = (960, 360)
SPAN = 6.0
"""Plotted part of the recording, around its fastest motion [s]."""

_SEEN, _FOLLOWED, _UNSHIFTED = (0, 0, 0), (0, 160, 0), (0, 100, 230)
_MARGIN = 40


def delay_picture(report: LatencyReport) -> Image:
    """Plots image shifts over time, along the direction of the largest motion; BGR."""
    width, height = SIZE
    canvas = np.full((height, width, 3), 255, dtype=np.uint8)
    direction = np.linalg.svd(report.followed - report.followed.mean(axis=0))[2][0]
    start = _busiest(report.t, report.followed @ direction)
    chosen = (report.t >= start) & (report.t <= start + SPAN)
    t = (report.t[chosen] - start) / SPAN
    curves = [(x[chosen] @ direction) for x in (report.seen, report.unshifted, report.followed)]
    low, high = min(c.min() for c in curves), max(c.max() for c in curves)
    across = _MARGIN + t * (width - 2 * _MARGIN)
    for curve, color in zip(curves, (_SEEN, _UNSHIFTED, _FOLLOWED), strict=True):
        down = height - _MARGIN - (curve - low) / max(high - low, 1e-9) * (height - 3 * _MARGIN)
        path = np.round(np.column_stack([across, down])).astype(np.int32)
        if color == _SEEN:
            for x, y in path.tolist():
                cv2.circle(canvas, (x, y), 3, color, 1, cv2.LINE_AA)
        else:
            cv2.polylines(canvas, [path], False, color, 1, cv2.LINE_AA)
    found = f"{1000 * report.camera.latency:.1f} +- {1000 * report.deviation:.1f} ms"
    texts = (
        (f"{report.camera.name}: seen", _SEEN),
        ("joints, as stamped", _UNSHIFTED),
        (f"joints, camera {found} late", _FOLLOWED),
    )
    for k, (text, color) in enumerate(texts):
        at = (_MARGIN + 280 * k, 28)
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)
    scale = f"{high - low:.0f} px high, {SPAN:.0f} s long"
    at = (_MARGIN, height - 12)
    cv2.putText(canvas, scale, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _SEEN, 1, cv2.LINE_AA)
    return canvas


def _busiest(t: Array, path: Array) -> float:
    """Start of the interval of length `SPAN` in which the path is longest [s]."""
    travelled = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(path)))])
    ends = np.searchsorted(t, t + SPAN, side="right") - 1
    return float(t[np.argmax(travelled[ends] - travelled)])
