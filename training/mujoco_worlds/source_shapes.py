"""Shapes of a source model: primitives for collisions, and meshes for drawing."""

from typing import Any

import mujoco
import numpy as np

from inhand.hardware.model.turning import matrix_rpy
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.mujoco_worlds.mesh_fit import Fit, fit_mesh, fit_points

_KINDS = {
    mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
}
_NUMBERS = {"box": 3, "capsule": 2, "cylinder": 2, "sphere": 1}
_CONVEX = 0.9
"""Share of its convex hull that a mesh fills at least to count as convex."""


def shapes_of(
    model: mujoco.MjModel, body: int, shift: Array, notes: list[str]
) -> list[dict[str, Any]]:
    """Shapes of a body that collide.

    Args:
        model: the compiled model.
        body: its number.
        shift: origin of the link's frame in that of the body [m], (3,).
        notes: gets what is left out or approximated.
    """
    shapes = []
    fits: list[tuple[str, Fit]] = []
    for geom in np.flatnonzero(model.geom_bodyid == body).tolist():
        if not (model.geom_contype[geom] or model.geom_conaffinity[geom]):
            continue
        turn = rotations.to_matrix(model.geom_quat[geom])
        place = model.geom_pos[geom] - shift
        kind = _KINDS.get(mujoco.mjtGeom(model.geom_type[geom]))
        if kind is not None:
            size = model.geom_size[geom, : _NUMBERS[kind]].tolist()
            shapes.append(_shape(kind, size, place, turn))
            continue
        word = mujoco.mjtGeom(model.geom_type[geom]).name.removeprefix("mjGEOM_").lower()
        name = f"{word} {model.geom(geom).name}".rstrip()
        fit = _fit(model, geom)
        if fit is None:
            notes.append(f"left out: {name} of {model.body(body).name}")
            continue
        fits.append((name, fit))
        shapes += [
            _shape(part.kind, list(part.size), place + turn @ part.center, turn @ part.turn)
            for part in fit.parts
        ]
    if fits:
        notes.append(_told(model.body(body).name, fits))
    return shapes


def drawing_of(model: mujoco.MjModel, body: int, shift: Array) -> Array:
    """Triangles of what a body's meshes draw, link frame [m], (n, 3, 3); n is 0 without meshes.

    Meshes that collide are drawn where there are no others.
    """
    meshes = np.flatnonzero(
        (model.geom_bodyid == body) & (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)
    )
    collides = (model.geom_contype[meshes] != 0) | (model.geom_conaffinity[meshes] != 0)
    drawn = meshes[~collides] if not collides.all() else meshes
    triangles = [np.zeros((0, 3, 3))]
    for geom in drawn.tolist():
        vertices, faces, _ = _mesh(model, int(model.geom_dataid[geom]))
        turn = rotations.to_matrix(model.geom_quat[geom])
        triangles.append((vertices @ turn.T + model.geom_pos[geom] - shift)[faces])
    return np.concatenate(triangles)


def _shape(kind: str, size: list[float], place: Array, turn: Array) -> dict[str, Any]:
    return {
        "kind": kind,
        "size": size,
        "position": place.tolist(),
        "rpy": list(matrix_rpy(turn)),
    }


def _told(body: str, fits: list[tuple[str, Fit]]) -> str:
    """What became of the meshes and ellipsoids of one body."""
    kinds = [part.kind for _, fit in fits for part in fit.parts]
    parts = " and ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    names = fits[0][0] if len(fits) == 1 else f"{len(fits)} meshes"
    text = (
        f"approximated: {names} of {body} by {parts}; the largest gap between their surfaces is "
        f"{1000 * max(fit.gap for _, fit in fits):.1f} mm"
    )
    if hollow := [(name, fit) for name, fit in fits if fit.convexity < _CONVEX]:
        filled = 100 * min(fit.convexity for _, fit in hollow)
        text += (
            f"; {', '.join(name for name, _ in hollow)} not convex (fills {filled:.0f} % of the "
            "hull): for a closer fit, split it into convex meshes in the model, with CoACD or by "
            "hand"
        )
    return text


def _fit(model: mujoco.MjModel, geom: int) -> Fit | None:
    """Primitives for a mesh or an ellipsoid; None for what is no body."""
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
        return fit_mesh(*_mesh(model, int(model.geom_dataid[geom])))
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        sphere = np.random.default_rng(0).normal(size=(3000, 3))
        sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
        return fit_points(sphere * model.geom_size[geom])
    return None


def _mesh(model: mujoco.MjModel, mesh: int) -> tuple[Array, Array, Array]:
    """Vertices [m], (n, 3), faces, (m, 3), and triangles of the hull, (k, 3, 3)."""
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    vertices = np.asarray(model.mesh_vert[first : first + count], dtype=np.float64)
    start, number = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    faces = np.asarray(model.mesh_face[start : start + number])
    graph = int(model.mesh_graphadr[mesh])
    if graph < 0:
        return vertices, faces, np.zeros((0, 3, 3))
    # Layout: two counts, two lists of vertices, one of edges, and then the faces' vertices.
    n, m = model.mesh_graph[graph : graph + 2].tolist()
    at = graph + 2 + 3 * n + 3 * m
    hull = model.mesh_graph[at : at + 3 * m].reshape(m, 3)
    return vertices, faces, vertices[hull]
