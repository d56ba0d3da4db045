"""Drop detection: confirmed verdicts, and old poses ignored."""

import numpy as np

from inhand.controller.safety.drop_detector import CONFIRMATION, DropDetector
from inhand.perception.records import ObjectPose
from tests.controller.bench_hand import HAND, IN_HAND

BELOW = np.array([0.0, 0.335, HAND.workspace.drop_height - 0.001])
BESIDE = np.array(HAND.workspace.center) + [HAND.workspace.radius + 0.001, 0.0, 0.0]


def pose(position: np.ndarray, age: float = 0.0) -> ObjectPose:
    zeros = np.zeros(3)
    return ObjectPose(0.0, position, np.array([1.0, 0, 0, 0]), zeros, zeros, np.eye(12), age)


def judge(presence: DropDetector, seconds: float, seen: ObjectPose | None, t: float) -> list[str]:
    verdicts = [presence.update(t + 0.01 * i, seen) for i in range(round(seconds / 0.01) + 1)]
    return [verdict for verdict in verdicts if verdict]


def test_in_and_out_are_confirmed() -> None:
    for outside in (BELOW, BESIDE):
        presence = DropDetector(HAND.workspace, 0.3)
        assert not presence.in_hand
        assert judge(presence, CONFIRMATION - 0.01, pose(IN_HAND), 0.0) == []
        assert judge(presence, 0.02, pose(IN_HAND), CONFIRMATION) == ["returned"]
        assert presence.in_hand and presence.certain
        assert judge(presence, CONFIRMATION - 0.01, pose(outside), 1.0) == []
        assert presence.in_hand and not presence.certain
        # One glimpse of it inside, and the count begins anew.
        assert judge(presence, 0.0, pose(IN_HAND), 1.1) == []
        assert judge(presence, CONFIRMATION - 0.01, pose(outside), 1.2) == []
        assert judge(presence, 0.02, pose(outside), 1.3) == ["dropped"]
        assert not presence.in_hand


def test_missing_and_old_poses_change_nothing() -> None:
    presence = DropDetector(HAND.workspace, 0.3)
    judge(presence, 0.2, pose(IN_HAND), 0.0)
    assert judge(presence, 5.0, None, 1.0) == []
    assert judge(presence, 5.0, pose(BELOW, age=0.31), 7.0) == []
    assert presence.in_hand


def test_the_edges_are_inside_and_the_hand_is_as_large_as_it_says() -> None:
    center, radius = np.array(HAND.workspace.center), HAND.workspace.radius
    low = np.array([center[0], center[1], HAND.workspace.drop_height])
    for inside in (center + [radius, 0.0, 0.0], center - [0.9 * radius, 0.0, 0.0], low):
        presence = DropDetector(HAND.workspace, 0.3)
        assert presence.update(0.0, pose(inside)) is None
        # The time of confirmation itself is enough, and so is the largest age.
        assert presence.update(CONFIRMATION, pose(inside, age=0.3)) == "returned"
