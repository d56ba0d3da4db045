"""What the controller does when hand or object behave unlike anything in training."""

import numpy as np
import pytest

from inhand.controller.config.settings import GoalSettings, MonitorSettings
from inhand.controller.core.records import Event
from inhand.controller.ipc.telemetry import describe
from inhand.controller.policy.observation import observation_size
from inhand.controller.recording.checkpoint import capture, restore
from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import HAND, TICK, Bench, ScriptedPolicy
from tests.controller.policy.monitors import pull_monitor

SERVO = 3
FULL = np.zeros(HAND.n_actuators)
FULL[SERVO] = 0.3


def bench_with(action: str, *, jammed: bool = True, speed: float = 1.0) -> Bench:
    """A running hand with a monitor that finds one servo, which is jammed at its rest angle."""
    policy = ScriptedPolicy([FULL])
    policy.monitor = pull_monitor(HAND, SERVO, 0.1)
    settings = MonitorSettings(action=action, speed=speed)  # type: ignore[arg-type]
    # Without noise, as an encoder that repeats its value while the target moves is a fault.
    bench = Bench(policy, monitor=settings, goals=GoalSettings(unstick=0.0))
    bench.start(Mode.RUNNING)
    if jammed:
        bench.jammed = {SERVO: float(HAND.rest[SERVO])}
    return bench


def alarms(bench: Bench) -> list[Event]:
    return [event for event in bench.events if event.kind == "unlike_training"]


def test_an_alarm_is_told_with_the_servo_and_the_hand_goes_on() -> None:
    bench = bench_with("tell")
    bench.run(8.0)
    (alarm,) = alarms(bench)
    name = f"{HAND.actuator_names[SERVO]}: pull"
    assert alarm.data["unlike"] is True and alarm.data["likely"] == (name,)
    assert alarm.data["score"] >= 1.0 and bench.mode == Mode.RUNNING
    told = describe(bench.controller.snapshot(), bench.t)["policy"]
    assert isinstance(told, dict) and told["monitor"]["unlike"] is True
    bench.jammed = {}
    bench.run(9.0)
    assert [one.data["unlike"] for one in alarms(bench)] == [True, False]


def test_a_hand_that_follows_its_targets_causes_no_alarm() -> None:
    bench = bench_with("hold", jammed=False)
    bench.run(6.0)
    assert not alarms(bench) and bench.mode == Mode.RUNNING
    verdict = bench.controller.snapshot().monitor
    assert verdict is not None and verdict.score is not None and verdict.score < 0.5


def test_with_hold_the_policy_stops_and_says_why() -> None:
    bench = bench_with("hold")
    bench.until(Mode.HOLDING, 10.0)
    assert "unlike anything in training" in bench.controller.operation.reason
    assert HAND.actuator_names[SERVO] in bench.controller.operation.reason
    # What was measured is forgotten at the next arming, so that the hand does not stop at once.
    bench.jammed = {}
    bench.controller.arm()
    assert bench.controller.snapshot().monitor.score is None  # type: ignore[union-attr]


@pytest.mark.parametrize(("action", "slowed"), [("tell", False), ("slow", True)])
def test_with_slow_the_targets_are_slower_during_an_alarm(action: str, slowed: bool) -> None:
    bench = bench_with(action, speed=0.2)
    swing = np.zeros(HAND.n_actuators)
    swing[0] = 1.0
    policy = bench.controller.policy
    assert isinstance(policy, ScriptedPolicy)

    def fastest(seconds: float) -> float:
        speeds = []
        for i in range(round(seconds / TICK)):
            if i % 50 == 0:
                swing[0] = -swing[0]
            policy._actions = [FULL + swing]
            before = bench.targets
            bench.tick()
            assert before is not None and bench.targets is not None
            speeds.append(np.abs(bench.targets.position - before.position).max() / TICK)
        return float(max(speeds))

    assert fastest(1.0) > 0.5
    bench.run(6.0)
    assert alarms(bench)
    assert (fastest(1.0) < 0.2 + 1e-6) == slowed


def test_a_checkpoint_in_the_middle_of_a_window_leads_to_the_same_alarm() -> None:
    one = bench_with("tell")
    one.run(2.0)
    other = pull_monitor(HAND, SERVO, 0.1)
    policy = one.controller.policy
    assert policy is not None and policy.monitor is not None
    restore(other, capture(policy.monitor))
    rng = np.random.default_rng(0)
    for _ in range(300):
        seen, goal = rng.standard_normal(observation_size(HAND)), np.array([1.0, 0.0, 0.0, 0.0])
        assert policy.monitor.step(seen, goal, follows=True) == other.step(seen, goal, follows=True)
        assert policy.monitor.verdict == other.verdict
    assert other.verdict.score is not None
