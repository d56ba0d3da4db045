"""Collision shapes of a model of others as primitives of a hand file."""

from typing import Any

import mujoco
import numpy as np

from inhand.hardware.model.turning import matrix_rpy
from inhand.hardware.records import Array
from inhand.perception import rotations

_KINDS = {
    mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
}
_NUMBERS = {"box": 3, "capsule": 2, "cylinder": 2, "sphere": 1}


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
    for geom in np.flatnonzero(model.geom_bodyid == body).tolist():
        if not (model.geom_contype[geom] or model.geom_conaffinity[geom]):
            continue
        name = model.geom(geom).name or f"{geom} of {model.body(body).name}"
        turn = rotations.to_matrix(model.geom_quat[geom])
        place = model.geom_pos[geom] - shift
        kind = _KINDS.get(mujoco.mjtGeom(model.geom_type[geom]))
        if kind is not None:
            size = model.geom_size[geom, : _NUMBERS[kind]].tolist()
        elif model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            kind, size, center, gap = _box_of(model, int(model.geom_dataid[geom]))
            place = place + turn @ center
            notes.append(
                f"approximated: mesh {name} by a box; its largest gap to the mesh is "
                f"{1000 * gap:.1f} mm"
            )
        else:
            word = mujoco.mjtGeom(model.geom_type[geom]).name.removeprefix("mjGEOM_").lower()
            notes.append(f"left out: shape {name}, a {word}")
            continue
        shapes.append(
            {
                "kind": kind,
                "size": size,
                "position": place.tolist(),
                "rpy": list(matrix_rpy(turn)),
            }
        )
    return shapes


def _box_of(model: mujoco.MjModel, mesh: int) -> tuple[str, list[float], Array, float]:
    """The box around a mesh, and the largest distance from the box's surface to the mesh [m]."""
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    points = np.asarray(model.mesh_vert[first : first + count], dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    half, center = (high - low) / 2, (high + low) / 2
    start, number = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    corners = points[model.mesh_face[start : start + number]]
    surface = np.concatenate(
        [points, corners.mean(axis=1), (corners + corners[:, [1, 2, 0]]).reshape(-1, 3) / 2]
    )
    steps = np.stack(np.meshgrid(*[np.linspace(-1, 1, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    outside = center + half * steps[np.abs(steps).max(axis=1) == 1.0]
    gap = max(float(np.linalg.norm(surface - at, axis=1).min()) for at in outside)
    return "box", np.maximum(half, 1e-4).tolist(), center, gap
