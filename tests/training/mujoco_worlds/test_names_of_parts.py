"""Names in models of others: links named like ours, meshes of one name in two folders."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import trimesh

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.stl import read_stl
from inhand.training.mujoco_worlds.hand_command import Import
from tests.training.mujoco_worlds.test_bad_models import MJCF, SPHERE, URDF

DRAWN = """<visual><geometry><mesh filename="{visual}"/></geometry></visual>
    <collision><geometry><mesh filename="{collision}"/></geometry></collision>"""
COLLISION = f"<collision><geometry>{SPHERE}</geometry></collision>"


@pytest.mark.parametrize("name", ["base", "mount"])
@pytest.mark.parametrize(("suffix", "text"), [(".urdf", URDF), (".xml", MJCF)])
def test_a_link_may_have_the_name_of_ours(
    tmp_path: Path, name: str, suffix: str, text: str
) -> None:
    path, out = tmp_path / f"hand{suffix}", tmp_path / "out.toml"
    path.write_text(text.replace('"palm"', f'"{name}"'))
    assert Import(path, out).run() == 0
    hand = load_hand(out)
    assert {"J1", "J2"} <= set(hand.joint_names)


def boxes(folder: Path) -> None:
    """A drawing of 8 cm and a collision shape of 2 cm, both called far.stl."""
    for kind, size in (("visual", 0.08), ("collision", 0.02)):
        (folder / kind).mkdir()
        trimesh.creation.box((size, size, size)).export(folder / kind / "far.stl")


def test_a_drawing_and_a_collision_shape_may_have_one_name(tmp_path: Path) -> None:
    boxes(tmp_path)
    drawn = DRAWN.format(visual="visual/far.stl", collision="collision/far.stl")
    path, out = tmp_path / "hand.urdf", tmp_path / "out.toml"
    path.write_text(URDF.replace(COLLISION, drawn))
    assert Import(path, out).run() == 0
    links = tomllib.loads(out.read_text())["links"]
    (far,) = (link for link in links if link["name"] == "far")
    (shape,) = far["shapes"]
    assert shape["size"] == pytest.approx([0.01, 0.01, 0.01])
    drawing = trimesh.load(tmp_path / far["drawings"][0]["file"])
    assert drawing.extents == pytest.approx([0.08, 0.08, 0.08])


def test_a_drawing_of_an_unknown_format_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes(tmp_path)
    (tmp_path / "visual/far.glb").write_bytes(b"glTF")
    drawn = DRAWN.format(visual="visual/far.glb", collision="collision/far.stl")
    path, out = tmp_path / "hand.urdf", tmp_path / "out.toml"
    path.write_text(URDF.replace(COLLISION, drawn))
    assert Import(path, out).run() == 0
    assert "left out: the drawing of far: visual/far.glb is not read" in capsys.readouterr().out
    path.write_text(URDF.replace(SPHERE, '<mesh filename="visual/far.glb"/>'))
    with pytest.raises(DescriptionError, match=r"link far: visual/far.glb .*convert it to STL"):
        Import(path, tmp_path / "other.toml").run()
    assert not (tmp_path / "other.toml").exists()


@pytest.mark.parametrize("place", ["meshes/u.stl", "../my_hand/u.stl"])
def test_meshes_of_a_ros_package_are_found_and_drawn(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "urdf"
    mesh = folder / place
    mesh.parent.mkdir(parents=True)
    folder.mkdir(exist_ok=True)
    trimesh.creation.box((0.01, 0.02, 0.03)).export(mesh)
    name = "package://my_hand/" + place.removeprefix("../my_hand/")
    text = URDF.replace(
        "<collision>",
        f'<visual><origin xyz="0 0 0.1"/><geometry><mesh filename="{name}"/></geometry></visual>'
        "<collision>",
        1,
    )
    (folder / "hand.urdf").write_text(text)
    assert Import(folder / "hand.urdf", tmp_path / "drawn.toml").run() == 0
    hand = load_hand(tmp_path / "drawn.toml")
    (drawing,) = hand.links[0].drawings
    corners = read_stl(hand.folder / drawing.file).reshape(-1, 3)
    np.testing.assert_allclose(np.ptp(corners, axis=0), [0.01, 0.02, 0.03], atol=1e-7)
    np.testing.assert_allclose(corners.mean(axis=0), [0.0, 0.0, 0.1], atol=1e-7)
    assert Import(folder / "hand.urdf", tmp_path / "plain.toml", shapes_only=True).run() == 0
    assert load_hand(tmp_path / "plain.toml").digest != hand.digest  # The names differ.
    assert "drawings" not in (tmp_path / "plain.toml").read_text()
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()].count("plain-meshes") == 0
