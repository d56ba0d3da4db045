"""Import of models that others wrote, and of models that are no hands."""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.hand_facts import differences
from inhand.hardware.model.inertia import mass_matrix
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.sim_backend.world import World
from inhand.training.mujoco_worlds.hand_command import Import
from inhand.training.mujoco_worlds.import_report import compare
from inhand.training.mujoco_worlds.source_model import read_model
from inhand.training.mujoco_worlds.world import MujocoWorld
from tests.training.mujoco_worlds.foreign_models import (
    allegro_model,
    leap_model,
    left_leap_model,
    shadow_model,
)

PALM_UP = (np.pi, -np.pi / 2, 0.0)
"""How the base of the Allegro hand stands."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hands")


@pytest.fixture(scope="module")
def leap(folder: Path) -> Hand:
    Import(leap_model(folder), folder / "leap.toml", servo_model="XC330-M288").run()
    return load_hand(folder / "leap.toml")


def test_the_published_leap_hand(leap: Hand, folder: Path) -> None:
    assert (leap.n_joints, leap.n_actuators, len(leap.fingertips)) == (16, 16, 4)
    assert leap.joint_names[:4] == ("if_mcp", "if_rot", "if_pip", "if_dip")
    model = read_model(leap_model(folder))
    found = compare(leap, model, (0.0, 0.0, 0.0))
    assert found.place <= 1e-5 and found.turn <= 1e-4
    assert found.own_mass == pytest.approx(model.body_mass[model.body_jntnum > 0].sum())
    np.testing.assert_array_equal([link.range for link in leap.links], model.jnt_range)
    assert {link.armature for link in leap.links} == {0.00149376}
    assert {link.friction for link in leap.links} == {0.02}
    np.testing.assert_allclose(leap.gain, 3.0)
    np.testing.assert_allclose(leap.torque_limit, 0.2196)
    assert [actuator.on_bus.id for actuator in leap.actuators] == list(range(16))
    # The mount and the palm never move.
    assert len(leap.root_shapes) == 12


def test_the_imported_hand_moves_as_its_source(leap: Hand, folder: Path) -> None:
    """Joint-space mass matrix of the world that is built, against that of the model."""
    model = read_model(leap_model(folder))
    own = MujocoWorld(leap, load_object("block"), Universe(), seed=0).model
    pose = np.random.default_rng(0).uniform(leap.lower, leap.upper)
    matrices = []
    for each in (model, own):
        data = mujoco.MjData(each)
        data.qpos[:16] = pose
        mujoco.mj_forward(each, data)
        full = np.zeros((each.nv, each.nv))
        mujoco.mj_fullM(each, data, full)
        matrices.append(full[:16, :16])
    np.testing.assert_allclose(matrices[1], matrices[0], rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(mass_matrix(leap, pose), matrices[0], rtol=1e-6, atol=1e-10)


def test_pybullet_loads_an_imported_hand(leap: Hand) -> None:
    world = World(leap, load_object("block"), Universe(), seed=0)
    for _ in range(250):
        world.step(leap.rest, np.ones(16, dtype=np.bool_))
    np.testing.assert_allclose(world.joint_angles(), leap.joint_angles(leap.rest), atol=0.15)
    world.close()


def test_a_policy_of_the_installed_leap_hand_is_valid_for_the_published_one(folder: Path) -> None:
    own = load_hand("leap")
    Import(
        leap_model(folder),
        folder / "mine.toml",
        object_start=own.workspace.object_start,
        center=own.workspace.center,
        rest=dict(zip(own.actuator_names, own.action_zero.tolist(), strict=True)),
    ).run()
    found = differences(own.facts, load_hand(folder / "mine.toml").facts)
    assert found.essential == ()
    # What the installed hand has of its maker.
    words = ("damping", "torque_limit", "drop_height")
    assert {word for line in found.simulated for word in words if word in line} == set(words)
    assert all(any(word in line for word in words) for line in found.simulated)


def test_the_installed_leap_hand_is_the_published_one(leap: Hand, folder: Path) -> None:
    own = load_hand("leap")
    model = read_model(leap_model(folder))
    assert compare(own, model, (0.0, 0.0, 0.0)).place <= 1e-5
    for mine, theirs in zip(own.links, leap.links, strict=True):
        assert (mine.joint, mine.range, mine.armature) == (
            theirs.joint,
            theirs.range,
            theirs.armature,
        )
        assert mine.mass == pytest.approx(theirs.mass)
        np.testing.assert_allclose(mine.inertia or (), theirs.inertia or (), rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(mine.center or (), theirs.center or (), atol=1e-9)
    # In each finger the maker counts abduction first, the model flexion.
    assert [a.on_bus.id for a in own.actuators] == [
        1,
        0,
        2,
        3,
        5,
        4,
        6,
        7,
        9,
        8,
        10,
        11,
        *range(12, 16),
    ]


def test_the_shadow_hand_with_its_tendons(folder: Path) -> None:
    source = shadow_model()
    out = folder / "shadow.toml"
    assert Import(source, out, turn=(0.3, -0.2, 0.1)).run() == 0
    hand = load_hand(out)
    assert (hand.n_joints, hand.n_actuators, len(hand.fingertips)) == (24, 20, 5)
    pairs = {(hand.joint_names[a], hand.joint_names[b]) for a, b in hand.couplings}
    assert pairs == {(f"robot0:{f}FJ1", f"robot0:{f}FJ0") for f in "FMRL"}
    following = hand.couplings[0][1]
    assert hand.joint_ratios[following] == pytest.approx(0.00805 / 0.00705)
    model = read_model(source)
    assert compare(hand, model, (0.3, -0.2, 0.1)).place <= 1e-5
    assert compare(hand, model, (0.0, 0.0, 0.0)).place > 1e-3
    text = out.read_text()
    assert "approximated: mesh robot0:C_forearm of robot0:forearm by" in text
    assert "simulation only" not in text and "servo" not in text.split("[workspace]")[1]


URDF = """<robot name="two">
  <link name="palm"><inertial><mass value="0.2"/>
    <inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <link name="near"><inertial><origin xyz="0 0 0.02"/><mass value="0.05"/>
    <inertia ixx="2e-5" iyy="3e-5" izz="2e-5" ixy="1e-6" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0 0 0.02" rpy="0.1 0 0"/>
      <geometry><cylinder radius="0.01" length="0.03"/></geometry></collision></link>
  <link name="far"><inertial><mass value="0.02"/>
    <inertia ixx="1e-5" iyy="1e-5" izz="1e-5" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><geometry><sphere radius="0.01"/></geometry></collision></link>
  <joint name="J2" type="revolute"><parent link="palm"/><child link="near"/>
    <origin xyz="0.01 0.02 0.03" rpy="0.4 0.2 0.1"/><axis xyz="0 1 0"/>
    <limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
  <joint name="J1" type="revolute"><parent link="near"/><child link="far"/>
    <origin xyz="0 0 0.04"/><axis xyz="1 0 0"/><mimic joint="J2" multiplier="0.5" offset="0.1"/>
    <limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
</robot>"""


def test_a_urdf_with_a_mimic_joint(folder: Path) -> None:
    (folder / "two.urdf").write_text(URDF)
    assert Import(folder / "two.urdf", folder / "two.toml").run() == 0
    hand = load_hand(folder / "two.toml")
    assert (hand.n_joints, hand.n_actuators) == (2, 1)
    np.testing.assert_allclose(hand.joint_angles(np.array([0.6])), [0.6, 0.4], atol=1e-12)
    assert hand.links[0].shapes[0].kind == "cylinder"


MJCF = """<mujoco><compiler angle="radian" autolimits="true"/><worldbody><body name="palm">
<geom type="box" size="0.04 0.04 0.01"/><body name="near" pos="0 0 0.02">
<joint name="J2" axis="0 1 0" range="-1 1" pos="0.001 0.002 0.003" ref="0.2"/>
<geom type="capsule" size="0.01 0.02"/>
<body name="far" pos="0 0 0.04"><joint name="J1" axis="1 0 0" range="-1 1" pos="0 0.004 0"/>
<geom type="capsule" size="0.01 0.02"/></body></body></body></worldbody></mujoco>"""


def test_joints_off_their_bodies_origin_and_with_a_reference_angle(folder: Path) -> None:
    (folder / "off.xml").write_text(MJCF)
    assert Import(folder / "off.xml", folder / "off.toml").run() == 0


def imported(folder: Path, text: str, **choices: Any) -> Hand:
    (folder / "it.xml").write_text(text)
    assert Import(folder / "it.xml", folder / "it.toml", **choices).run() == 0
    return load_hand(folder / "it.toml")


def test_a_hovering_hand_is_fixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    free = MJCF.replace('<body name="palm">', '<body name="palm"><freejoint/>')
    # As in the Shadow hand of MuJoCo Menagerie, poses have the place of the base, too.
    keys = '<keyframe><key name="k" qpos="9 9 9 1 0 0 0 0.5 0.4"/><key/></keyframe></mujoco>'
    hand = imported(tmp_path, free.replace("</mujoco>", keys))
    assert hand.n_joints == 2 and hand.rest.tolist() == [0.5, 0.4]
    assert "left out: the free joint of palm; the base is fixed" in capsys.readouterr().out


def test_what_no_model_says_is_taken_from_options(tmp_path: Path) -> None:
    key = '<keyframe><key name="home" qpos="0.5 0.4"/></keyframe></mujoco>'
    text = MJCF.replace("</mujoco>", key)
    hand = imported(
        tmp_path, text, servo_model="XC330-M288", ids={"J1": 9}, reversed=("J1",), rest={"J1": -0.1}
    )
    # The keyframe is the rest pose of the other joint.
    assert hand.rest.tolist() == [0.5, -0.1]
    two, one = (actuator.on_bus for actuator in hand.actuators)
    assert (two.id, two.sign, one.id, one.sign) == (0, 1, 9, -1)
    with pytest.raises(DescriptionError, match="no joint J7; it has J2, J1"):
        Import(tmp_path / "it.xml", tmp_path / "b.toml", rest={"J7": 0.1}).run()


def test_joints_without_damping_and_rotor_get_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand = imported(tmp_path, MJCF.replace('name="J2"', 'name="J2" damping="0.3"'), armature=0.002)
    assert [link.damping for link in hand.links] == [0.3, 0.1]
    assert [link.armature for link in hand.links] == [0.002, 0.002]
    said = capsys.readouterr().out
    assert "assumed: damping 0.1 N·m·s/rad of J1\n" in said
    assert "assumed: armature 0.002 kg·m² of all joints\n" in said


def test_a_tendon_that_an_actuator_pulls_couples_its_joints(tmp_path: Path) -> None:
    tendon = """<tendon><fixed name="T"><joint joint="J2" coef="1"/><joint joint="J1" coef="0.5"/>
    </fixed></tendon><actuator><position tendon="T" kp="2" forcerange="-3 3"/></actuator>
    </mujoco>"""
    hand = imported(tmp_path, MJCF.replace("</mujoco>", tendon))
    assert hand.n_actuators == 1
    np.testing.assert_allclose(hand.joint_ratios, [1.0, 0.5])
    # The tendon moves by 1 + 0.5² per turn of J2.
    assert hand.actuators[0].gain == pytest.approx(2 * 1.25**2)
    assert hand.actuators[0].torque_limit == pytest.approx(3 * 1.25)


def test_what_follows_a_follower_follows_its_leader(tmp_path: Path) -> None:
    third = (
        '<body name="end"><joint name="J0" range="-1 1"/><geom size="0.01"/></body></body></body>'
    )
    text = MJCF.replace("</body></body>", third, 1)
    chain = """<equality><joint joint1="J0" joint2="J1" polycoef="0.1 0.5 0 0 0"/>
    <joint joint1="J1" joint2="J2" polycoef="0 -0.5 0 0 0"/></equality></mujoco>"""
    hand = imported(tmp_path, text.replace("</mujoco>", chain).replace(' ref="0.2"', ""))
    assert hand.n_actuators == 1
    np.testing.assert_allclose(hand.joint_ratios, [1.0, -0.5, -0.25])
    np.testing.assert_allclose(hand.joint_offsets, [0.0, 0.0, 0.1])


def test_an_inertia_that_no_body_has_is_raised(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The maker's own model of the Allegro hand has thirteen of them."""
    text = URDF.replace('ixx="1e-5" iyy="1e-5" izz="1e-5"', 'ixx="1e-5" iyy="1e-5" izz="3e-5"')
    (folder / "thin.urdf").write_text(text)
    assert Import(folder / "thin.urdf", folder / "thin.toml").run() == 0
    assert "the inertia, which no body can have, of far" in capsys.readouterr().out
    inertia = load_hand(folder / "thin.toml").links[1].inertia
    np.testing.assert_allclose(inertia, [1.5e-5, 1.5e-5, 3e-5, 0, 0, 0], rtol=1e-5, atol=1e-12)


@pytest.mark.slow
def test_the_allegro_hand_of_its_maker(folder: Path) -> None:
    assert Import(allegro_model(folder), folder / "allegro.toml", turn=PALM_UP).run() == 0
    hand, own = load_hand(folder / "allegro.toml"), load_hand("allegro")
    assert (hand.n_joints, hand.n_actuators, len(hand.fingertips)) == (16, 16, 4)
    assert compare(own, read_model(allegro_model(folder)), PALM_UP).is_equal
    for mine, theirs in zip(own.links, hand.links, strict=True):
        assert (mine.joint, mine.range, mine.mass) == (theirs.joint, theirs.range, theirs.mass)
        np.testing.assert_allclose(mine.inertia or (), theirs.inertia or (), rtol=1e-2, atol=1e-7)


@pytest.mark.slow
def test_the_published_left_leap_hand_is_that_of_the_installed_file(folder: Path) -> None:
    """Five joints turn the other way; see the file."""
    source = left_leap_model(folder)
    assert Import(source, folder / "left.toml", shapes_only=True).run() == 0
    theirs, mine, right = load_hand(folder / "left.toml"), load_hand("leap_left"), load_hand("leap")
    poses = np.random.default_rng(0).uniform(mine.lower, mine.upper, (300, 16))
    signs = np.array([actuator.on_bus.sign for actuator in mine.actuators])

    def tips(hand: Hand, angles: Array, of: Hand) -> Array:
        turns, places = link_poses(hand, hand.joint_angles(angles))
        places = [places[:, i] + turns[:, i] @ np.array(of.links[i].tip) for i in mine.fingertips]
        return np.concatenate(places)

    one, other = tips(theirs, poses * signs, right), tips(mine, poses, mine)
    # Their base stands elsewhere: the best rotation by Kabsch's method.
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    left, _, right_vectors = np.linalg.svd(one.T @ other)
    turned = one @ left @ right_vectors
    assert np.linalg.det(left @ right_vectors) > 0
    assert np.linalg.norm(turned - other, axis=1).max() < 0.0021
