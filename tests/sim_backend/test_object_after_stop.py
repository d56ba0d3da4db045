"""What falls when the hand stops: the claims of docs/safety-and-modes.md, in PyBullet."""

import pytest

from benchmarks.object_after_stop import Case, stopped


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["hold", "fault"])
def test_with_torque_the_object_stays_in_a_level_hand(stop: str) -> None:
    result = stopped(Case("ready", 0.0, stop))
    assert result is not None and result.fell_after is None
    assert result.sagged < 0.2


@pytest.mark.slow
def test_without_torque_the_joints_follow_gravity() -> None:
    result = stopped(Case("ready", 0.0, "torque off"))
    assert result is not None and result.sagged > 0.2
