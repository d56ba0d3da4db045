"""`inhand probe`: it finds what the memory encodes, and chance accuracy for anything else."""

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.optimize import minimize

from inhand.controller.cli import main
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.training.evaluation.logistic import STRENGTHS, held_out_hits, linear_probe, wilson
from inhand.training.evaluation.probe import PART, Arguments, parts_of, read
from inhand.training.evaluation.probe_ceiling import ceiling_estimates
from inhand.training.evaluation.probe_page import SOURCES, Report
from inhand.training.evaluation.probe_readout import (
    APART,
    PROPERTIES,
    QUESTIONS,
    asked,
    explained,
    folds,
    held_out_estimates,
    linear_hits,
    values_of,
)
from inhand.training.evaluation.probe_sample import Sample, collect, joined
from inhand.training.evaluation.workers import spread
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")
Run = Callable[..., tuple[object, str]]


def test_the_fit_is_the_minimum_of_the_penalised_loss() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((200, 5))
    labels = features @ [1.0, -2.0, 0.0, 0.5, 0.0] + rng.logistic(size=200) > 0.3
    probe = linear_probe(0.01, len(labels)).fit(features, labels)

    def loss(w: Array) -> float:
        scores = features @ w[:-1] + w[-1]
        log_loss = np.logaddexp(0.0, np.where(labels, -scores, scores)).mean()
        return float(log_loss + 0.005 * np.square(w[:-1]).sum())

    least = minimize(loss, np.zeros(6), tol=1e-10).x
    np.testing.assert_allclose([*probe.coef_[0], *probe.intercept_], least, atol=1e-4)
    assert (probe.predict(features) == labels).mean() > 0.75


def test_separable_labels_do_not_upset_the_fit() -> None:
    features = np.linspace(-1, 1, 40)[:, None]
    labels = features[:, 0] > 0
    probe = linear_probe(1e-3, len(labels)).fit(features, labels)
    assert np.isfinite(probe.coef_).all()
    assert (probe.predict(features) == labels).all()


def newton_hits(features: Array, labels: Array, seed: int) -> Array:
    """The same cross-validation with a Newton solver written out."""

    def label(rows: Array, wanted: Array, strength: float, others: Array) -> Array:
        rows, others = (np.column_stack([x, np.ones(len(x))]) for x in (rows, others))
        penalty = np.append(np.full(rows.shape[1] - 1, strength), 1e-9)
        weights = np.zeros(rows.shape[1])
        for _ in range(30):
            chance = 0.5 * (1.0 + np.tanh(0.5 * (rows @ weights)))
            slope = rows.T @ (chance - wanted) / len(rows) + penalty * weights
            curvature = (rows.T * (chance * (1 - chance))) @ rows / len(rows) + np.diag(penalty)
            step = np.linalg.solve(curvature, slope)
            weights -= step / max(1.0, float(np.linalg.norm(step)) / 5.0)
        return others @ weights > 0

    order = np.random.default_rng(seed).permutation(len(labels))
    hits = np.zeros(len(labels), dtype=np.bool_)
    for part in np.array_split(order, 5):
        rest = order[~np.isin(order, part)]
        scaled = (features - features[rest].mean(axis=0)) / features[rest].std(axis=0)
        one, two = np.split(rest, [len(rest) // 5])
        shares = [
            (label(scaled[two], labels[two], each, scaled[one]) == labels[one]).mean()
            for each in STRENGTHS
        ]
        strength = STRENGTHS[int(np.argmax(shares))]
        hits[part] = label(scaled[rest], labels[rest], strength, scaled[part]) == labels[part]
    return hits


def sample(leak: float, n: int = 600) -> Sample:
    """Memories of 64 numbers, one of which leaks a little of the object's size."""
    rng = np.random.default_rng(2)
    sizes = rng.uniform(0.9, 1.1, n)
    memory = rng.standard_normal((n, 64))
    memory[:, 7] += leak * (sizes - 1.0) / 0.1
    universes = tuple(Universe(object_size=float(size)) for size in sizes)
    return Sample(memory, rng.standard_normal((n, 6, 8)), 2, universes, 700)


def test_hits_are_those_of_newtons_method() -> None:
    given = sample(1.0)
    labels = np.array([universe.object_size for universe in given.universes]) > 1.0
    for seed in (0, 1):
        same = held_out_hits(given.memory, labels, seed) == newton_hits(given.memory, labels, seed)
        assert same.mean() > 0.995  # a row on the boundary may fall to either side


def test_only_what_the_memory_encodes_is_found() -> None:
    given = Arguments(trials=600, epochs=0)
    size, mass, _ = QUESTIONS
    told, silent = (read(sample(leak), given, "tiny.onnx", "") for leak in (3.0, 0.0))
    assert told.explained["object's size"]["memory"].interval[0] > 0.6
    assert silent.explained["object's size"]["memory"].value < 0.05
    assert told.answers[size]["memory"].interval[0] > 0.75
    low, high = silent.answers[size]["memory"].interval
    assert low < 0.52 and high > 0.48
    for source in ("observation", "statistics", "random"):
        assert told.explained["object's size"][source].value < 0.05
        assert abs(told.answers[size][source].value - 0.5) < 0.09
    # All universes here have the same mass: there is nothing to explain, and nobody to ask.
    assert told.explained["object's mass"]["memory"].value == 0.0
    assert told.asked[mass] == 0 and told.asked[size] < told.n


def test_a_question_is_asked_of_worlds_that_differ_from_nominal() -> None:
    universes = tuple(Universe(friction=x) for x in (0.7, 0.98, 1.0, 1.02, 1.04))
    rows, answers = asked(values_of(universes), "object less slippery than nominal")
    assert rows.tolist() == [True, False, False, False, True] and answers.tolist() == [False, True]
    assert 0.02 < APART < np.log(1.04)


def test_r_squared_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(5)
    values = rng.standard_normal(500)
    estimates = 0.8 * values + 0.3 * rng.standard_normal(500)
    reading = explained(values, estimates)
    wanted = 1 - np.square(values - estimates).sum() / np.square(values - values.mean()).sum()
    assert reading.value == pytest.approx(wanted)
    assert reading.interval[0] < wanted < reading.interval[1] < 1.0


def test_a_regression_never_sees_what_it_estimates() -> None:
    rng = np.random.default_rng(6)
    noise, values = rng.standard_normal((200, 150)), rng.standard_normal((200, 2))
    for column, estimates in enumerate(held_out_estimates(noise, values).T):
        assert explained(values[:, column], estimates).value < 0.15
    assert linear_hits(noise[:3], values[:3, 0] > 0).size == 0


def test_the_ceiling_reads_what_only_the_course_of_a_trial_tells() -> None:
    """The value is the correlation of two inputs over the trial: no single observation has it."""
    rng = np.random.default_rng(7)
    n = 800
    sign = rng.choice([-1.0, 1.0], n)
    observations = rng.standard_normal((n, 30, 2))
    observations[:, :, 1] = sign[:, None] * observations[:, :, 0]
    part = folds(n, 0)[0]
    values = sign[:, None]
    found = ceiling_estimates(observations, values, part, 5, epochs=12)
    assert explained(values[part, 0], found[:, 0]).value > 0.8
    last = held_out_estimates(observations[:, -1], values)
    assert explained(values[:, 0], last[:, 0]).value < 0.1


def test_a_random_memory_is_repeatable_and_depends_on_the_trial() -> None:
    given = sample(0.0, 20)
    one, same, other = (given.random_memory(seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape == (20, 512) and np.abs(one - other).max() > 0.01
    assert np.abs(one[0] - one[1]).max() > 0.01
    assert given.statistics().shape == (20, 32)


def test_more_features_than_trials_give_chance_accuracy_on_held_out_trials() -> None:
    rng = np.random.default_rng(3)
    hits = held_out_hits(rng.standard_normal((200, 250)), rng.random(200) < 0.5)
    assert 0.38 < hits.mean() < 0.62


def test_wilson_is_the_textbooks_interval() -> None:
    low, high = wilson(80, 100)
    assert (low, high) == pytest.approx((0.7112, 0.8666), abs=1e-4)


@pytest.fixture
def probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    policy = tmp_path / "tiny.onnx"
    tiny_policy.write_policy(policy, HAND)

    def run(*arguments: str) -> tuple[object, str]:
        words = ["inhand", "probe", "--policy", str(policy)]
        words += ["--output", str(tmp_path / "probe.md"), *arguments]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, capsys.readouterr().out

    return run


def test_a_policy_that_learned_nothing_is_probed(probe: Run, tmp_path: Path) -> None:
    code, out = probe("--trials", "80", "--seconds", "0.5", "--epochs", "1", "--json")
    assert code == 0
    report = msgspec.json.decode(out, type=Report)
    assert 50 <= report.n <= report.begun and report.begun in (80, 81)
    assert list(report.answers) == list(QUESTIONS) and list(report.explained) == list(PROPERTIES)
    for row in (*report.answers.values(), *report.explained.values()):
        assert list(row) == list(SOURCES)
        for reading in row.values():
            assert reading.interval[0] <= reading.value <= reading.interval[1]
    page = (tmp_path / "probe.md").read_text()
    assert report.sha256 in page and page.count("% [") == 3 * len(SOURCES)


@pytest.mark.slow
def test_samples_are_equal_to_the_bit_with_any_number_of_workers(tmp_path: Path) -> None:
    path, block = tmp_path / "tiny.onnx", load_object("block")
    tiny_policy.write_policy(path, HAND)
    given = Arguments(trials=2 * PART + 30, seconds=0.3)
    alone = joined([*spread(collect, parts_of(given, path, block))])
    assert len(alone.universes) > PART
    results = []
    for jobs in (2, 4):
        parts = parts_of(replace(given, jobs=jobs), path, block)
        results.append(joined([*spread(collect, parts, jobs)]))
    if find_spec("ray"):
        from tests.training.cluster.machines import member_of, two_nodes

        with two_nodes() as (cluster, _), member_of(cluster):
            results.append(joined([*spread(collect, parts, on_cluster=True)]))
    for one in results:
        np.testing.assert_array_equal(one.memory, alone.memory)
        np.testing.assert_array_equal(one.observations, alone.observations)
        assert one.universes == alone.universes and one.begun == alone.begun


def test_a_result_that_cannot_be_kept_is_shown(probe: Run, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "probe.md"
    code, out = probe(
        "--trials", "60", "--seconds", "0.1", "--epochs", "0", "--output", str(nowhere)
    )
    assert "cannot be written" in str(code) and "the result stands above" in str(code)
    assert out.startswith("# What the policy's memory encodes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trials", "3"), "--trials must be at least 50"),
        (("--jobs", "0"), "--jobs must be at least 1"),
        (("--jobs", "2", "--ray", "local"), "exclude each other"),
        (("--scale", "0"), "--scale in (0, 1]"),
        (("--epochs", "-1"), "--epochs must be in 0..1000"),
        (("--seed", "-1"), "--seed not negative"),
        (("--policy", "nowhere.onnx"), "policy nowhere.onnx: No such file"),
    ],
)
def test_what_cannot_be_probed_is_one_line(
    probe: Run, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code, _ = probe(*arguments)
    assert str(code).startswith("error: ") and words in str(code) and "\n" not in str(code)
    assert not (tmp_path / "probe.md").exists()
