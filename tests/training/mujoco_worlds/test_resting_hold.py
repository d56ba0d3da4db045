"""Objects that are put into the resting hand stay there; a level palm loses some."""

import pytest

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.resting_hold import OBJECTS, hold_doubts, kept_at_rest
from tests.hands import level

HAND = load_hand("dactyl24")
BLOCK = load_object("block")


def test_the_rest_pose_keeps_blocks_and_a_level_palm_loses_some() -> None:
    # The same block may lie otherwise with another version of MuJoCo.
    assert kept_at_rest(HAND, BLOCK, count=256) >= 254
    assert kept_at_rest(level(), BLOCK, count=256) < 254


def test_the_rest_pose_keeps_prisms() -> None:
    assert kept_at_rest(HAND, load_object("prism"), count=128) >= 126


@pytest.mark.parametrize(("lost", "said"), [(0, False), (7, False), (8, True)])
def test_a_rest_pose_that_loses_one_in_a_hundred_is_doubted(lost: int, said: bool) -> None:
    found = hold_doubts(BLOCK, OBJECTS - lost)
    assert bool(found) is said
    assert not said or f"{lost} of {OBJECTS} objects (block)" in found[0]
