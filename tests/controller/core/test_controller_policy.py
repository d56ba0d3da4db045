"""The controller and its policy: when it acts, on which observation, and invalid actions."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.config.settings import GoalSettings
from inhand.controller.core.goals import RandomGoal
from inhand.controller.errors import PolicyError
from inhand.controller.safety.modes import Happening, Mode
from inhand.hardware.records import Targets
from tests.controller.bench_hand import (
    HAND,
    Bench,
    ScriptedPolicy,
    learned,
)


def test_memory_is_reset_on_arm_object_back_and_fault_but_not_on_a_new_goal() -> None:
    policy = ScriptedPolicy([np.zeros(HAND.n_actuators)])
    bench = Bench(policy)
    bench.run(0.3)
    assert bench.kinds() == ["object_in_hand"] and policy.resets == 1
    bench.controller.enable()
    bench.controller.arm()
    assert policy.resets == 2
    bench.controller.arm()
    bench.ask(np.pi, timeout=0.2)
    bench.run(0.1)
    bench.ask(2.0)
    bench.controller.ask([RandomGoal()], replace=True, timeout=0.2)
    bench.run(1.0)
    bench.ask(np.pi)
    bench.run(0.1)
    assert bench.mode == Mode.RUNNING and policy.resets == 2
    bench.fall()
    bench.run(0.3)
    bench.position = np.array(HAND.workspace.object_start)
    bench.run(1.0)
    assert bench.kinds()[-1] == "object_in_hand" and policy.resets == 3
    bench.controller.report(Happening.BUS_LOST, "unplugged")
    assert policy.resets == 4
    bench.controller.set_policy(policy)
    assert policy.resets == 5


def test_the_policy_is_asked_at_its_own_rate() -> None:
    policy = ScriptedPolicy([np.zeros(HAND.n_actuators)])
    bench = Bench(policy)
    bench.start(Mode.RUNNING)
    bench.run(0.99)
    assert policy.steps == 20


def test_numbers_that_are_not_finite_stop_the_hand_and_reach_no_servo(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.2)
    bench.servos = np.full(HAND.n_actuators, np.nan)
    bench.until(Mode.FAULT, 0.05)
    assert bench.events[-1].data["cause"] == "joints_stale"
    assert "reads as no number" in bench.controller.snapshot().reason
    assert bench.targets is not None and np.isfinite(bench.targets.position).all()


def test_actions_that_are_not_finite_move_nothing() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e300] * 5)
    bench = Bench(ScriptedPolicy([wild]))
    bench.start(Mode.RUNNING)
    for _ in range(100):
        bench.tick()
        assert bench.targets is not None
        assert np.isfinite(bench.targets.position).all()
        assert (bench.targets.position >= HAND.lower - 1e-9).all()
        assert (bench.targets.position <= HAND.upper + 1e-9).all()
    np.testing.assert_allclose(bench.targets.position[::4], HAND.rest[::4], atol=0.011)


def test_a_policy_is_exchanged_only_while_it_does_not_run(bench: Bench, tmp_path: Path) -> None:
    other = learned(tmp_path, "other.onnx")
    bench.start(Mode.RUNNING)
    bench.refused("refused", "set_policy", other)
    bench.controller.disarm()
    bench.controller.set_policy(other)
    assert bench.controller.snapshot().policy == "other.onnx"
    bench.tick()
    assert bench.kinds()[-1] == "policy_loaded"


def test_a_policy_for_another_tick_rate_is_refused() -> None:
    slow = ScriptedPolicy([np.zeros(HAND.n_actuators)], tick_rate=200)
    with pytest.raises(PolicyError, match="made for 200 ticks/s, this daemon runs 100"):
        Bench(slow)
    bench = Bench()
    bench.run(0.1)
    assert "tick_rate = 200" in bench.refused("policy", "set_policy", slow)


def test_what_was_sent_is_what_the_next_observation_sees(bench: Bench) -> None:
    bench.start(Mode.HOLDING)
    rounded = Targets(bench.t, np.round(bench.servos, 2))
    bench.controller.note_sent(rounded)
    np.testing.assert_array_equal(bench.controller.snapshot().targets, rounded.position)


def test_a_pause_and_its_end_ask_the_policy_at_once() -> None:
    policy = ScriptedPolicy([np.zeros(HAND.n_actuators)])
    bench = Bench(policy)
    bench.start(Mode.RUNNING)
    bench.run(0.2)
    bench.seen = False
    bench.run(1.0)
    steps = policy.steps
    bench.run(0.2)
    assert policy.steps == steps
    bench.seen = True
    bench.tick()
    assert policy.steps == steps + 1


@pytest.mark.parametrize(("to_go", "shaken"), [(0.1, False), (1.0, True)])
def test_noise_against_a_stall_spares_an_object_within_tolerance(
    to_go: float, shaken: bool
) -> None:
    policy = ScriptedPolicy([np.zeros(HAND.n_actuators)])
    bench = Bench(policy, goals=GoalSettings(unstick_after=0.5))
    bench.start(Mode.READY)
    bench.ask(to_go, tolerance=0.2, hold=100.0)
    bench.run(1.5)
    assert bench.mode == Mode.RUNNING and bench.targets is not None
    assert bool((np.abs(bench.targets.position - HAND.action_zero) > 0.02).any()) == shaken


def test_the_policy_acts_at_its_rate_also_with_uneven_ticks() -> None:
    policy = ScriptedPolicy([np.zeros(HAND.n_actuators)])
    bench = Bench(policy)
    bench.start(Mode.RUNNING)
    lengths = np.random.default_rng(3).choice([0.005, 0.01, 0.02], 600)
    began, steps = bench.t, policy.steps
    for length in lengths:
        bench.tick(float(length))
    assert policy.steps - steps == pytest.approx(20 * (bench.t - began), abs=2)


def test_targets_keep_the_limits_when_ticks_are_far_too_long() -> None:
    """By positions and times alone."""
    rng = np.random.default_rng(5)
    bench = Bench(ScriptedPolicy([np.ones(HAND.n_actuators), -np.ones(HAND.n_actuators)] * 500))
    bench.start(Mode.RUNNING)
    assert bench.targets is not None
    times, places = [bench.t], [bench.targets.position]
    for length in rng.choice([0.001, 0.01, 0.03, 0.08], 600):
        bench.tick(float(length))
        times.append(bench.t)
        places.append(bench.targets.position)
    assert bench.mode == Mode.RUNNING
    time = np.diff(times)[:, None]
    velocity = np.diff(places, axis=0) / time
    acceleration = np.diff(velocity, axis=0) / time[1:]
    assert np.abs(velocity).max() > 1.0
    assert (np.abs(velocity) <= HAND.velocity_limit * (1 + 1e-9)).all()
    assert (np.abs(acceleration) <= HAND.acceleration_limit * (1 + 1e-6)).all()
