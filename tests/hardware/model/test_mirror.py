"""A hand and its mirror image."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.hardware.model.hand import HAND_FILES, Hand, load_hand, parse_hand
from inhand.hardware.model.hand_description import HandDescription
from inhand.hardware.model.hand_text import hand_text
from inhand.hardware.model.inertia import mass_matrix
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.mirror import mirrored
from inhand.hardware.records import Array

NAMES = ("leap", "dactyl24", "allegro", str(Path(__file__).parent / "odd_hand.toml"))
MIRROR = np.array([1.0, -1.0, 1.0])


def description(name: str) -> HandDescription:
    return HAND_FILES.convert(HAND_FILES.read(name), name, HandDescription)


def hand_of(data: HandDescription) -> Hand:
    return parse_hand(hand_text(msgspec.to_builtins(data)).encode(), "x.toml")


def points(hand: Hand, angles: Array) -> Array:
    """Centres of all shapes and tips of all links, (n, 3)."""
    turns, places = link_poses(hand, hand.joint_angles(angles))
    found = [np.array(shape.position) for shape in hand.root_shapes]
    for i, link in enumerate(hand.links):
        local = [shape.position for shape in link.shapes] + [link.tip or (0.0, 0.0, 0.0)]
        found += [places[i] + turns[i] @ np.array(one) for one in local]
    return np.array(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_angles_give_the_mirrored_pose(name: str) -> None:
    hand, other = load_hand(name), hand_of(mirrored(description(name), "other"))
    assert other.joint_names == hand.joint_names
    np.testing.assert_array_equal(other.lower, hand.lower)
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles = rng.uniform(hand.lower, hand.upper)
        np.testing.assert_allclose(points(other, angles), points(hand, angles) * MIRROR, atol=1e-8)
        # The same torques move both alike.
        one, two = mass_matrix(hand, angles), mass_matrix(other, angles)
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_mirror_image_of_the_mirror_image_is_the_hand(name: str) -> None:
    hand = load_hand(name)
    again = hand_of(mirrored(mirrored(description(name), "x"), hand.name))
    angles = np.random.default_rng(1).uniform(hand.lower, hand.upper)
    np.testing.assert_allclose(points(again, angles), points(hand, angles), atol=1e-8)


def test_the_installed_left_hand_is_the_mirrored_right_one() -> None:
    other, own = hand_of(mirrored(description("leap"), "leap_left")), load_hand("leap_left")
    angles = np.random.default_rng(2).uniform(own.lower, own.upper)
    np.testing.assert_allclose(points(own, angles), points(other, angles), atol=1e-7)
    for mine, theirs in zip(own.actuators, other.actuators, strict=True):
        reversed_joints = ("if_rot", "mf_rot", "rf_rot", "th_cmc", "th_axl")
        sign = -1 if mine.name in reversed_joints else 1
        servo = msgspec.structs.replace(theirs.on_bus, sign=sign)
        assert mine == msgspec.structs.replace(theirs, servo=servo)
    assert own.power == other.power


@pytest.mark.parametrize("name", NAMES)
def test_a_hand_file_that_is_written_says_what_was_read(name: str) -> None:
    hand = load_hand(name)
    text = hand_text(msgspec.to_builtins(description(name)), ["Head.", "", "More."])
    assert text.startswith("# Head.\n#\n# More.\n\nname = ")
    again = parse_hand(text.encode(), "x.toml")
    assert again.collision_groups == hand.collision_groups and again.power == hand.power
    assert again.workspace == hand.workspace
    for mine, theirs in zip(again.links, hand.links, strict=True):
        assert (mine.name, mine.parent, mine.joint) == (theirs.name, theirs.parent, theirs.joint)
        assert len(mine.shapes) == len(theirs.shapes)
        np.testing.assert_allclose(mine.range, theirs.range, rtol=1e-9)
    # Rounding keeps all that a policy depends on within ten digits.
    np.testing.assert_allclose(again.gain, hand.gain, rtol=1e-9)


def test_names_with_dots_and_quotes_are_written_as_keys() -> None:
    text = hand_text({"name": 'a "b"', "collision_groups": {"link_3.0": ["x"], "ü": []}})
    assert 'name = "a \\"b\\""' in text and '"link_3.0" = ["x"]' in text
