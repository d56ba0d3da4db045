"""`inhand eval`: trials end for the right reason, are scored with true poses and repeat exactly."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from inhand.hardware.model.hand import hand_file, load_hand
from inhand.hardware.model.universe import load_universe, sample
from inhand.perception import rotations
from inhand.training.evaluation import wires
from inhand.training.evaluation.evaluation import run_trials
from inhand.training.evaluation.kept_trials import conditions
from inhand.training.evaluation.lockstep import run_trial
from inhand.training.evaluation.packed_files import pack
from inhand.training.evaluation.report import Report, bootstrap
from inhand.training.evaluation.trials import Rules, Setup, plan_trial
from inhand.training.sensors.measured_errors import MeasuredErrors

HAND = load_hand("dactyl24")
ENGINES = ("mujoco", "pybullet")
needs_drake = pytest.mark.skipif(find_spec("pydrake") is None, reason="needs the extra drake")
EVERY = [*ENGINES, pytest.param("drake", marks=needs_drake)]

Run = Callable[..., Any]


@pytest.mark.parametrize("engine", EVERY)
def test_trial_ends_by_timeout_and_repeats_exactly(setup: Setup, engine: Any) -> None:
    here = replace(setup, engine=engine, scale=0.5, rules=Rules(timeout=1.5))
    trial = run_trial(here, 1)
    assert trial.end == "timeout"
    assert trial.seconds >= 1.5
    assert len(trial.goals) == trial.score + trial.false_successes
    assert run_trial(here, 1) == trial


def test_a_trial_of_limited_length_runs_with_the_given_noise_on_actions(setup: Setup) -> None:
    noise = set()
    here = replace(setup, rules=Rules(seconds=0.3), unstick=0.0)
    trial = run_trial(here, 1, watch=lambda t, world, own: noise.add(own.settings.goals.unstick))
    assert (trial.end, noise) == ("over", {0.0})
    assert trial.seconds == pytest.approx(0.3, abs=0.011)


def test_a_trial_with_the_errors_of_a_network_is_another_one(setup: Setup, tmp_path: Path) -> None:
    rng, none = np.random.default_rng(1), tmp_path / "none.npz"
    blind = MeasuredErrors(
        np.zeros(40, dtype=int),
        rotations.random_quaternion(rng, (40,)),
        np.arange(40) < 1,
        np.zeros((40, 6)),
        np.tile(1e-6 * np.eye(6), (40, 1, 1)),
        "a test",
    )
    blind.save(none)
    here = replace(setup, rules=Rules(timeout=1.5), eyes="network", errors=none)
    # Eyes that see the object once in forty pictures do not allow to begin.
    assert run_trial(here, 1).end == "stopped"
    seeing = replace(blind, seen=np.ones(40, dtype=np.bool_))
    seeing.save(tmp_path / "seeing.npz")
    assert run_trial(replace(here, errors=tmp_path / "seeing.npz"), 1).end == "timeout"
    assert pack(here)["errors"] == none.read_bytes()
    assert conditions(here, "") != conditions(replace(here, errors=tmp_path / "seeing.npz"), "")


def test_other_seed_and_other_trial_draw_other_worlds_and_goals(setup: Setup) -> None:
    drawn = replace(setup, scale=1.0)
    plans = [plan_trial(drawn, 1), plan_trial(drawn, 2), plan_trial(replace(drawn, seed=2), 1)]
    assert len({plan.universe for plan in plans}) == 3
    assert len({plan.start.tobytes() for plan in plans}) == 3
    assert len({plan.goals[0].tobytes() for plan in plans}) == 3
    again = plan_trial(replace(drawn, engine="pybullet", wires=True), 1)
    np.testing.assert_array_equal(again.goals, plans[0].goals)
    assert again.universe == plans[0].universe


def test_face_up_goals_turn_one_face_up(setup: Setup) -> None:
    plan = plan_trial(replace(setup, rules=Rules(goals="face-up")), 1)
    faces = np.array(list(plan.target.faces.values()))
    for goal in plan.goals:
        heights = rotations.rotate(goal, faces)[:, 2]
        assert heights.max() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("engine", EVERY)
def test_every_goal_counts_when_any_error_is_tolerated(setup: Setup, engine: Any) -> None:
    trial = run_trial(
        replace(setup, engine=engine, rules=Rules(tolerance=3.1415, timeout=3.0, cap=12)), 1
    )
    assert (trial.end, trial.score, len(trial.goals)) == ("cap", 12, 12)
    assert (trial.false_successes, trial.missed_successes) == (0, 0)
    assert trial.seconds < 1.0


@pytest.mark.parametrize("engine", EVERY)
def test_drop_ends_the_trial(setup: Setup, universe: Run, engine: Any) -> None:
    tilted = universe("gravity = [-6.0, 0.0, -6.0]")
    assert run_trial(replace(setup, engine=engine, universe=tilted), 1).end == "drop"
    pushed = universe("push_rate = 5.0\npush_acceleration = 40.0")
    trial = run_trial(replace(setup, engine=engine, universe=pushed, rules=Rules()), 1)
    assert trial.end == "drop"
    assert 0.0 < trial.seconds < 80.0


def test_false_successes_are_counted_and_do_not_score(setup: Setup, universe: Run) -> None:
    misled = universe("rotation_noise = [0.0, 1.0]")
    rules = Rules(tolerance=2.9, timeout=3.0)
    trials = [run_trial(replace(setup, universe=misled, rules=rules), n) for n in range(1, 5)]
    goals = [goal for trial in trials for goal in trial.goals]
    false = sum(goal.true_error > 2.9 for goal in goals)
    assert false > 0
    assert sum(trial.false_successes for trial in trials) == false
    assert sum(trial.score for trial in trials) == len(goals) - false


def test_success_that_is_not_reported_is_missed(setup: Setup, universe: Run) -> None:
    rare = universe("pose_interval = 0.25")
    rules = Rules(tolerance=3.1415, hold=0.5, timeout=1.0)
    trial = run_trial(replace(setup, universe=rare, rules=rules), 1)
    assert (trial.end, trial.score, trial.missed_successes) == ("timeout", 0, 1)


def test_trial_without_poses_stops_with_the_controllers_reason(setup: Setup, universe: Run) -> None:
    trial = run_trial(replace(setup, universe=universe("pose_dropout = 1.0")), 1)
    assert (trial.end, trial.score) == ("stopped", 0)
    assert "last seen never" in trial.reason


def test_jobs_do_not_change_the_result(setup: Setup) -> None:
    quick = replace(setup, scale=1.0, rules=Rules(tolerance=2.5, timeout=1.0))
    assert list(run_trials(quick, 2, jobs=2)) == list(run_trials(quick, 2, jobs=1))


@pytest.mark.slow
def test_trials_are_equal_to_the_bit_with_any_number_of_workers(
    setup: Setup, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs the extra `cluster`")
    from tests.training.cluster.machines import member_of, two_nodes

    hand = tmp_path / "mine.toml"
    hand.write_bytes(hand_file("dactyl24").read_bytes())
    quick = replace(setup, hand=str(hand), scale=1.0, rules=Rules(tolerance=2.5, timeout=2.0))
    alone = [msgspec.json.encode(trial) for trial in run_trials(quick, 6)]
    for jobs in (2, 4):
        assert [msgspec.json.encode(trial) for trial in run_trials(quick, 6, jobs)] == alone
    with two_nodes() as (cluster, _), member_of(cluster):
        spread = run_trials(quick, 6, on_cluster=True)
        assert [msgspec.json.encode(trial) for trial in spread] == alone


def test_universe_is_the_same_after_toml(tmp_path: Path) -> None:
    drawn = sample(HAND, np.random.default_rng(3), 1.0)
    path = tmp_path / "universe.toml"
    path.write_text(wires.universe_toml(drawn))
    assert load_universe(path, HAND) == drawn


@pytest.mark.alone
def test_real_time_trials_are_scored_with_the_true_pose(inhand_eval: Run) -> None:
    """Real processes: daemon, world, renderer, cameras."""
    code, out, err = inhand_eval(
        *("--engine", "pybullet", "--wires", "--trials", "1", "--cap", "3"),
        *("--tolerance", "3.1415", "--timeout", "20", "--json"),
    )
    assert code == 0, err
    report = msgspec.json.decode(out, type=Report)
    (trial,) = report.trials
    assert (report.route, trial.end, trial.score) == ("wires", "cap", 3)
    for goal in trial.goals:
        assert goal.true_error == pytest.approx(goal.believed_error, abs=0.3)


def test_bootstrap_covers_the_statistics_and_repeats() -> None:
    scores = np.array([0, 1, 2, 3, 5, 8, 13, 21, 34, 50], dtype=np.float64)
    median, mean = bootstrap(scores, seed=1)
    assert median[0] <= 6.5 <= median[1]
    # Within a few per cent of the normal interval, 1.96 sd/√n.
    half = 1.96 * scores.std() / np.sqrt(10)
    assert (mean[1] - mean[0]) / 2 == pytest.approx(half, rel=0.1)
    assert bootstrap(scores, seed=1) == (median, mean)


def test_json_is_one_object_on_standard_output(inhand_eval: Run) -> None:
    code, out, err = inhand_eval(
        *("--engine", "pybullet", "--trials", "2", "--timeout", "1", "--seed", "5", "--json")
    )
    report = msgspec.json.decode(out, type=Report)
    assert code == 0
    assert (report.engine, report.route, report.n, report.seed) == ("pybullet", "lockstep", 2, 5)
    assert [trial.trial for trial in report.trials] == [1, 2]
    assert report.median == np.median([trial.score for trial in report.trials])
    ends = report.drops + report.timeouts + report.capped + report.stopped
    assert ends == report.n
    assert "trial   2/2" in err


def test_text_names_policy_score_and_ends(inhand_eval: Run, setup: Setup) -> None:
    code, out, _ = inhand_eval("--engine", "mujoco", "--trials", "1", "--timeout", "1")
    assert code == 0
    assert setup.sha256[:12] in out
    assert "median 0 [0, 0], mean 0.0" in out
    assert "1 time-outs" in out


def test_validation_runs_another_mujoco(setup: Setup) -> None:
    plan = plan_trial(replace(setup, validation=True), 1)
    assert plan.universe.mujoco != plan_trial(setup, 1).universe.mujoco
    rules = Rules(timeout=1.0)
    assert run_trial(replace(setup, validation=True, rules=rules), 1).end == "timeout"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--policy", "nowhere.onnx"), "policy nowhere.onnx: No such file"),
        (("--object", "prism"), "made for object block, this is prism"),
        (("--object", "ball"), "no object file"),
        (("--trials", "0"), "--trials and --jobs must be at least 1"),
        (("--tolerance", "0"), "--tolerance 0.0 must lie in"),
        (("--cap", "0"), "--cap 0 must lie in 1..1000"),
        (("--timeout", "nan"), "--timeout in (0, 3600] s"),
        (("--scale", "-1"), "--scale -1.0 must lie in"),
        (("--errors", "FILE"), "--errors goes with --eyes network, without --wires"),
        (("--scale", "1", "--universe", "u.toml"), "exclude each other"),
        (("--universe", "nowhere.toml"), "universe file nowhere.toml: No such file"),
        (("--wires",), "--wires runs in real time: with --engine pybullet"),
        (("--jobs", "2", "--ray", "local"), "--ray and --jobs exclude each other"),
        (("--engine", "pybullet", "--validation"), "--validation goes with --engine mujoco"),
    ],
)
def test_bad_input_is_one_line(
    inhand_eval: Run, arguments: tuple[str, ...], complaint: str
) -> None:
    code, out, _ = inhand_eval("--engine", "mujoco", *arguments)
    assert isinstance(code, str) and code.startswith("error: ") and "\n" not in code
    assert complaint in code
    assert out == ""


def test_unknown_universe_key_is_one_line(inhand_eval: Run, universe: Run) -> None:
    code, _, _ = inhand_eval("--engine", "mujoco", "--universe", str(universe("fricton = 0.5")))
    assert "fricton" in code and "\n" not in code


def test_time_step_must_fit_the_tick(inhand_eval: Run, universe: Run) -> None:
    odd = universe("[mujoco]\ntimestep = 0.003")
    code, _, _ = inhand_eval("--engine", "mujoco", "--universe", str(odd))
    assert "time step 0.003 s and tick 0.01 s must be a multiple" in code


@pytest.mark.parametrize(("engine", "other"), [ENGINES, ENGINES[::-1]])
def test_only_the_engine_in_use_is_imported(setup: Setup, engine: str, other: str) -> None:
    words = ["inhand eval", "--engine", engine, "--policy", str(setup.policy)]
    words += ["--trials", "1", "--timeout", "0.2", "--json"]
    program = (
        "import sys; from inhand.result import results_only; "
        "from inhand.training.evaluation.evaluation import main\n"
        f"sys.argv = {words!r}\n"
        "with results_only(): main()\n"
        f"print(sorted({{'torch', {other!r}}} & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    report, loaded = done.stdout, done.stderr.splitlines()[-1]
    assert json.loads(report)["engine"] == engine
    assert loaded == "[]"
