"""Every world of test runs in every engine; unsupported fields give a one-line error."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inhand.training.evaluation.lockstep import run_trial
from inhand.training.evaluation.trials import Rules, Setup, plan_trial

needs_drake = pytest.mark.skipif(find_spec("pydrake") is None, reason="needs the extra drake")
EVERY = ["mujoco", "pybullet", pytest.param("drake", marks=needs_drake)]
UNIVERSES = Path(__file__).parents[3] / "training" / "universes"

Run = Callable[..., Any]


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize(
    "name", ["rubber", "soft", "worn", "slow", "mounted", "everything", "slippery"]
)
def test_every_world_of_test_runs(setup: Setup, engine: Any, name: str) -> None:
    path = UNIVERSES / f"{name}.toml"
    rules = Rules(timeout=0.3)
    trial = run_trial(replace(setup, engine=engine, universe=path, rules=rules), 1)
    assert trial.end in ("timeout", "drop")


@needs_drake
def test_what_drake_does_not_support_is_a_one_line_error(inhand_eval: Run, universe: Run) -> None:
    for text, said in (
        ("[drake]\ntimestep = 0.003", "must be a multiple of the other"),
        ("torsional_friction = 0.002", "Drake has no torsional_friction"),
        ("[drake]\nsolver = 'fast'", "drake.solver"),
    ):
        code, _, _ = inhand_eval("--engine", "drake", "--universe", str(universe(text)))
        assert said in code and "\n" not in code


@pytest.mark.parametrize(
    ("engine", "extra"), [("drake", "drake"), ("pybullet", "sim"), ("mujoco", "train")]
)
def test_an_engine_that_is_not_installed_says_which_extra_brings_it(
    inhand_eval: Run, monkeypatch: pytest.MonkeyPatch, engine: str, extra: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, _, _ = inhand_eval("--engine", engine)
    assert f"{engine} is not installed" in code and f"inhand[{extra}]" in code


@needs_drake
def test_drawn_universes_for_drake_have_no_torsional_friction(setup: Setup) -> None:
    drawn = replace(setup, scale=1.0)
    plans = [plan_trial(replace(drawn, engine=engine), 1) for engine in ("drake", "pybullet")]
    assert plans[0].universe.torsional_friction == 0.0 < plans[1].universe.torsional_friction
    same = msgspec.structs.replace(plans[1].universe, torsional_friction=0.0)
    assert plans[0].universe == same


def test_a_controller_that_pauses_goes_on_afterwards(setup: Setup, universe: Run) -> None:
    """About ten pauses in three seconds are no fault; the end of a goal's time is noticed late."""
    pausing = universe("pause_rate = 5.0\npause_time = 0.15\n")
    trial = run_trial(replace(setup, universe=pausing), 1)
    assert trial.end == "timeout"
    assert 3.0 <= trial.seconds < 3.5
