"""`inhand compare`: pairs of trials, their difference with its interval, and refusals."""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.cli import main
from inhand.training.evaluation.comparison import compare_scores
from inhand.training.evaluation.report import PolicyReport, Report, make_report
from inhand.training.evaluation.trials import Rules, Setup, Trial

Run = Callable[..., tuple[object, str]]


def report(scores: list[int], *, seed: int = 1, cap: int = 15, wires: bool = False) -> Report:
    setup = Setup(
        *(Path("block.onnx"), "ab" * 32, "pybullet", "dactyl24", "block", None, None, False),
        Rules(cap=cap),
        seed=seed,
        wires=wires,
    )
    trials = [Trial(n, score, 0, 0, "drop", "", 9.0, ()) for n, score in enumerate(scores, 1)]
    return make_report(setup, PolicyReport("block.onnx", "ab" * 32, "none", 1.0, ""), trials, 5.0)


def write(path: Path, what: Report) -> str:
    path.write_bytes(msgspec.json.encode(what))
    return str(path)


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["inhand", "compare", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, capsys.readouterr().out

    return run


def test_paired_trials_make_a_small_difference_significant() -> None:
    rng = np.random.default_rng(1)
    easy, change = rng.uniform(0, 20, 40), 1 + 0.3 * rng.standard_normal(40)
    low, high = compare_scores(easy, easy + change).difference_interval
    assert 0.8 < low < 1.0 < high < 1.2
    # As wide as the normal interval of the pairs' differences.
    assert high - low == pytest.approx(2 * 1.96 * change.std() / np.sqrt(40), rel=0.05)


def test_the_interval_covers_the_true_difference_at_its_confidence() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        first, second = rng.geometric(0.1, (2, 30))
        low, high = compare_scores(first, second).difference_interval
        covered += low <= 0 <= high
    assert 88 <= covered <= 99


def test_trials_are_paired_by_their_number(compare: Run, tmp_path: Path) -> None:
    lockstep = write(tmp_path / "lockstep.json", report([4, 8, 6, 50, 50]))
    wires = write(tmp_path / "wires.json", report([3, 6, 6], wires=True))
    code, out = compare(lockstep, wires)
    assert code == 0
    assert "6.00 goals a trial: block.onnx (abababababab) in pybullet, lockstep" in out
    assert "5.00 goals a trial: block.onnx (abababababab) in pybullet, wires" in out
    assert "-1.00 [-2.00, +0.00] difference, n = 3 pairs" in out
    assert "83 [" in out and "% of the first" in out
    _, out = compare(lockstep, wires, "--json")
    found = msgspec.json.decode(out)
    assert (found["n"], found["difference"], found["ratio"]) == (3, -1.0, 5 / 6)


def test_without_a_goal_there_is_no_ratio(compare: Run, tmp_path: Path) -> None:
    nothing = write(tmp_path / "none.json", report([0, 0]))
    some = write(tmp_path / "some.json", report([1, 2]))
    assert "% of" not in compare(nothing, some)[1]


def test_what_cannot_be_compared_is_one_line(compare: Run, tmp_path: Path) -> None:
    one = write(tmp_path / "one.json", report([1, 2]))
    for name, other in (("seed", report([1], seed=2)), ("rules", report([1], cap=50))):
        code, _ = compare(one, write(tmp_path / "two.json", other))
        assert f"error: compare: {name} differs" in str(code) and "\n" not in str(code)
    (tmp_path / "bad.json").write_text("{}")
    assert "not what `inhand eval --json` prints" in str(
        compare(one, str(tmp_path / "bad.json"))[0]
    )
    assert "No such file" in str(compare(one, str(tmp_path / "none.json"))[0])
