"""Fixed links, turned shapes and couplings of a hand file."""

from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import load_hand, parse_hand
from inhand.hardware.model.hand_facts import differences
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.model.solids import (
    inertia_matrix,
    shape_inertia,
    shape_volume,
    solid_inertial,
)
from inhand.hardware.model.turning import matrix_rpy, rpy_matrix

FILE = Path(__file__).parent / "odd_hand.toml"
HAND = load_hand(FILE)
TEXT = FILE.read_text()


def test_a_fixed_link_is_a_part_of_its_carrier() -> None:
    far = HAND.links[HAND.link_names.index("a_far")]
    assert far.mass == pytest.approx(0.025)
    assert [shape.kind for shape in far.shapes] == ["capsule", "sphere"]
    assert HAND.collision_groups["first"] == ("a_far",)
    assert [link.parent for link in HAND.links] == ["base", "a_near", "base"]
    # The palm's own turn and that of its box cancel out.
    (palm,) = HAND.root_shapes
    np.testing.assert_allclose(palm.position, [0.0, 0.0, 0.02], atol=1e-15)
    np.testing.assert_allclose(palm.rpy, 0.0, atol=1e-15)


def test_mass_of_a_fixed_link_adds_to_the_inertia_of_its_carrier() -> None:
    far = HAND.links[HAND.link_names.index("a_far")]
    capsule, pad = far.shapes
    turn = rpy_matrix(capsule.rpy)
    parts = [
        (0.02, np.array(capsule.position), turn @ np.diag(shape_inertia(capsule, 0.02)) @ turn.T),
        (0.005, np.array(pad.position), np.diag(shape_inertia(pad, 0.005))),
    ]
    center = sum(mass * place for mass, place, _ in parts) / 0.025
    about = np.zeros((3, 3))
    for mass, place, own in parts:
        arm = place - center
        about += own + mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    found_center, found = solid_inertial(far)
    np.testing.assert_allclose(found_center, center, atol=1e-12)
    np.testing.assert_allclose(found, about, atol=1e-12)


def test_a_fingertip_on_a_fixed_link_moves_with_its_carrier() -> None:
    tips = fingertip_positions(HAND, np.array([-0.4, 0.0]))
    # The coupling's offset straightens joint A1; the palm is turned by 45 degrees.
    pad = rpy_matrix((0.5, 0.0, 0.0)) @ [0.0, 0.0, 0.008] + [0.0, 0.0, 0.07]
    expected = rpy_matrix((0.0, 0.0, np.pi / 4)) @ (
        rpy_matrix((0.0, 0.3 - 0.4, 0.0)) @ pad + [0.08, 0.0, 0.0]
    ) + [0.0, 0.0, 0.02]
    np.testing.assert_allclose(tips[0], expected, atol=1e-12)


def test_joint_speeds_have_no_offset() -> None:
    np.testing.assert_allclose(HAND.joint_angles(np.array([0.4, 0.1])), [0.4, 0.4, 0.1])
    np.testing.assert_allclose(HAND.joint_speeds(np.array([0.4, 0.1])), [0.4, 0.2, 0.1])


@pytest.mark.parametrize("seed", range(3))
def test_roll_pitch_yaw_of_a_matrix(seed: int) -> None:
    rpy = np.random.default_rng(seed).uniform(-1.5, 1.5, 3)
    np.testing.assert_allclose(matrix_rpy(rpy_matrix((rpy[0], rpy[1], rpy[2]))), rpy, atol=1e-12)
    upright = rpy_matrix((0.4, np.pi / 2, 0.9))
    np.testing.assert_allclose(rpy_matrix(matrix_rpy(upright)), upright, atol=1e-9)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_volume_and_inertia_of_shapes_are_those_of_their_points(at: int) -> None:
    shapes = [s for link in HAND.links for s in link.shapes]
    shape = shapes[at]
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.04, 0.04, (400_000, 3))
    x, y, z = np.abs(points).T
    if shape.kind == "box":
        inside = (points.__abs__() <= shape.size).all(axis=1)
    elif shape.kind == "cylinder":
        inside = (np.hypot(x, y) <= shape.size[0]) & (z <= shape.size[1])
    else:
        inside = np.hypot(np.hypot(x, y), np.maximum(z - shape.size[1], 0)) <= shape.size[0]
    assert shape_volume(shape) == pytest.approx(inside.mean() * 0.08**3, rel=0.05)
    held = points[inside]
    moments = (np.square(held).sum(axis=1)[:, None] - np.square(held)).mean(axis=0)
    np.testing.assert_allclose(shape_inertia(shape, 1.0), moments, rtol=0.03)


def test_new_facts_differ_in_words() -> None:
    heavier = parse_hand(TEXT.replace("armature = 0.001", "armature = 0.002").encode(), "test")
    told = differences(HAND.facts, heavier.facts)
    assert not told.essential
    assert told.simulated == ("a_near armature 0.001 → 0.002 (+100 %)",)
    ratio = parse_hand(TEXT.replace("ratios = [1.0, 0.5]", "ratios = [1.0, 0.4]").encode(), "test")
    assert differences(HAND.facts, ratio.facts).essential


def test_inertia_of_a_file_is_a_tensor() -> None:
    matrix = inertia_matrix((1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    np.testing.assert_array_equal(matrix, [[1, 4, 5], [4, 2, 6], [5, 6, 3]])


def test_an_actuator_without_a_servo_is_named_where_a_servo_is_needed() -> None:
    with pytest.raises(DescriptionError, match="actuator A has no servo.*simulation only"):
        _ = HAND.actuators[0].on_bus


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('parent = "mount"', 'parent = "palm"', "is in a loop"),
        ('parent = "a_near"', 'parent = "b_end"', "one finger one after the other"),
        ('name = "a_pad"', 'name = "palm"', "link palm is named twice"),
        ("ratios = [1.0, 0.5]", "ratios = [1.0, 0.5, 2.0]", "3 ratios for 2 joints"),
        ("ratios = [1.0, 0.5]", "ratios = [1.0, 0.0]", "ratio must not be zero"),
        ("ratios = [1.0, 0.5]", "ratios = [2.0, 0.5]", "must have ratio 1"),
        ("ratios = [1.0, 0.5]", "ratios = [1.0, 1.5]", "beyond its range"),
        ("size = [0.05, 0.05, 0.01]", "size = [50.0, 50.0, 10.0]", "not millimetres"),
        ("size = [0.008]", "size = [0.008, 0.1]", "sphere size"),
        ("inertia = [4e-5", "inertia = [9e-4", "no body has the inertia"),
        ("armature = 0.001", "armature = -0.001", "must not be negative"),
        ('joints = ["B1"]', "joints = []", "joints and actuators disagree"),
    ],
)
def test_a_contradiction_is_refused_by_name(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(DescriptionError, match=message):
        parse_hand(TEXT.replace(old, new, 1).encode(), "test")
