"""Joint commands, tick by tick, with a hand of simple servos."""

import numpy as np
import pytest

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.controller import Controller
from inhand.controller.errors import RefusedError
from inhand.controller.estimation.pose_measurements import PoseFeed
from inhand.controller.recording.checkpoint import capture, restore
from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import BLOCK, HAND, TICK, Bench

FIRST, SECOND = HAND.actuator_names[3:5]
AWAY = np.clip(HAND.rest + 0.5, HAND.lower + 0.01, HAND.upper - 0.01)


@pytest.fixture
def manual() -> Bench:
    bench = Bench()
    bench.start(Mode.HOLDING)
    bench.run(0.2)
    bench.controller.manual()
    return bench


def beat(bench: Bench, seconds: float) -> float:
    """Ticks with a heartbeat in each; the largest speed of a target [rad/s]."""
    fastest = 0.0
    for _ in range(round(seconds / TICK)):
        before = bench.targets
        bench.controller.joints({})
        bench.tick()
        if before is not None and bench.targets is not None:
            moved = np.abs(bench.targets.position - before.position).max()
            fastest = max(fastest, float(moved) / TICK)
    return fastest


def test_named_joints_move_at_the_asked_speed_and_the_others_stay(manual: Bench) -> None:
    start = manual.servos.copy()
    goal = start[3] + 0.4
    assert manual.controller.joints({FIRST: goal}, speed=0.5)["left"] == pytest.approx(
        0.4, abs=0.02
    )
    assert 0.45 < beat(manual, 1.2) <= 0.5 + 1e-6
    assert manual.mode == Mode.MANUAL
    assert manual.controller.joints({})["left"] < 1e-3
    expected = np.clip(start, HAND.lower + 0.01, HAND.upper - 0.01)
    expected[3] = goal
    np.testing.assert_allclose(manual.servos, expected, atol=2e-3)


def test_a_second_command_leaves_the_first_one_as_it_is(manual: Bench) -> None:
    manual.controller.joints({FIRST: AWAY[3]})
    beat(manual, 0.1)
    manual.controller.joints({SECOND: AWAY[4]})
    beat(manual, 3.0)
    np.testing.assert_allclose(manual.servos[3:5], AWAY[3:5], atol=2e-3)


def test_without_another_command_the_hand_brakes_and_holds(manual: Bench) -> None:
    manual.controller.joints(list(AWAY))
    assert 0.45 < manual.until(Mode.HOLDING, 1.0) < 0.55
    assert "no joint command for 0.5 s" in manual.controller.snapshot().reason
    manual.run(0.3)
    held = manual.servos.copy()
    manual.run(0.5)
    np.testing.assert_allclose(manual.servos, held, atol=1e-3)
    assert np.abs(held - AWAY).max() > 0.1
    with pytest.raises(RefusedError, match="joints: not in mode holding; possible now: .*manual"):
        manual.controller.joints({})


def test_hold_ends_a_stream_of_commands(manual: Bench) -> None:
    manual.controller.joints({FIRST: AWAY[3]})
    manual.run(0.05)
    manual.controller.hold()
    with pytest.raises(RefusedError):
        manual.controller.joints({FIRST: AWAY[3]})
    assert manual.mode == Mode.HOLDING


@pytest.mark.parametrize("stop", ["estop", "bus"])
def test_what_stops_a_hand_stops_joint_commands(manual: Bench, stop: str) -> None:
    manual.controller.joints(list(AWAY))
    manual.run(0.05)
    if stop == "estop":
        manual.controller.estop()
        assert not manual.controller.torque
    else:
        manual.answered = False
        manual.run(0.1)
        assert manual.mode == Mode.FAULT
    with pytest.raises(RefusedError):
        manual.controller.joints({})


def test_a_trajectory_is_at_its_points_at_their_times(manual: Bench) -> None:
    start = manual.servos[[3, 4]]
    to = start + 0.3
    times = np.array([0.4, 0.8, 1.6])
    reply = manual.controller.follow(times, [to, to, start], [FIRST, SECOND])
    assert reply["seconds"] == pytest.approx(1.6)
    beat(manual, 0.4)
    assert manual.targets is not None
    # Behind by what braking at 0.75 rad/s needs, and a tick.
    np.testing.assert_allclose(manual.targets.position[[3, 4]], to, atol=0.03)
    beat(manual, 0.4)
    np.testing.assert_allclose(manual.targets.position[[3, 4]], to, atol=1e-3)
    beat(manual, 0.9)
    reply = manual.controller.joints({})
    assert reply["seconds"] == 0.0 and reply["left"] < 1e-3
    np.testing.assert_allclose(manual.servos[[3, 4]], start, atol=0.011)


def test_a_target_of_its_own_ends_a_trajectory_where_it_is(manual: Bench) -> None:
    manual.controller.follow([1.0], [AWAY[[3, 4]]], [FIRST, SECOND])
    beat(manual, 0.3)
    manual.controller.joints({FIRST: HAND.rest[3]})
    beat(manual, 2.0)
    assert manual.servos[3] == pytest.approx(HAND.rest[3], abs=0.011)
    assert abs(manual.servos[4] - AWAY[4]) > 0.1


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ({"thumb": 0.1}, "has no joint 'thumb'; it has"),
        ({FIRST: HAND.upper[3] + 0.1}, f"out of the range of {FIRST}"),
        ([0.0, 0.0], "2 positions for the 20 of dactyl24"),
        ([9.0] * 20, "9 rad is out of the range"),
    ],
)
def test_targets_that_are_refused_change_nothing(
    manual: Bench, positions: dict[str, float] | list[float], words: str
) -> None:
    manual.run(0.1)
    before = manual.controller.operation.mover.position.copy()
    with pytest.raises(RefusedError, match=words) as caught:
        manual.controller.joints(positions)
    assert caught.value.code == "invalid"
    beat(manual, 0.3)
    np.testing.assert_array_equal(manual.controller.operation.mover.position, before)


@pytest.mark.parametrize(
    ("times", "positions", "joints", "words"),
    [
        ([0.01], [AWAY[[3]]], [FIRST], f"{FIRST} would have to move at .* give it more time"),
        ([1.0], [[0.1, 0.1]], [FIRST], "2 positions in a row for 1 joints"),
        ([1.0], [[0.1, 0.1]], [FIRST, FIRST], "named twice"),
        ([1.0], [[-9.0]], [FIRST], f"out of the range of {FIRST}"),
        ([1.0], [[0.1]], ["hook"], "no joint 'hook'"),
    ],
)
def test_trajectories_that_are_refused(
    manual: Bench, times: list[float], positions: list[list[float]], joints: list[str], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        manual.controller.follow(times, positions, joints)


def test_a_restored_hand_follows_as_the_one_it_was_captured_from(manual: Bench) -> None:
    manual.controller.follow([0.5, 1.0], [AWAY, HAND.rest])
    beat(manual, 0.3)
    other = Bench()
    other.controller = Controller(HAND, BLOCK, PoseFeed(BLOCK), seed=1)
    restore(other.controller, capture(manual.controller))
    other.t, other.servos, other.targets = manual.t, manual.servos.copy(), manual.targets
    other._next_frame = manual._next_frame
    for _ in range(60):
        for bench in (manual, other):
            bench.controller.joints({})
            bench.tick()
        assert manual.targets is not None and other.targets is not None
        np.testing.assert_array_equal(manual.targets.position, other.targets.position)


def test_silence_is_a_setting() -> None:
    bench = Bench(safety=SafetySettings(manual_silence=1.0))
    bench.start(Mode.HOLDING)
    bench.controller.manual()
    assert 0.95 < bench.until(Mode.HOLDING, 1.5) < 1.05
