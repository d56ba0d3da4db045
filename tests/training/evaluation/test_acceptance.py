"""Evaluations with the held-out engine are logged, whatever their result."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from inhand.training.evaluation import acceptance
from inhand.training.evaluation.report import PolicyReport, Report, make_report
from inhand.training.evaluation.trials import Setup, Trial


def _report(setup: Setup, **changes: Any) -> Report:
    trials = (Trial(1, 3, 0, 0, "drop", "", 9.0, ()), Trial(2, 6, 1, 0, "timeout", "", 99.0, ()))
    policy = PolicyReport("block.onnx", "ab" * 32, "mujoco", 1.0, "c" * 40)
    return make_report(replace(setup, engine="pybullet", **changes), policy, trials, 5.0)


def test_held_out_evaluations_are_logged_whatever_the_result(setup: Setup, tmp_path: Path) -> None:
    report = _report(setup, scale=1.0)
    assert acceptance.is_held_out(report)
    log = tmp_path / "log.md"
    log.write_text((acceptance.LOG).read_text().split("\n|")[0] + "\n")
    before = log.read_text()
    acceptance.append_to_log(report, 2, log)
    acceptance.append_to_log(report, 5, log)
    lines = log.read_text().removeprefix(before).splitlines()
    assert len(lines) == 2
    assert "block.onnx abababababab | block | so3 | scale 1 | 1, trials 1–2 | lockstep" in lines[0]
    assert "| 2 | 4.5 [3, 6] | 4.5 | 1 | 1 | 0 |" in lines[0]
    assert "| 2 of 5, broken off |" in lines[1]
    header = next(line for line in acceptance.LOG.read_text().splitlines() if line[:1] == "|")
    assert header.count("|") == lines[0].count("|")


def test_a_line_of_the_log_is_no_change_of_the_program(tmp_path: Path) -> None:
    """An evaluation that was interrupted would be refused by the file of its own trials."""
    program, log = tmp_path / "program.py", tmp_path / "docs" / "acceptance-log.md"
    log.parent.mkdir()
    program.touch(), log.touch()
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for arguments in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "one")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    clean = acceptance.commit(tmp_path)
    assert len(clean) == 12
    log.write_text("| a line |\n")
    assert acceptance.commit(tmp_path) == clean
    program.write_text("changed = True\n")
    assert acceptance.commit(tmp_path) == f"{clean}-dirty"


def test_nothing_else_is_logged(setup: Setup, tmp_path: Path) -> None:
    report = _report(setup)
    assert not acceptance.is_held_out(msgspec.structs.replace(report, engine="mujoco"))
    untrained = msgspec.structs.replace(report.policy, engine="none")
    assert not acceptance.is_held_out(msgspec.structs.replace(report, policy=untrained))
    said = acceptance.append_to_log(report, 2, tmp_path / "docs" / "acceptance-log.md")
    assert said.startswith("nothing was logged")
