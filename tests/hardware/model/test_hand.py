"""The hand file: its values, and refused files."""

from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import HANDS, load_hand, parse_hand
from inhand.hardware.model.kinematics import link_poses

TEXT = (HANDS / "dactyl24.toml").read_text()


def test_the_hand_has_24_joints_and_20_actuators() -> None:
    hand = load_hand("dactyl24")
    assert (hand.n_joints, hand.n_actuators, len(hand.fingertips)) == (24, 20, 5)
    assert hand.couplings == tuple(
        (hand.joint_names.index(f"{finger}J2"), hand.joint_names.index(f"{finger}J1"))
        for finger in ("FF", "MF", "RF", "LF")
    )


def test_coupled_joints_move_together() -> None:
    hand = load_hand("dactyl24")
    angles = hand.joint_angles(np.arange(20.0))
    assert angles.shape == (24,)
    for leading, following in hand.couplings:
        assert angles[leading] == angles[following]


def test_a_joint_moves_its_link_and_what_that_carries() -> None:
    hand = load_hand("dactyl24")
    for joint in range(hand.n_joints):
        angles = np.zeros(hand.n_joints)
        angles[joint] = 0.1
        turned = np.abs(link_poses(hand, angles)[0] - link_poses(hand, 0 * angles)[0])
        np.testing.assert_array_equal(turned.max(axis=(1, 2)) > 1e-9, hand.moved_by[:, joint])


def test_a_description_is_read_from_text_too() -> None:
    assert parse_hand(TEXT.encode(), "of a test").digest == load_hand("dactyl24").digest
    with pytest.raises(DescriptionError, match="hand file of a test: "):
        parse_hand(b"name = 1", "of a test")


def test_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_hand("dactyl24").rest[0] = 1.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('joint = "FFJ4"', 'joint = "FFJ3"', "joint FFJ3 is named twice"),
        ('parent = "wrist"', 'parent = "elbow"', "parent elbow must stand before it"),
        ("rest = 0.9", "rest = 9.0", "rest 9.0 outside"),
        ("action_zero = 0.0", "action_zero = 0.2", "WRJ2: action_zero 0.2 outside"),
        ("id = 2,", "id = 1,", "servo id 1 is named twice"),
        ("mass = 0.3", "mass = 0.0", "must not be zero"),
        ("schema = 1", "schema = 1\ncolour = 3", "unknown field `colour`"),
        ("schema = 1", "schema = ", "Invalid value"),
        ('first = ["ff_middle"', 'first = ["ff_end"', "unknown link ff_end"),
    ],
)
def test_a_contradiction_is_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in TEXT
    path = tmp_path / "bad.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(DescriptionError, match=message):
        load_hand(path)


def test_a_missing_file_lists_the_known_hands() -> None:
    with pytest.raises(DescriptionError, match="dactyl24"):
        load_hand("no-such-hand")
