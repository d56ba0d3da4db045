"""Meshes as primitives: what collides in all engines in place of a mesh."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from inhand.hardware.records import Array

GOOD = 0.002
"""Largest gap at which no closer fit is looked for [m]."""
MOST_PARTS = 4
_SAMPLES = 12000
_SMALLEST = 1e-4


@dataclass(frozen=True)
class Primitive:
    """A primitive in the frame of the mesh.

    Attributes:
        kind: box, capsule or sphere.
        size: as in a hand file [m].
        center: [m], (3,).
        turn: its axes as columns, (3, 3).
    """

    kind: str
    size: tuple[float, ...]
    center: Array
    turn: Array

    def distance(self, points: Array) -> Array:
        """Signed distance of points, (n, 3), from the surface [m], (n,); negative inside."""
        local = (points - self.center) @ self.turn
        if self.kind == "box":
            beyond = np.abs(local) - np.array(self.size)
            outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
            return np.asarray(outside + np.minimum(beyond.max(axis=1), 0.0))
        half = self.size[1] if self.kind == "capsule" else 0.0
        local[:, 2] -= np.clip(local[:, 2], -half, half)
        return np.asarray(np.linalg.norm(local, axis=1) - self.size[0])

    def surface(self) -> Array:
        """Points on the surface, mesh frame [m], (n, 3)."""
        if self.kind == "box":
            steps = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3, indexing="ij"), -1)
            steps = steps.reshape(-1, 3)
            local = steps[np.abs(steps).max(axis=1) == 1.0] * np.array(self.size)
        else:
            half = self.size[1] if self.kind == "capsule" else 0.0
            around, along = np.meshgrid(
                np.linspace(0, 2 * np.pi, 16, endpoint=False), np.linspace(-1, 1, 13)
            )
            height, ring = along.ravel(), np.sqrt(1 - along.ravel() ** 2)
            flat = np.stack([np.cos(around.ravel()), np.sin(around.ravel())], axis=1)
            caps = self.size[0] * np.column_stack([flat * ring[:, None], height])
            caps[:, 2] += np.sign(height) * half
            sides = np.column_stack([self.size[0] * flat, half * height])
            local = np.concatenate([caps, sides])
        points: Array = self.center + local @ self.turn.T
        return points


@dataclass(frozen=True)
class Fit:
    """Primitives in place of a mesh.

    Attributes:
        parts: the primitives.
        gap: largest distance between their surface and that of the mesh [m].
        convexity: volume of the mesh over that of its convex hull; 1 where it cannot be told.
    """

    parts: tuple[Primitive, ...]
    gap: float
    convexity: float


def fit_mesh(vertices: Array, faces: Array, hull: Array) -> Fit:
    """The fewest primitives with a gap below `GOOD`; else, of up to `MOST_PARTS`, the closest.

    Args:
        vertices: of the mesh [m], (n, 3).
        faces: indices of their corners, (m, 3).
        hull: corners of the triangles of the convex hull [m], (k, 3, 3); may be empty.
    """
    corners = vertices[faces]
    whole, inside = _volume(corners), _volume(hull)
    convexity = min(1.0, whole / inside) if inside > 0 and whole > 0 else 1.0
    best = fit_points(_samples(vertices, corners), _face_axes(corners))
    return Fit(best.parts, best.gap, convexity)


def fit_points(points: Array, axes: Array | None = None) -> Fit:
    """As `fit_mesh`, for points on a surface [m], (n, 3).

    Args:
        points: on the surface [m], (n, 3).
        axes: directions in which the surface may be flat, as columns, (3, 3).
    """
    frames = [np.eye(3)] if axes is None else [np.eye(3), axes]
    best: Fit | None = None
    for number in range(1, MOST_PARTS + 1):
        for frame in frames:
            tried = [_closest(part, frames) for part in _slices(points, frame, number)]
            gap = _gap(tried, points)
            if best is None or gap < 0.9 * best.gap:
                best = Fit(tuple(tried), gap, 1.0)
        if best is not None and best.gap <= GOOD:
            break
    assert best is not None
    return best


def _volume(triangles: Array) -> float:
    """Volume inside a closed surface of triangles, (n, 3, 3) [m³]."""
    if not len(triangles):
        return 0.0
    a, b, c = np.moveaxis(triangles, 1, 0)
    return abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6


def _samples(vertices: Array, corners: Array) -> Array:
    """Points spread evenly over triangles, (m, 3, 3), and vertices, (k, 3) [m], (n, 3)."""
    areas = np.linalg.norm(_normals(corners), axis=1)
    if not areas.sum():
        return vertices
    rng = np.random.default_rng(0)
    chosen = corners[rng.choice(len(corners), _SAMPLES, p=areas / areas.sum())]
    weights = rng.dirichlet((1.0, 1.0, 1.0), _SAMPLES)
    spread = np.einsum("ij,ijk->ik", weights, chosen)
    if len(vertices) > _SAMPLES:
        vertices = vertices[rng.choice(len(vertices), _SAMPLES, replace=False)]
    return np.concatenate([vertices, spread])


def _normals(corners: Array) -> Array:
    """Normals of triangles, (n, 3, 3), as long as twice their areas, (n, 3)."""
    normals: Array = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals


def _face_axes(corners: Array) -> Array:
    """Three perpendicular directions of which most of the surface is flat, as columns, (3, 3)."""
    normals = _normals(corners)
    areas = np.linalg.norm(normals, axis=1)
    normals, areas = normals[areas > 0], areas[areas > 0]
    if not len(areas):
        return np.eye(3)
    units = normals / areas[:, None]
    # Triangles of one face have nearly the same normal.
    first = units[int(np.argmax(areas))]
    second = units - (units @ first)[:, None] * first
    across = areas * (np.abs(units @ first) < 0.05)
    if not across.any():
        return np.eye(3)
    second = second[int(np.argmax(across))]
    second = second / np.linalg.norm(second)
    return np.column_stack([first, second, np.cross(first, second)])


def _slices(points: Array, frame: Array, number: int) -> list[Array]:
    """Points in slices of equal length along their longest extent in a frame."""
    local = points @ frame
    along = local[:, int(np.argmax(np.ptp(local, axis=0)))]
    cuts = np.linspace(along.min(), along.max(), number + 1)
    cuts[[0, -1]] += np.array([-1.0, 1.0]) * _SMALLEST
    # What lies on a cut may be a face of either side.
    slices = [
        points[(along > a + 1e-9) & (along < b - 1e-9)]
        for a, b in zip(cuts[:-1], cuts[1:], strict=True)
    ]
    return [part for part in slices if len(part) >= 4] or [points]


def _closest(points: Array, frames: list[Array]) -> Primitive:
    """The primitive around points whose surface is closest to them."""
    few = points[:: max(1, len(points) // 2000)]
    principal = np.linalg.svd(few - few.mean(axis=0), full_matrices=False)[2].T
    if np.linalg.det(principal) < 0:
        principal[:, 2] *= -1
    tried = [
        make(points, axes) for axes in (*frames, principal) for make in (_box, _capsule, _sphere)
    ]
    errors = [float(np.abs(one.distance(points)).max()) for one in tried]
    return tried[int(np.argmin(errors))]


def _box(points: Array, axes: Array) -> Primitive:
    local = points @ axes
    low, high = local.min(axis=0), local.max(axis=0)
    half = np.maximum((high - low) / 2, _SMALLEST)
    return Primitive("box", tuple(half.tolist()), axes @ ((high + low) / 2), axes)


def _capsule(points: Array, axes: Array) -> Primitive:
    """A capsule along the longest extent, as wide as the points."""
    local = points @ axes
    order = np.roll(np.arange(3), -int(np.argmax(np.ptp(local, axis=0))) - 1)
    turn = axes[:, order]
    local = points @ turn
    low, high = local.min(axis=0), local.max(axis=0)
    radius = max(float((high - low)[:2].max()) / 2, _SMALLEST)
    half = max(float((high - low)[2]) / 2 - radius, _SMALLEST)
    return Primitive("capsule", (radius, half), turn @ ((high + low) / 2), turn)


def _sphere(points: Array, axes: Array) -> Primitive:
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    distances = np.linalg.norm(points - center, axis=1)
    radius = max(float(distances.min() + distances.max()) / 2, _SMALLEST)
    return Primitive("sphere", (radius,), center, axes)


def _gap(parts: list[Primitive], points: Array) -> float:
    """Largest distance between the surface of all parts together and points of a mesh [m]."""
    signed = np.min([part.distance(points) for part in parts], axis=0)
    gap = float(np.abs(signed).max())
    tree = cKDTree(points)
    for part in parts:
        own = part.surface()
        others: list[Callable[[Array], Array]] = [p.distance for p in parts if p is not part]
        if others:
            own = own[np.min([distance(own) for distance in others], axis=0) > -_SMALLEST]
        if len(own):
            gap = max(gap, float(tree.query(own)[0].max()))
    return gap
