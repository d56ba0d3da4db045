"""Models that are no hands: what is wrong is named, with what to do, and nothing is written."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from inhand.hardware.errors import DescriptionError
from inhand.training.mujoco_worlds.hand_command import Import

LIMIT = '<limit lower="-1" upper="1" effort="1" velocity="1"/>'
INERTIAL = """<inertial><mass value="0.02"/>
    <inertia ixx="1e-5" iyy="1.1e-5" izz="1.2e-5" ixy="0" ixz="0" iyz="0"/></inertial>"""
URDF = f"""<robot name="two">
  <link name="palm">{INERTIAL}</link>
  <link name="near">{INERTIAL}
    <collision><geometry><cylinder radius="0.01" length="0.03"/></geometry></collision></link>
  <link name="far"><inertial><mass value="0.03"/>
    <inertia ixx="2e-5" iyy="2e-5" izz="2e-5" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><sphere radius="0.01"/></geometry></collision></link>
  <joint name="J2" type="revolute"><parent link="palm"/><child link="near"/>
    <origin xyz="0.01 0.02 0.03"/><axis xyz="0 1 0"/>{LIMIT}</joint>
  <joint name="J1" type="revolute"><parent link="near"/><child link="far"/>
    <origin xyz="0 0 0.04"/><axis xyz="1 0 0"/>{LIMIT}</joint>
</robot>"""
SPHERE = '<sphere radius="0.01"/>'
THIRD = '<joint name="J0" type="revolute"><parent link="{0}"/><child link="{1}"/></joint></robot>'

MJCF = """<mujoco><compiler angle="radian" autolimits="true"/><worldbody><body name="palm">
<geom type="box" size="0.04 0.04 0.01"/><body name="near" pos="0 0 0.02">
<joint name="J2" axis="0 1 0" range="-1 1"/><geom type="capsule" size="0.01 0.02"/>
<body name="far" pos="0 0 0.04"><joint name="J1" axis="1 0 0" range="-1 1"/>
<geom name="g" type="capsule" size="0.01 0.02"/></body></body></body></worldbody></mujoco>"""
CAPSULE = 'name="g" type="capsule" size="0.01 0.02"'


def refused(path: Path, text: str) -> str:
    """What the import says about a model."""
    path.write_text(text)
    out = path.with_suffix(".toml")
    with pytest.raises(DescriptionError) as caught:
        Import(path, out).run()
    assert {file.suffix for file in path.parent.iterdir()} <= {path.suffix, ".stl"}
    said = str(caught.value)
    assert said.startswith(str(path))
    return said.removeprefix(str(path))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"J1" type="revolute"', '"J1" type="ball"', "joint J1 is a ball joint; replace it"),
        ('"J1" type="revolute"', '"J1" type="spherical"', "J1 is a spherical joint; replace it"),
        ('"J1" type="revolute"', '"J1" type="prismatic"', "joint J1 is a slide joint; a hand has"),
        ('"J1" type="revolute"', '"J1" type="planar"', "joint J1 is a planar joint; replace it"),
        ('"J1" type="revolute"', '"J1" type="floating"', "joint J1 is a floating joint; fix it"),
        ('"J1" type="revolute"', '"J1" type="hinge"', "J1 is a hinge joint; URDF has revolute"),
        (f'<axis xyz="1 0 0"/>{LIMIT}', '<axis xyz="1 0 0"/>', "J1 has no range; give it limits"),
        ('lower="-1" upper="1"', 'lower="1" upper="-1"', "J2: its lower limit 1.0 is above"),
        ('lower="-1" upper="1"', 'lower="-60" upper="60"', "J2 has the range [-60, 60].*degrees"),
        ("</robot>", THIRD.format("palm", "far"), "link far has two parents.*leave one joint out"),
        ("</robot>", THIRD.format("far", "palm"), "link palm is in a loop.*leave one joint out"),
        ("</robot>", '<link name="x"/></robot>', "links palm, x have no parent.*one base"),
        ('<child link="far"/>', '<child link="fra"/>', "its child 'fra' is no link.*correct"),
        ('name="J1"', 'name="J2"', "joint J2 is there twice; give each joint a name"),
        ('<link name="far">', '<link name="near">', "link near is there twice; give each link"),
        (SPHERE, '<mesh filename="package://my_hand/x.stl"/>', "x.stl.*folder of that ROS package"),
        (SPHERE, '<mesh filename="x.stl"/>', "x.stl.*put the file where the model names it"),
        ('xyz="0 0 0.04"', 'xyz="0 0 40"', "reaches 40 m.*millimetres.*must be in metres"),
        ('xyz="0 0 0.04"', 'xyz="0 0 nan"', "joint J1: <origin xyz> has 'nan'; give a number"),
        ('xyz="0 0 0.04"', 'xyz="0 0"', "joint J1: <origin xyz> has 2 numbers; give 3"),
        ('lower="-1"', 'lower="minus one"', "joint J2: <limit lower> has 'minus'; give a number"),
        ('upper="1"', 'upper=""', "joint J2: <limit upper> has 0 numbers; give 1"),
        ('<mass value="0.03"/>', '<mass value="thirty"/>', "far: <mass value> has 'thirty'; give"),
        ('<mass value="0.03"/>', '<mass value="30"/>', "far weighs 30 kg.*give kilograms"),
        ('<axis xyz="1 0 0"/>', '<axis xyz="0 0 0"/>', "J1: its axis has no direction; give one"),
        ('<sphere radius="0.01"/>', '<sphere radius="0"/>', "must be positive.*give that shape"),
        ('ixx="2e-5"', 'ixx="-2e-5"', "'far'.*no body can have it"),
        ('ixx="2e-5" iyy="2e-5" izz="2e-5"', 'ixx="0" iyy="0" izz="0"', "'far'.*<inertial>"),
        ('<mass value="0.03"/>', '<mass value="0"/>', "'far'.*<inertial> with mass"),
        (
            '<axis xyz="1 0 0"/>',
            '<axis xyz="1 0 0"/><mimic joint="J9"/>',
            "J1 follows 'J9'.*<mimic>",
        ),
        (
            '<axis xyz="1 0 0"/>',
            '<axis xyz="1 0 0"/><mimic joint="J2" multiplier="0"/>',
            "ratio 0.*fix it",
        ),
        ('<robot name="two">', '<robot xmlns:xacro="x"><xacro:include/>', "expand them first"),
        ("</robot>", "", "it is no XML"),
    ],
)
def test_a_urdf_that_is_no_hand(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in URDF
    said = refused(tmp_path / "bad.urdf", URDF.replace(old, new, 1))
    for word in words.split(".*"):
        assert word in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name="J1" axis="1 0 0" range="-1 1"', 'name="J1" type="ball"', "J1 is a ball joint"),
        ('"J1" axis', '"J1" type="slide" axis', "J1 is a slide joint; replace it by hinges"),
        ('"J1" axis="1 0 0" range="-1 1"', '"J1" axis="1 0 0"', "J1 has no range; give it limits"),
        ('range="-1 1"', 'range="-60 60"', "J2 has the range [-60, 60] rad.*degrees"),
        ('name="J1"', 'name="J2"', "repeated name 'J2'.*name of its own"),
        ('name="far"', 'name="near"', "repeated name 'near'.*name of its own"),
        ('pos="0 0 0.04"', 'pos="0 0 40"', "reaches 40 m.*millimetres"),
        (f"<geom {CAPSULE}/>", "", "'far'.*<inertial> with mass and inertia"),
        (CAPSULE, f'{CAPSULE} mass="0"', "'far'.*<inertial> with mass and inertia"),
        (
            '"near" pos="0 0 0.02">',
            '"near"><joint axis="0 0 1" range="-1 1"/>',
            "near has 2 joints",
        ),
        (
            "</mujoco>",
            '<equality><weld body1="palm" body2="far"/></equality></mujoco>',
            "closes a loop.*leave it out",
        ),
        (
            "</mujoco>",
            '<equality><connect body1="palm" body2="far" anchor="0 0 0"/></equality></mujoco>',
            "closes a loop.*leave it out",
        ),
        (
            "</worldbody>",
            '<body name="cube"><freejoint/><geom size="0.01"/></body></worldbody>',
            "joint of cube is a free joint; import the hand's own file, without a scene",
        ),
        ("<worldbody>", '<include file="bad.xml"/><worldbody>', "already included.*leave that"),
        ('"J1" axis="1 0 0"', '"J1" axis="0 0 0"', "axis too small.*give the joint an axis"),
        ("<worldbody>", '<option apirate="1"/><worldbody>', "apirate.*take it out"),
        ("</mujoco>", "", "it is no XML"),
    ],
)
def test_an_mjcf_that_is_no_hand(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in MJCF
    said = refused(tmp_path / "bad.xml", MJCF.replace(old, new, 1))
    for word in words.split(".*"):
        assert word in said


@pytest.mark.parametrize(
    ("pairs", "offset", "words"),
    [
        ([("J1", "J2"), ("J2", "J1")], 0, "J1 follows J2, which follows it, too; one of these"),
        ([("J1", "J2"), ("J1", "J0")], 0, "J1 follows two joints, J2 and J0; leave one out"),
        ([("J1", "J2")], 3, "J1 follows J2, and leaves it no range.*correct ratio, offset"),
    ],
)
def test_couplings_that_no_hand_has(
    tmp_path: Path, pairs: list[tuple[str, str]], offset: float, words: str
) -> None:
    text = MJCF.replace(
        'name="near" pos="0 0 0.02">',
        'name="low"><joint name="J0" range="-1 1"/><geom size="0.01"/></body><body name="near">',
    )
    coupled = "".join(
        f'<joint joint1="{one}" joint2="{two}" polycoef="{offset} 1 0 0 0"/>' for one, two in pairs
    )
    text = text.replace("</mujoco>", f"<equality>{coupled}</equality></mujoco>")
    path = tmp_path / "coupled.xml"
    path.write_text(text)
    with pytest.raises(DescriptionError, match=words):
        Import(path, tmp_path / "out.toml").run()


@pytest.mark.parametrize("joints", [0, 60])
@pytest.mark.parametrize("suffix", [".urdf", ".xml"])
def test_a_model_without_joints_or_with_too_many(tmp_path: Path, joints: int, suffix: str) -> None:
    if suffix == ".urdf":
        parts = [f'<link name="l{i}">{INERTIAL}</link>' for i in range(joints + 1)]
        parts += [
            f'<joint name="j{i}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/>'
            f'<origin xyz="0 0 0.01"/>{LIMIT}</joint>'
            for i in range(joints)
        ]
        text = f'<robot name="many">{"".join(parts)}</robot>'
    else:
        body = '<geom size="0.001"/>'
        for number in range(joints):
            body = f'<geom size="0.001"/><body><joint name="j{number}" range="-1 1"/>{body}</body>'
        text = (
            '<mujoco><compiler angle="radian" autolimits="true"/><worldbody><body>'
            f"{body}</body></worldbody></mujoco>"
        )
    said = refused(tmp_path / f"many{suffix}", text)
    assert f"the model has {joints} joints" in said and "one hand alone" in said


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    for name, words in (("hand.usd", "give a URDF"), ("none.xml", "No such file")):
        with pytest.raises(DescriptionError, match=words):
            Import(tmp_path / name, tmp_path / "out.toml").run()
    assert "URDF or MJCF" in refused(tmp_path / "page.xml", "<html></html>")


def hollow() -> trimesh.Trimesh:
    """A mesh like a U, which fills 5/8 of its convex hull [m]."""
    boxes = ([[0, 0, 0], [4, 1, 2]], [[0, 1, 0], [1, 4, 2]], [[3, 1, 0], [4, 4, 2]])
    parts = [trimesh.creation.box(bounds=0.01 * np.array(one)) for one in boxes]
    return trimesh.util.concatenate(parts)


def with_mesh(suffix: str, role: str = "collision") -> str:
    if suffix == ".urdf":
        mesh = f'<{role}><geometry><mesh filename="u.stl"/></geometry></{role}>'
        return URDF.replace(f"<collision><geometry>{SPHERE}</geometry></collision>", mesh)
    drawn = ' contype="0" conaffinity="0"' if role == "visual" else ""
    text = MJCF.replace(
        f"<geom {CAPSULE}/>", f'<geom {CAPSULE}/><geom mesh="u" {drawn} type="mesh"/>'
    )
    return text.replace("<worldbody>", '<asset><mesh name="u" file="u.stl"/></asset><worldbody>')


@pytest.mark.parametrize("suffix", [".urdf", ".xml"])
def test_a_mesh_that_is_not_convex_is_named(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hollow().export(tmp_path / "u.stl")
    (tmp_path / f"hand{suffix}").write_text(with_mesh(suffix))
    assert Import(tmp_path / f"hand{suffix}", tmp_path / "out.toml").run() == 0
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if "approximated: mesh" in line]
    assert "of far by" in line and "largest gap" in line
    assert "not convex (fills 62 % of the hull)" in line and "CoACD" in line
    assert line in "\n".join(x.removeprefix("# - ") for x in _lines(tmp_path / "out.toml"))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.mark.parametrize("suffix", [".urdf", ".xml"])
@pytest.mark.parametrize("role", ["collision", "visual"])
def test_a_mesh_in_millimetres_is_refused(tmp_path: Path, suffix: str, role: str) -> None:
    mesh = hollow()
    mesh.apply_scale(1000.0)
    mesh.export(tmp_path / "u.stl")
    said = refused(tmp_path / f"hand{suffix}", with_mesh(suffix, role))
    assert "millimetres" in said and "scale 0.001" in said
