"""The tests of the safety chain cover every line and every branch of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHAIN = (
    "safety/safety",
    "safety/derating",
    "safety/joint_health",
    "safety/drop_detector",
    "safety/modes",
    "safety/return_to_range",
    "policy/action",
    "core/setpoints",
)


@pytest.mark.slow
def test_every_branch_is_taken(tmp_path: Path) -> None:
    parts = [Path(part) for part in CHAIN]
    tests = [ROOT / "tests/controller" / x.parent / f"test_{x.name}.py" for x in parts]
    tests += [
        ROOT / f"tests/controller/{x}.py" for x in ("safety/test_falls", "core/test_joint_commands")
    ]
    tests = [test for test in tests if test.exists()]
    data, report = f"--data-file={tmp_path / 'data'}", tmp_path / "report.json"
    sources = ",".join(f"controller/{part}.py" for part in CHAIN)
    for command in (
        ["run", "--branch", data, f"--include={sources}", "-m", "pytest", "-q"]
        + ["-p", "no:cacheprovider", *map(str, tests)],
        ["json", "-q", data, "-o", str(report)],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    files = json.loads(report.read_text())["files"]
    assert len(files) == len(CHAIN)
    missing = {
        name: (found["missing_lines"], found["missing_branches"])
        for name, found in files.items()
        if found["missing_lines"] or found["missing_branches"]
    }
    assert not missing
