"""Meshes as primitives, against meshes of known shape."""

import numpy as np
import pytest
import trimesh

from inhand.training.mujoco_worlds.mesh_fit import Fit, fit_mesh, fit_points


def fit(mesh: trimesh.Trimesh) -> Fit:
    hull = mesh.convex_hull
    return fit_mesh(np.array(mesh.vertices), np.array(mesh.faces), np.array(hull.triangles))


TURN = trimesh.transformations.euler_matrix(0.3, -0.5, 0.9)


@pytest.mark.parametrize(
    ("mesh", "kind", "size"),
    [
        (trimesh.creation.box((0.02, 0.04, 0.06)), "box", [0.01, 0.02, 0.03]),
        (trimesh.creation.icosphere(4, 0.02), "sphere", [0.02]),
        (trimesh.creation.capsule(0.04, 0.01, count=(32, 32)), "capsule", [0.01, 0.02]),
    ],
)
def test_a_turned_primitive_is_found_again(
    mesh: trimesh.Trimesh, kind: str, size: list[float]
) -> None:
    mesh = mesh.copy()
    middle = mesh.bounds.mean(axis=0)
    mesh.apply_transform(TURN)
    mesh.apply_translation([0.1, 0.0, -0.05])
    found = fit(mesh)
    (part,) = found.parts
    assert part.kind == kind and found.gap < 2e-3 and found.convexity > 0.99
    np.testing.assert_allclose(sorted(part.size), sorted(size), rtol=0.08)
    center = trimesh.transform_points([middle], TURN)[0] + [0.1, 0.0, -0.05]
    np.testing.assert_allclose(part.center, center, atol=1e-3)


def test_a_bent_mesh_gets_several_primitives() -> None:
    """An L of two boxes, with a step in its longest direction."""
    parts = [
        trimesh.creation.box(bounds=[[0.0, 0.0, 0.0], [0.03, 0.01, 0.01]]),
        trimesh.creation.box(bounds=[[0.03, 0.0, 0.0], [0.06, 0.03, 0.01]]),
    ]
    found = fit(trimesh.util.concatenate(parts))
    assert len(found.parts) == 2 and {part.kind for part in found.parts} == {"box"}
    assert found.gap < 2e-3
    assert 0.7 < found.convexity < 0.9


def test_the_gap_is_the_largest_distance_between_the_surfaces() -> None:
    """A cone, whose surface another library samples."""
    cone = trimesh.creation.cone(0.01, 0.05)
    found = fit(cone)
    points = np.array(cone.sample(4000))
    signed = np.min([part.distance(points) for part in found.parts], axis=0)
    assert np.abs(signed).max() <= found.gap + 1e-4
    for part in found.parts:
        own = part.surface()
        others = [p.distance(own) for p in found.parts if p is not part]
        if others:
            own = own[np.min(others, axis=0) > 0]
        dense = np.array(cone.sample(20000))
        distances = [np.linalg.norm(dense - point, axis=1).min() for point in own]
        assert max(distances, default=0.0) <= found.gap + 5e-4


def test_an_ellipsoid_is_approximated() -> None:
    points = np.random.default_rng(0).normal(size=(2000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = fit_points(points * [0.01, 0.011, 0.03])
    assert found.gap < 0.004 and all(part.kind != "box" for part in found.parts)
