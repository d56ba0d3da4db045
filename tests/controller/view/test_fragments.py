"""What the page says of goals, servos and the estimated world."""

import re
from typing import Any

import numpy as np
import pytest

from inhand.controller.ipc.telemetry import describe
from inhand.controller.safety.modes import Mode
from inhand.controller.view.fragments import goals_html, servos_html, world_html
from inhand.controller.view.past_goals import KEPT, PastGoal, PastGoals
from tests.controller.bench_hand import HAND, Bench, ScriptedPolicy
from tests.controller.policy.monitors import pull_monitor
from tests.controller.view.test_live import state


def goal(number: int, error: float = 0.3, seconds: float = 2.0) -> dict[str, Any]:
    return {"number": number, "error": error, "seconds": seconds}


def ended(*states: dict[str, Any]) -> list[tuple[int, str]]:
    past = PastGoals()
    for one in states:
        past.take(state(**one))
    return [(one.number, one.end) for one in past.goals]


def test_goals_end_as_the_counts_say() -> None:
    none = {"reached": 0, "missed": 0, "dropped": 0}
    begun = none | {"goal": goal(1)}
    assert ended(begun, begun, none | {"reached": 1, "goal": goal(2)}) == [(1, "reached")]
    assert ended(begun, none | {"missed": 1}) == [(1, "missed")]
    assert ended(begun, none | {"dropped": 1, "missed": 1}) == [(1, "dropped")]
    assert ended(begun, none) == [(1, "cancelled")]
    assert ended(none, none | {"reached": 1}) == []


def test_only_the_last_goals_are_kept_and_shown_with_time_and_error() -> None:
    past = PastGoals()
    for number in range(KEPT + 5):
        past.take(state(goal=goal(number, np.radians(17.0), 3.25), reached=number))
    assert [one.number for one in past.goals] == list(range(4, KEPT + 4))
    shown = goals_html(past.goals)
    assert shown.index(f">{KEPT + 3}<") < shown.index(">4<")
    assert "3.2 s" in shown and "17° left" in shown and "reached" in shown
    assert "no goal has ended yet" in goals_html(())
    # A goal that was reached at once has a bar, too.
    assert "width:0%" in goals_html([PastGoal(1, 0.0, 2.0, "reached")])


def test_servos_show_load_of_their_limit_and_temperature() -> None:
    bench = Bench(ScriptedPolicy([]))
    bench.temperature = np.full(HAND.n_actuators, 65.0)
    bench.start(Mode.HOLDING)
    told: dict[str, Any] = dict(describe(bench.controller.snapshot(), bench.t))
    told["joints"]["current"] = [0.0] * HAND.n_actuators
    shown = servos_html(HAND, told)
    assert shown.count("65 °C") == HAND.n_actuators
    for name in HAND.actuator_names:
        assert f">{name}<" in shown
    told["joints"]["temperature"] = [None] * HAND.n_actuators
    told["joints"]["current"][0] = 100.0
    shown = servos_html(HAND, told)
    assert shown.count("not read") == HAND.n_actuators
    assert "width:100%" in shown
    assert "no servo was read yet" in servos_html(HAND, told | {"joints": None})


def test_the_estimated_world_is_shown_if_the_policy_has_one() -> None:
    policy = ScriptedPolicy([])
    bench = Bench(policy)
    bench.run(0.1)
    told: Any = describe(bench.controller.snapshot(), bench.t)
    assert told["policy"]["world"] is None and world_html(told["policy"]) == ""
    policy.world_names = ("object_mass", "friction")
    policy.world = np.array([0.5, -1.0, np.log(0.25), 1e9])
    told = describe(bench.controller.snapshot(), bench.t)
    first, second = told["policy"]["world"]
    assert first == {"name": "object_mass", "mean": 0.5, "deviation": pytest.approx(0.25)}
    assert np.isfinite(second["deviation"])
    shown = world_html(told["policy"])
    assert "object mass" in shown and "+0.50 ± 0.25" in shown
    assert all(0 <= float(x) <= 100 for x in re.findall(r"margin-left:(\d+)%", shown))
    assert world_html(None) == ""


def test_the_monitor_is_shown_if_the_policy_has_one() -> None:
    policy = ScriptedPolicy([])
    policy.monitor = pull_monitor(HAND, 3, 0.1)
    bench = Bench(policy)
    bench.run(0.1)
    told: Any = describe(bench.controller.snapshot(), bench.t)
    assert told["policy"]["monitor"] == {"score": None, "unlike": False, "likely": ()}
    assert "compares from 4 s" in world_html(told["policy"])
    calm = {"score": 0.3, "unlike": False, "likely": ()}
    assert "like training, score 0.3" in world_html({"monitor": calm})
    alarm = {"score": 2.5, "unlike": True, "likely": ("action_latency +", "<b>: gain -")}
    shown = world_html({"monitor": alarm})
    assert "unlike anything in training" in shown and "action latency +" in shown
    assert "&lt;b&gt;: gain -" in shown
