"""Cameras whose poses come seldom or late."""

import pytest

from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import Bench


@pytest.mark.parametrize(("period", "latency"), [(0.3, 0.15), (0.25, 0.05), (0.06, 0.35)])
def test_slow_cameras_do_not_pause_the_hand(bench: Bench, period: float, latency: float) -> None:
    bench.frame_period, bench.latency = period, latency
    bench.run(2.0)
    bench.start(Mode.RUNNING)
    bench.run(4.0)
    assert bench.mode == Mode.RUNNING
    assert "pose_old" not in bench.kinds()


def test_a_slow_camera_that_stops_pauses_the_hand_later(bench: Bench) -> None:
    bench.frame_period, bench.latency = 0.3, 0.15
    bench.run(2.0)
    bench.start(Mode.RUNNING)
    bench.run(1.0)
    bench.seen = False
    while not bench.controller.snapshot().paused and bench.t < 200.0:
        bench.tick()
    pose = bench.controller.snapshot().pose
    assert pose is not None and pose.age == pytest.approx(0.6, abs=0.02)
    bench.until(Mode.HOLDING, 2.0)


def test_cameras_too_slow_for_a_hold_time_are_a_problem(bench: Bench) -> None:
    bench.frame_period, bench.latency = 0.15, 0.35
    bench.run(3.0)
    assert not bench.controller.snapshot().fusion.problem
    bench.frame_period = 0.25
    bench.run(5.0)
    health = bench.controller.snapshot().fusion
    assert "less often than every 0.2 s: a goal with a hold time" in health.problem
    bench.frame_period = 0.15
    bench.run(3.0)
    assert not bench.controller.snapshot().fusion.problem


def test_gaps_do_not_make_the_hand_wait_longer(bench: Bench) -> None:
    bench.frame_period = 0.06
    bench.start(Mode.RUNNING)
    for _ in range(6):
        bench.seen = True
        bench.run(1.2)
        bench.seen, last = False, bench.t
        bench.run(0.5)
    old = [event for event in bench.events if event.kind == "pose_old"]
    assert len(old) == 6
    assert old[-1].t - last == pytest.approx(0.3, abs=0.07)
