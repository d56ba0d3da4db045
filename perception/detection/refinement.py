"""Sub-pixel corners of a tag: intersections of lines fitted to the edges of its black square.

OpenCV's refinements use a few pixels around each corner. The edges are many times longer, and most
of their length stays visible if a finger covers one or two corners.
"""

import numpy as np

from inhand.perception.detection.sampling import sample
from inhand.perception.lens import Lens
from inhand.perception.rotations import Array
from inhand.perception.tags import MODULES, Image

SAMPLES = 16
"""Number of samples along an edge."""

STEPS = 9
"""Number of grey values across the edge at each sample."""

_FRACTION = np.linspace(0.06, 0.94, SAMPLES)
_OFFSETS = np.linspace(-1.0, 1.0, STEPS)
"""Where samples are along an edge, and where grey values are across it, as shares."""

_NEXT, _LAST, _OPPOSITE = (np.roll(np.arange(4), -by) for by in (1, -1, 2))
"""Numbers of the corners or edges of a tag after, before and opposite to each."""

MINIMUM_NOISE = 0.1
"""Least estimated corner noise [px]. Aliasing causes errors that the corners of a tag share, which
the scatter about the edges does not contain."""


def refine_corners(image: Image, quads: Array, lens: Lens | None = None) -> tuple[Array, Array]:
    """Fits the edges of tags.

    Args:
        image: grey, (height, width).
        quads: corners as detected, good to a pixel or two, clockwise, (k, 4, 2).
        lens: if it is wide, edges are as bent as it shows straight lines.

    Returns:
        corners: refined [px], (k, 4, 2); NaN where an edge could not be found.
        noise: standard deviation of a corner coordinate [px], (k,).
    """
    corners = np.asarray(quads, dtype=np.float64)
    scatter = np.full(len(corners), np.nan)
    for reach in (0.9, 0.6):
        corners, scatter = _refine_once(image, corners, reach, lens)
    # A line through n places fixes its end about twice as badly as its middle.
    noise = np.maximum(2.0 * scatter / np.sqrt(SAMPLES), MINIMUM_NOISE)
    return corners, noise


def _refine_once(
    image: Image, quads: Array, reach: float, lens: Lens | None
) -> tuple[Array, Array]:
    """One pass that searches `reach` modules to either side of each edge."""
    ends = quads[:, _NEXT]
    along = ends - quads
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = along / np.maximum(length, 1e-9)
    # Clockwise in an image with y down: the outside lies to the left of the direction of travel.
    outward = along[..., ::-1] * (1.0, -1.0)
    # Depth of the tag across each edge, from the middles of the edge and of its opposite.
    middle = (quads + ends) / 2
    across = np.einsum("kei,kei->ke", middle - middle[:, _OPPOSITE], outward)
    width = np.clip(reach * across / MODULES, 1.0, 4.0)
    places = quads[:, :, None] + (ends - quads)[:, :, None] * _FRACTION[:, None]
    if lens is not None and lens.wide and len(quads):
        places = _bent(lens, quads, ends, _FRACTION)
    offsets = _OFFSETS * width[..., None]
    points = places[:, :, :, None] + offsets[:, :, None, :, None] * outward[:, :, None, None]
    grey = sample(image, points)
    # The square is black and its surroundings white: the slope outward is positive.
    slope = np.maximum(grey[..., 1:] - grey[..., :-1], 0.0) ** 2
    total = slope.sum(axis=-1)
    centers = (offsets[..., 1:] + offsets[..., :-1]) / 2
    shift = np.einsum("kesj,kej->kes", slope, centers) / np.maximum(total, 1e-9)
    intercept, gradient, scatter = _fit_lines(_FRACTION - 0.5, shift, np.sqrt(total))
    # Two points of each fitted line, then the crossing of each edge with the one before it.
    start = quads + (intercept - gradient / 2)[..., None] * outward
    direction = (ends - quads) + gradient[..., None] * outward
    refined = _intersect(start[:, _LAST], direction[:, _LAST], start, direction)
    lost = np.linalg.norm(refined - quads, axis=-1).max(axis=-1) > 2 * width.max(axis=-1) + 1.0
    refined[lost] = np.nan
    return refined, scatter


def _bent(lens: Lens, start: Array, end: Array, fraction: Array) -> Array:
    """Places along straight edges as a lens shows them, (k, 4, s, 2) [px]."""
    ends = np.stack([start, end]).reshape(-1, 2)
    rays = lens.rays(np.nan_to_num(ends)).reshape(2, *start.shape)
    between = rays[0, :, :, None] + (rays[1] - rays[0])[:, :, None] * fraction[:, None]
    flat = np.clip(np.nan_to_num(between), -1e3, 1e3).reshape(-1, 2)
    return lens.project(np.column_stack([flat, np.ones(len(flat))])).reshape(between.shape)


def _fit_lines(position: Array, shift: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Weighted straight lines through each edge's measured shifts, outliers left out.

    Args:
        position: along the edge, -0.5 to 0.5, (s,).
        shift: [px], (k, 4, s).
        weight: strength of the edge at each place, (k, 4, s).

    Returns:
        intercept: [px], (k, 4).
        gradient: [px per edge length], (k, 4).
        scatter: standard deviation of a measured shift about its line [px], (k,).
    """
    # The strong edge of a finger must not dominate: weights are limited to their median.
    weight = np.minimum(weight, _median(weight)) + 1e-9
    for _ in range(3):
        total = weight.sum(axis=-1)
        mean_position = (weight @ position) / total
        mean_shift = np.einsum("kes,kes->ke", weight, shift) / total
        centered = position - mean_position[..., None]
        spread = np.einsum("kes,kes->ke", weight, centered**2)
        gradient = np.einsum("kes,kes->ke", weight * centered, shift) / np.maximum(spread, 1e-12)
        intercept = mean_shift - gradient * mean_position
        residual = shift - intercept[..., None] - gradient[..., None] * position
        typical = 1.4826 * _median(np.abs(residual)) + 0.03
        kept = np.abs(residual) < 3.0 * typical
        weight = np.where(kept, weight, 1e-9)
    variance = np.einsum("kes,kes->k", weight, residual**2) / weight.sum(axis=(-1, -2))
    return intercept, gradient, np.sqrt(variance)


def _median(values: Array) -> Array:
    """Median over the last axis, (..., 1); for few values, faster than NumPy's."""
    ordered = np.sort(values, axis=-1)
    last = values.shape[-1]
    middle: Array = (ordered[..., (last - 1) // 2] + ordered[..., last // 2]) / 2
    return middle[..., None]


def _intersect(point: Array, direction: Array, other: Array, other_direction: Array) -> Array:
    """Crossing of lines, (..., 2); NaN where they are parallel."""
    cross = _cross(direction, other_direction)
    safe = np.where(np.abs(cross) > 1e-6, cross, np.nan)
    along = _cross(other - point, other_direction) / safe
    return point + along[..., None] * direction


def _cross(one: Array, other: Array) -> Array:
    result: Array = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    return result
