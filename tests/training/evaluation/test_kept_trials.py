"""An evaluation that was interrupted goes on, with the same result as one that was not."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from inhand.training.evaluation.evaluation import measure, run_trials
from inhand.training.evaluation.kept_trials import KeptTrials
from inhand.training.evaluation.report import PolicyReport, Report
from inhand.training.evaluation.trials import EvaluationError, Rules, Setup

POLICY = PolicyReport("own.onnx", "0" * 64, "none", 0.0, "unknown")


@pytest.fixture(scope="module")
def short(setup: Setup) -> Setup:
    return replace(setup, rules=Rules(timeout=0.5))


def test_it_goes_on_where_it_stopped(short: Setup, tmp_path: Path) -> None:
    file, lines = tmp_path / "kept.json", StringIO()
    measure(short, POLICY, 2, 1, lines, KeptTrials(file, short, "a"))
    report = measure(short, POLICY, 3, 1, lines, KeptTrials(file, short, "a"))
    assert lines.getvalue().count("trial ") == 3
    assert isinstance(report, Report) and report.n == 3
    assert list(report.trials) == list(run_trials(short, 3))
    kept = KeptTrials(file, short, "a")
    assert [trial.trial for trial in kept.trials] == [1, 2, 3]
    assert kept.wall_seconds == pytest.approx(report.wall_seconds)


def test_trials_of_other_conditions_are_not_mixed(short: Setup, tmp_path: Path) -> None:
    file, universe = tmp_path / "kept.json", tmp_path / "universe.toml"
    universe.write_text("friction = 0.9\n")
    here = replace(short, universe=universe)
    measure(here, POLICY, 1, 1, StringIO(), KeptTrials(file, here, "a"))
    before = file.read_bytes()
    for other, said in (
        (replace(here, seed=9), "seed"),
        (replace(here, rules=Rules(timeout=0.5, tolerance=0.2)), "rules"),
        (replace(here, sha256="1" * 64), "policy"),
        (replace(here, unstick=0.0), "unstick"),
    ):
        with pytest.raises(EvaluationError, match=f"ran with {said} .*name another file"):
            KeptTrials(file, other, "a")
    with pytest.raises(EvaluationError, match="ran with commit a"):
        KeptTrials(file, here, "b")
    universe.write_text("friction = 0.8\n")
    with pytest.raises(EvaluationError, match="ran with universe"):
        KeptTrials(file, here, "a")
    assert file.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", '{"trials": []}', "\x00"])
def test_another_file_is_named_and_not_overwritten(short: Setup, tmp_path: Path, text: str) -> None:
    file = tmp_path / "kept.json"
    file.write_text(text)
    with pytest.raises(EvaluationError, match="no file of kept trials"):
        KeptTrials(file, short, "a")
    assert file.read_text() == text
