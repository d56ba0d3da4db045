"""Meshes for drawing."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.stl import read_stl, write_stl


def test_another_library_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    box = trimesh.creation.box((0.01, 0.02, 0.03))
    write_stl(tmp_path / "a.stl", np.array(box.triangles))
    read = trimesh.load(tmp_path / "a.stl", force="mesh")
    np.testing.assert_allclose(read.bounds, box.bounds, atol=1e-8)
    box.export(tmp_path / "b.stl")
    np.testing.assert_allclose(read_stl(tmp_path / "b.stl"), box.triangles, atol=1e-8)


def test_what_is_no_drawing_is_refused(tmp_path: Path) -> None:
    box = trimesh.creation.box((10.0, 20.0, 30.0))
    box.export(tmp_path / "mm.stl")
    box.export(tmp_path / "text.stl", file_type="stl_ascii")
    (tmp_path / "short.stl").write_bytes((tmp_path / "mm.stl").read_bytes()[:-7])
    (tmp_path / "empty.stl").write_bytes(b"")
    for name, words in (
        ("none.stl", "No such file"),
        ("mm.stl", "is 30 m long; lengths are in metres, not millimetres"),
        ("text.stl", "no binary STL; convert it"),
        ("short.stl", "no binary STL"),
        ("empty.stl", "no binary STL"),
    ):
        with pytest.raises(DescriptionError, match=words):
            read_stl(tmp_path / name)
