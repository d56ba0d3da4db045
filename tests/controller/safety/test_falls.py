"""A falling object is noticed, by cameras with 15 frames a second and 40 ms of latency."""

import numpy as np
import pytest

from inhand.controller.safety.drop_detector import DropDetector
from inhand.perception.records import ObjectPose, Sighting, frozen_array
from inhand.sim_backend.rig import default_rig
from tests.controller.bench_hand import HAND, IN_HAND
from tests.controller.falls import delays, fall

BELOW = frozen_array([0.0, 0.335, HAND.workspace.drop_height - 0.05])

BARS = {1: 0.45, 2: 0.2, 3: 0.15}
"""Longest time from leaving the workspace to the event, by number of cameras [s]."""


@pytest.mark.parametrize("cameras", list(BARS))
def test_a_fall_is_noticed_in_time(cameras: int) -> None:
    rig = dict(list(default_rig().items())[:cameras])
    rng = np.random.default_rng(51)
    falls = [fall(rig, rng) for _ in range(6)]
    noticed = delays(falls)
    assert len(noticed) == len(falls) and noticed.max() <= BARS[cameras]


def test_an_object_that_falls_out_of_view_is_not_in_the_hand() -> None:
    rng = np.random.default_rng(52)
    rig = {"left": default_rig()["left"]}
    assert not fall(rig, rng, hidden_below=0.04).in_hand


def pose(position: np.ndarray, age: float = 0.0) -> ObjectPose:
    zeros = np.zeros(3)
    return ObjectPose(0.0, position, np.array([1.0, 0, 0, 0]), zeros, zeros, np.eye(12), age)


def held() -> DropDetector:
    """With the object in the hand since 0.2 s."""
    detector = DropDetector(HAND.workspace, 0.3, 2.0)
    for tick in range(21):
        detector.update(0.01 * tick, pose(IN_HAND))
    assert detector.certain
    return detector


def test_two_glimpses_outside_that_are_far_apart_are_no_drop() -> None:
    detector = held()
    assert detector.update(0.3, pose(BELOW)) is None
    for t in np.arange(0.31, 1.9, 0.01):
        assert detector.update(t, pose(BELOW, age=0.5)) is None
    assert detector.update(1.9, pose(BELOW)) is None
    assert detector.in_hand and not detector.certain


def test_a_rejected_pose_outside_is_doubted_at_once_and_two_are_a_drop() -> None:
    detector = held()
    detector.note([Sighting(0.16, BELOW, 1, accepted=False)])
    assert detector.update(0.21, pose(IN_HAND, age=0.07)) is None
    assert detector.in_hand and not detector.certain
    # An accepted pose inside: the other one was an outlier.
    detector.note([Sighting(0.2, frozen_array(IN_HAND), 1, accepted=True)])
    assert detector.update(0.24, pose(IN_HAND, age=0.04)) is None and detector.certain
    detector.note([Sighting(0.22, BELOW, 1, accepted=False)])
    assert detector.update(0.26, pose(IN_HAND, age=0.06)) is None
    detector.note([Sighting(0.25, BELOW, 1, accepted=False)])
    assert detector.update(0.29, pose(IN_HAND, age=0.09)) == "dropped"
    # The prediction from before the fall is no return.
    for t in np.arange(0.3, 0.5, 0.01):
        assert detector.update(t, pose(IN_HAND, age=t - 0.2)) is None
    assert not detector.in_hand


def test_one_rejected_pose_outside_and_nothing_after_it_is_a_drop() -> None:
    detector = held()
    detector.note([Sighting(0.16, BELOW, 1, accepted=False)])
    verdicts = [detector.update(t, pose(IN_HAND, age=t - 0.1)) for t in np.arange(0.2, 0.6, 0.01)]
    assert "dropped" in verdicts and not detector.in_hand


def test_an_object_that_is_unseen_for_long_does_not_count_as_in_the_hand() -> None:
    detector = held()
    assert detector.update(0.6, pose(IN_HAND, age=0.4)) is None
    assert detector.in_hand and not detector.certain
    assert detector.update(2.3, pose(IN_HAND, age=2.1)) is None
    assert not detector.in_hand


def test_a_rejected_pose_inside_is_doubted_only_if_it_is_much_lower() -> None:
    detector = held()
    detector.note([Sighting(0.1, frozen_array(IN_HAND), 1, accepted=True)])
    detector.note([Sighting(0.15, frozen_array(IN_HAND + [0.02, 0.0, 0.0]), 1, accepted=False)])
    assert detector.certain
    detector.note([Sighting(0.16, frozen_array(IN_HAND - [0.0, 0.0, 0.06]), 1, accepted=False)])
    assert detector.in_hand and not detector.certain
