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
from inhand.training.evaluation.probe import (
    PART,
    QUESTIONS,
    Arguments,
    Report,
    Sample,
    answer,
    collect,
    joined,
    parts_of,
)
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


def test_hits_are_those_of_newtons_method() -> None:
    given = sample(1.0)
    labels = np.array([universe.object_size for universe in given.universes]) > 1.0
    for seed in (0, 1):
        same = held_out_hits(given.memory, labels, seed) == newton_hits(given.memory, labels, seed)
        assert same.mean() > 0.995  # a row on the boundary may fall to either side


def sample(leak: float) -> Sample:
    """Memories of 64 numbers, one of which leaks a little of the object's size."""
    rng = np.random.default_rng(2)
    n = 600
    sizes = rng.uniform(0.95, 1.05, n)
    memory = rng.standard_normal((n, 64))
    memory[:, 7] += leak * (sizes - 1.0) / 0.05
    universes = tuple(Universe(object_size=float(size)) for size in sizes)
    return Sample(memory, rng.standard_normal((n, 8)), universes, 700)


def test_only_what_the_memory_encodes_is_found() -> None:
    size, mass, _ = QUESTIONS
    knowing, ignorant = (answer(size, sample(leak)) for leak in (3.0, 0.0))
    assert knowing.memory_interval[0] > 0.75
    assert ignorant.memory_interval[0] < 0.5 < ignorant.memory_interval[1] + 0.02
    assert abs(knowing.observation - 0.5) < 0.07
    # All universes here have the same mass: the more frequent answer is the only one.
    assert answer(mass, sample(0.0)).memory == answer(mass, sample(0.0)).majority == 1.0


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
    code, out = probe("--trials", "80", "--seconds", "0.5", "--json")
    assert code == 0
    report = msgspec.json.decode(out, type=Report)
    assert 50 <= report.n <= report.begun and report.begun in (80, 81)
    assert [one.question for one in report.answers] == list(QUESTIONS)
    for one in report.answers:
        assert one.memory_interval[0] < one.memory < one.memory_interval[1]
    page = (tmp_path / "probe.md").read_text()
    assert report.sha256 in page and page.count("% [") == 6


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
        np.testing.assert_array_equal(one.observation, alone.observation)
        assert one.universes == alone.universes and one.begun == alone.begun


def test_a_result_that_cannot_be_kept_is_shown(probe: Run, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "probe.md"
    code, out = probe("--trials", "60", "--seconds", "0.1", "--output", str(nowhere))
    assert "cannot be written" in str(code) and "the result stands above" in str(code)
    assert out.startswith("# What the policy's memory encodes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trials", "3"), "--trials must be at least 50"),
        (("--jobs", "0"), "--jobs must be at least 1"),
        (("--jobs", "2", "--ray", "local"), "exclude each other"),
        (("--scale", "0"), "--scale in (0, 10]"),
        (("--policy", "nowhere.onnx"), "policy nowhere.onnx: No such file"),
    ],
)
def test_what_cannot_be_probed_is_one_line(
    probe: Run, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code, _ = probe(*arguments)
    assert str(code).startswith("error: ") and words in str(code) and "\n" not in str(code)
    assert not (tmp_path / "probe.md").exists()
