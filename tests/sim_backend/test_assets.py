"""Mesh and texture of the objects."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.rotations import Array
from inhand.perception.tags import family
from inhand.sim_backend.assets import write_object_assets
from inhand.sim_backend.scene import resized


def read_mesh(path: Path) -> tuple[Array, Array, list[list[tuple[int, int]]]]:
    """Vertices, texture coordinates and faces (pairs of their indices, from 0)."""
    vertices, coordinates, faces = [], [], []
    for line in path.read_text().splitlines():
        kind, *rest = line.split()
        if kind == "v":
            vertices.append([float(value) for value in rest])
        elif kind == "vt":
            coordinates.append([float(value) for value in rest])
        elif kind == "f":
            corners = [[int(i) - 1 for i in corner.split("/")] for corner in rest]
            faces.append([(corner[0], corner[1]) for corner in corners])
    return np.array(vertices), np.array(coordinates), faces


@pytest.mark.parametrize("name", ["block", "prism"])
def test_the_mesh_is_the_object(name: str, tmp_path: Path) -> None:
    description = load_object(name)
    assets = write_object_assets(description, tmp_path)
    vertices, coordinates, faces = read_mesh(assets.mesh)
    assert {tuple(v) for v in np.round(vertices, 7)} == {
        tuple(v) for v in np.round(description.vertices, 7)
    }
    assert (coordinates >= 0).all() and (coordinates <= 1).all()
    volume = 0.0
    for face in faces:
        a, b, c = (vertices[index] for index, _ in face)
        # Outward: the signed volume under every triangle of a convex shape is positive.
        assert np.cross(b - a, c - a) @ a > 0
        volume += float(np.cross(b - a, c - a) @ a) / 6
    x, y, z = description.size
    area = x * y if description.shape == "box" else 8 * (x / 2) ** 2 * np.tan(np.pi / 8)
    assert volume == pytest.approx(area * z, rel=1e-6)


@pytest.mark.parametrize("name", ["block", "prism"])
def test_every_tag_is_on_its_face_where_the_description_says(name: str, tmp_path: Path) -> None:
    description = load_object(name)
    assets = write_object_assets(description, tmp_path)
    atlas = cv2.imread(str(assets.texture), cv2.IMREAD_GRAYSCALE)
    assert atlas is not None
    found, ids, _ = cv2.aruco.ArucoDetector(family()).detectMarkers(atlas)
    seen = {int(tag): quad[0] for tag, quad in zip(ids.ravel(), found, strict=True)}
    assert sorted(seen) == sorted(tag.id for tag in description.tags)
    vertices, coordinates, faces = read_mesh(assets.mesh)
    height, width = atlas.shape
    pixels = np.column_stack([coordinates[:, 0] * width, (1 - coordinates[:, 1]) * height]) - 0.5
    for tag in description.tags:
        # The affine map of the triangle that lies in the tag's plane, from metres to pixels.
        plane = next(
            face
            for face in faces
            if np.abs((vertices[[i for i, _ in face]] - tag.position) @ _normal(tag.corners)).max()
            < 1e-6
        )
        corners = np.column_stack([vertices[[i for i, _ in plane]], np.ones(3)])
        to_pixels = np.linalg.pinv(corners) @ pixels[[j for _, j in plane]]
        expected = np.column_stack([tag.corners, np.ones(4)]) @ to_pixels
        np.testing.assert_allclose(seen[tag.id], expected, atol=1.5)


def _normal(corners: Array) -> Array:
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    unit: Array = normal / np.linalg.norm(normal)
    return unit


def test_a_moved_tag_is_drawn_where_it_moved(tmp_path: Path) -> None:
    block = load_object("block")
    tags = list(block.tags)
    tags[4] = replace(tags[4], position=tags[4].position + [0.002, 0.0, 0.0])
    usual = write_object_assets(block, tmp_path / "usual")
    moved = write_object_assets(replace(block, tags=tuple(tags)), tmp_path / "moved")
    one, other = (cv2.imread(str(assets.texture)) for assets in (usual, moved))
    assert one is not None and other is not None and (one != other).any()


def test_a_larger_object_keeps_its_printed_tags() -> None:
    block: ObjectDescription = load_object("block")
    larger = resized(block, 1.1)
    assert larger.size == pytest.approx((0.0605,) * 3)
    for old, new in zip(block.tags, larger.tags, strict=True):
        assert new.size == old.size
        np.testing.assert_allclose(new.position, 1.1 * old.position)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_object_assets(load_object("block"), tmp_path / "file")
