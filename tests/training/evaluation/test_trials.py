"""The judge of a trial: it uses the true pose of the time that the report is about."""

import numpy as np
import pytest

from inhand.perception import rotations
from inhand.training.evaluation.report import trial_line
from inhand.training.evaluation.trials import Judge, Rules

UPRIGHT = rotations.IDENTITY
TURNED = rotations.exp(np.array([0.0, 0.0, 1.0]))


def test_judge_measures_the_true_error_in_the_hold_time() -> None:
    judge = Judge(Rules(tolerance=0.4, hold=0.2))
    judge.add_event(1.0, "goal_started", {"quaternion": UPRIGHT.tolist()}, TURNED)
    judge.add_pose(1.1, UPRIGHT, False)
    judge.add_pose(1.2, TURNED, False)
    judge.add_pose(1.25, UPRIGHT, False)
    reached = {"seconds": 0.3, "error": 0.1, "captured": 1.25}
    judge.add_event(1.3, "goal_reached", reached, UPRIGHT)
    judge.add_event(1.3, "goal_started", {"quaternion": TURNED.tolist()}, UPRIGHT)
    for t in (1.4, 1.5, 1.61):
        judge.add_pose(t, TURNED, False)
    judge.add_event(
        3.0, "mode", {"before": "running", "cause": "pose_lost", "reason": "lost"}, TURNED
    )
    judge.add_pose(3.1, TURNED, True)
    result = judge.result(7)
    assert (result.trial, result.score, result.false_successes) == (7, 0, 1)
    assert result.goals[0].true_error == pytest.approx(1.0)
    assert result.goals[0].least_true_error == pytest.approx(0.0, abs=1e-6)
    assert (result.end, result.reason, result.missed_successes) == ("stopped", "lost", 1)
    assert result.seconds == pytest.approx(2.0)


@pytest.mark.parametrize(("captured", "true_error"), [(1.1, 0.0), (1.2, 1.0)])
def test_without_a_hold_time_the_true_error_at_the_capture_of_the_frame_counts(
    captured: float, true_error: float
) -> None:
    judge = Judge(Rules(tolerance=0.4, cap=1))
    judge.add_event(1.0, "goal_started", {"quaternion": UPRIGHT.tolist()}, TURNED)
    judge.add_pose(1.1, UPRIGHT, False)
    judge.add_pose(1.2, TURNED, False)
    reached = {"seconds": 0.2, "error": 0.1, "captured": captured}
    judge.add_event(1.2, "goal_reached", reached, TURNED)
    (goal,) = judge.result(1).goals
    assert goal.true_error == pytest.approx(true_error, abs=1e-6)
    assert goal.reported_error == pytest.approx(1.0)


def test_alarms_of_the_monitor_are_counted_until_the_end() -> None:
    judge = Judge(Rules())
    judge.add_event(1.0, "goal_started", {"quaternion": UPRIGHT.tolist()}, UPRIGHT)
    for t, unlike in ((2.0, True), (3.0, False), (4.0, True)):
        judge.add_event(t, "unlike_training", {"unlike": unlike}, UPRIGHT)
    judge.add_pose(5.0, UPRIGHT, True)
    judge.add_event(6.0, "unlike_training", {"unlike": True}, UPRIGHT)
    result = judge.result(1)
    assert result.alarms == 2 and "(monitor: 2 alarms)" in trial_line(result, 1)


def test_a_trial_of_limited_length_is_over_then_and_keeps_its_goals() -> None:
    judge = Judge(Rules(seconds=2.0))
    judge.add_pose(0.9, UPRIGHT, False)
    judge.add_event(1.0, "goal_started", {"quaternion": UPRIGHT.tolist()}, UPRIGHT)
    judge.add_pose(1.1, UPRIGHT, False)
    reached = {"seconds": 0.2, "error": 0.1, "captured": 1.1}
    judge.add_event(1.2, "goal_reached", reached, UPRIGHT)
    judge.add_event(1.2, "goal_started", {"quaternion": TURNED.tolist()}, UPRIGHT)
    judge.add_pose(2.9, UPRIGHT, False)
    assert judge.end is None
    judge.add_pose(3.0, UPRIGHT, False)
    judge.add_pose(3.1, UPRIGHT, True)
    result = judge.result(1)
    assert (result.end, result.score, result.seconds) == ("over", 1, 2.0)
    assert result.reason == "its 2 s are over"
