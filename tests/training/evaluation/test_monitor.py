"""Fitting a monitor: thresholds, which axes are kept, servos that are named; the command."""

import shutil
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.cli import main
from inhand.controller.policy.files import SHIPPED
from inhand.controller.policy.monitor import Model, feature_count, scores
from inhand.controller.policy.monitor_file import monitor_beside, packed
from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.training.evaluation.evaluation import prepare
from inhand.training.evaluation.evaluation_arguments import EvaluationArguments
from inhand.training.evaluation.monitor_fit import (
    ALARMS,
    WINDOWS_AN_ALARM,
    WINDOWS_PER_HOUR,
    Background,
    fit,
    servo_columns,
    thresholds,
)
from inhand.training.evaluation.monitor_worlds import single_axes
from inhand.training.evaluation.packed_files import pack
from inhand.training.mujoco_worlds.draws import AXES
from tests.controller import tiny_policy
from tests.controller.policy.monitors import pull_model

HAND = load_hand("dactyl24")
SIZE = feature_count(HAND)
NONE = np.zeros(0)
BARE = Model(NONE, NONE, NONE, NONE, NONE, NONE, (), 0)


def windows(rng: np.random.Generator, n: int, shift: Array | float = 0.0) -> Array:
    return np.asarray(rng.standard_normal((n, SIZE)) + shift)


@pytest.fixture(scope="module")
def model() -> Model:
    """Fitted where gain shifts features of every servo, and an axis without effect exists."""
    rng = np.random.default_rng(0)
    shift = np.zeros(SIZE)
    for servo in range(HAND.n_actuators):
        shift[servo_columns(HAND, servo)[:3]] = 6.0
    adverse = {
        "actuator_gain +": (windows(rng, 40, shift), windows(rng, 40, shift)),
        "iterations +": (windows(rng, 40), windows(rng, 40)),
    }
    return fit(HAND, BARE, Background(windows(rng, 4000), windows(rng, 4000)), adverse)


def test_an_axis_without_effect_has_no_statistic(model: Model) -> None:
    assert model.names[0] == "actuator_gain +"
    assert not any("iterations" in name for name in model.names)
    assert model.servos == HAND.n_actuators == len(model.names) - 1


def test_a_single_servo_is_named(model: Model) -> None:
    mean = np.zeros(SIZE)
    mean[servo_columns(HAND, 7)[:3]] = 6.0
    scored = scores(model, mean, 18)
    assert scored.max() > 1.0
    assert model.names[int(np.argmax(scored))] == f"{HAND.actuator_names[7]}: actuator_gain +"


def test_windows_as_in_training_are_seldom_above_the_thresholds(model: Model) -> None:
    fresh = windows(np.random.default_rng(1), 20_000)
    above = (scores(model, fresh, 18) >= 1.0).any(-1).mean()
    # The tails of normal numbers fall faster than the exponential ones that are assumed.
    assert above <= ALARMS * WINDOWS_AN_ALARM / WINDOWS_PER_HOUR


def test_fewer_windows_above_a_threshold_are_wanted_for_more_statistics() -> None:
    rng = np.random.default_rng(2)
    background = Background(windows(rng, 4000), windows(rng, 4000))
    row = np.eye(SIZE)[:1]
    (one,), (many,) = (thresholds(background, np.zeros(SIZE), row, n) for n in (1, 100))
    assert 3.0 < one < many < 10.0


def test_rare_windows_far_beyond_the_others_raise_a_threshold() -> None:
    """One in 500 is ten times as large, as where a finger is caught now and then."""
    rng = np.random.default_rng(4)

    def some(n: int) -> Array:
        found = rng.standard_normal((n, 1))
        found[rng.random(n) < 0.002] *= 10.0
        return found

    background = Background(some(100_000), rng.standard_normal((100_000, 1)))
    (found,) = thresholds(background, np.zeros(1), np.ones((1, 1)), 100)
    wanted = ALARMS * WINDOWS_AN_ALARM / (WINDOWS_PER_HOUR * 100)
    assert np.mean(some(4_000_000) > found) <= 2 * wanted


def test_a_short_window_needs_more_for_an_alarm(model: Model) -> None:
    mean = windows(np.random.default_rng(3), 1)
    np.testing.assert_allclose(scores(model, mean, 8) / scores(model, mean, 18), np.sqrt(8 / 18))


def test_every_axis_is_at_twice_its_range_on_each_side() -> None:
    cases = {case.name: case.strengths for case in single_axes()}
    assert len(cases) == sum(1 + axis.two_sided for axis in AXES.values())
    for name, strengths in cases.items():
        (column,) = np.flatnonzero(strengths)
        axis = list(AXES)[column]
        assert name.split()[0] == axis
        assert abs(strengths[column]) == min(2.0, AXES[axis].farthest)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["inhand", "monitor", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--worlds", "1"), "--worlds must be at least 4"),
        (("train", "--axes", "luck"), "there is no axis luck"),
        (("measure",), "make it with `inhand monitor train"),
    ],
)
def test_arguments_are_checked(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = tmp_path / "tiny.onnx"
    tiny_policy.write_policy(policy, HAND)
    assert said in str(run(monkeypatch, words[0], "--policy", str(policy), *words[1:]))


def test_an_evaluation_counts_alarms_of_the_monitor_beside_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.onnx"
    tiny_policy.write_policy(path, HAND)
    policy = load_policy(path, HAND, load_object("block"), allowed=None)
    # Some servo is always a little away from its target.
    monitor_beside(path).write_bytes(packed(pull_model(HAND, 0, 1e-5), policy, HAND))
    words = ["inhand", "eval", "--engine", "mujoco", "--trials", "1", "--timeout", "12", "--json"]

    def alarms() -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [*words, "--policy", str(path)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        assert ended.value.code == 0
        out, said = capfd.readouterr()
        return msgspec.json.decode(out)["alarms"], said

    assert alarms()[0] > 0
    assert "monitor" in pack(prepare(EvaluationArguments(engine="mujoco", policy=path))[0])
    monitor_beside(path).write_bytes(b"damaged")
    count, said = alarms()
    assert count == 0 and "its alarms are not counted" in said


@pytest.mark.slow
def test_a_monitor_is_made_and_measured_on_a_tiny_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, page = tmp_path / "block.onnx", tmp_path / "page.md"
    shutil.copy(SHIPPED / "block.onnx", policy)
    words = ["--policy", str(policy), "--worlds", "8", "--copies", "2", "--threads", "1"]
    words += ["--axes", "joint_noise"]
    assert run(monkeypatch, "train", *words, "--minutes", "0.5") == 0
    assert (tmp_path / "block.monitor.npz").exists()
    words += ["--minutes", "0.2", "--output", str(page)]
    capsys.readouterr()
    assert run(monkeypatch, "measure", *words, "--json") == 0
    report = msgspec.json.decode(capsys.readouterr().out)
    assert report["nominal"]["hours"] == pytest.approx(8 * 0.2 / 60, rel=0.1)
    lines = page.read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("| joint_noise +"))
    assert "2 of 2" in found
