"""Every command that takes --json prints one JSON value on standard output, and nothing else."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.cli.main import _VERBS
from inhand.controller.policy.files import SHIPPED
from inhand.perception.objects import SCHEMA, object_file
from tests.controller.recorded import Recorded
from tests.controller.served import Served

ROOT = Path(__file__).parents[3]

REQUESTS = ("status", "events")
ONE_AFTER_ANOTHER = (
    *("enable", "home", "arm", "goal --rotation 0 0 1", "goals --file goals.json"),
    *("random-goals --count 1", "cancel", "disarm", "joints FFJ3=0.5", "hold"),
    *("estop", "clear", "load-policy tiny.onnx", "disable", "config check a.toml"),
    "object migrate old.toml",
)
"""Requests that lead a hand through its modes, and short commands, all in one process."""

LESS = ("place", "control", "record", "shutdown")
"""Requests that this hand may refuse: it has no world, no loop and no recorder."""
RECORDING = (
    "replay FILE",
    "plot FILE",
    "report FILE --seconds 0 --html a.html",
    "recording export FILE",
    "recording repair FILE",
)
OTHERS = (
    "config show",
    "keys list",
    "hand check dactyl24",
    "cameras list",
    "doctor",
    f"policy check {SHIPPED / 'block.onnx'}",
)
TINY = "stage = 'teacher'\nrun = 'tiny'\niterations = 2\n[teacher]\nworlds = 4\nhorizon = 2\n"
TRAINING = (
    "train tiny.toml --threads 1",
    "measure tiny.toml --trials 4 --seconds 0.5",
    "sweep tiny.toml --grid teacher.seed=1 --name grid",
    "runs",
)
MINUTES = ("bench view", "eval --engine mujoco --trials 1 --timeout 2 --cap 1", "demo --goals 1")
"""Commands that start engines, servers or processes of their own."""

ELSEWHERE = {
    # What needs servos, models or results of other commands is run with --json in these tests.
    "scan": "controller/cli/test_bus_verbs.py",
    "calibrate servos": "controller/calibration/test_servos.py",
    "hand import": "training/mujoco_worlds/test_import_command.py",
    "policy wrap": "training/foreign/test_bad_input.py",
    "compare": "training/evaluation/test_comparison.py",
    "transfer": "training/evaluation/test_transfer.py",
    "probe": "training/evaluation/test_probe.py",
    "interventions": "training/evaluation/test_interventions.py",
    "monitor": "training/evaluation/test_monitor.py",
}

HERE = {
    "controller/cli/config_verb.py": ("config check", "config show"),
    "controller/cli/camera_verbs.py": ("cameras list",),
    "controller/cli/bus_verbs.py": ("scan", "doctor"),
    "controller/cli/demo_summary.py": ("demo",),
    "controller/cli/policy_verbs.py": ("policy check",),
    "controller/cli/key_verbs.py": ("keys list",),
    "controller/cli/object_verbs.py": ("object migrate",),
    "controller/cli/verbs.py": (),  # the verbs themselves are listed by `inhand`
    "controller/calibration/servos.py": ("calibrate servos",),
    "controller/recording/replay.py": ("replay",),
    "controller/recording/plot.py": ("plot",),
    "controller/recording/export.py": ("recording export", "recording repair"),
    "training/evaluation/evaluation_arguments.py": ("eval",),
    "training/evaluation/report_command.py": ("report",),
    "training/evaluation/batch_measure.py": ("measure",),
    "training/evaluation/comparison.py": ("compare",),
    "training/evaluation/transfer.py": ("transfer",),
    "training/evaluation/probe.py": ("probe",),
    "training/evaluation/interventions.py": ("interventions",),
    "training/evaluation/monitor_command.py": ("monitor",),
    "training/mujoco_worlds/hand_command.py": ("hand check", "hand import"),
    "training/foreign/wrap.py": ("policy wrap",),
    "training/learning/runs.py": ("runs",),
    "training/learning/sweep.py": ("sweep",),
    "training/learning/train.py": ("train",),
    "benchmarks/__main__.py": ("bench",),
}
"""By file with an option --json: its commands."""


def only_value(line: str, folder: Path) -> object:
    """Runs a command as a process with --json; returns the value that `json.loads` finds."""
    command = [sys.executable, "-m", "inhand", *line.split(), "--json"]
    environment = {
        **os.environ,
        "INHAND_DIRECTORY": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300
    )
    try:
        return json.loads(ended.stdout)
    except ValueError:
        pytest.fail(f"{line}: {ended.stdout[:300]!r}; {ended.stderr[-300:]}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a daemon's sockets and a recording."""
    folder = tmp_path_factory.mktemp("json")
    hand = Recorded(folder)
    hand.start()
    hand.run(1.0)
    hand.recorder.save("request")
    hand.run(2.5)
    hand.close()
    with Served(folder) as served:
        while not served.request_queue.snapshot:
            pass
        yield folder


@pytest.mark.parametrize("line", [*REQUESTS, *RECORDING, *OTHERS])
def test_a_command_prints_one_value(folder: Path, line: str) -> None:
    (file,) = folder.glob("recordings/inhand-*.mcap")
    assert only_value(line.replace("FILE", str(file)), folder) is not None


DRIVER = """
import io, json, os, sys, tempfile
from inhand.controller.cli.main import main
said = []
for line in json.loads(sys.argv[1]):
    kept = os.dup(1)
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 1)
        sys.argv = ["inhand", *line.split(), "--json"]
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
        os.dup2(kept, 1)
        output.seek(0)
        said.append([line, code, output.read().decode()])
print(json.dumps(said))
"""


def test_every_request_prints_one_value(tmp_path: Path) -> None:
    (tmp_path / "goals.json").write_text('[{"rotation": [0, 0, 1]}]')
    (tmp_path / "a.toml").write_text("tick_rate = 100\n")
    (tmp_path / "old.toml").write_text(
        object_file("block").read_text().replace(f"schema = {SCHEMA}", "schema = 1")
    )
    lines = [*ONE_AFTER_ANOTHER, *LESS]
    with Served(tmp_path) as served:
        while served.request_queue.snapshot is None or not served.request_queue.snapshot.in_hand:
            time.sleep(0.01)
        ended = subprocess.run(
            [sys.executable, "-c", DRIVER, json.dumps(lines)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "INHAND_DIRECTORY": str(tmp_path), "PYTHONPATH": str(ROOT)},
            timeout=120,
        )
    assert ended.returncode == 0, ended.stderr
    for line, code, said in json.loads(ended.stdout):
        if code in (0, 1):
            json.loads(said)
        else:
            # A refusal is an error: its sentence is on standard error.
            assert said == "" and str(code).startswith("error: "), (line, code, said)
        assert line in LESS or code in (0, 1), (line, code)


def test_every_command_with_json_is_tested() -> None:
    verbs = {name for name, verb in _VERBS.items() if "json" in verb.__dataclass_fields__}
    commands = {verb for verb in verbs if verb not in ("config", "keys", "object", "cameras")}
    commands |= {one for ones in HERE.values() for one in ones}
    found = {
        str(file.relative_to(ROOT))
        for folder in ("controller", "training", "hardware", "perception", "sim_backend")
        for file in (ROOT / folder).rglob("*.py")
        if re.search(r"^    json: bool", file.read_text(), re.MULTILINE)
    } | {"benchmarks/__main__.py"}
    assert found == HERE.keys()
    run = [*REQUESTS, *RECORDING, *OTHERS, *ONE_AFTER_ANOTHER, *LESS, *TRAINING, *MINUTES]
    for command in commands:
        tested = any(f"{line} ".startswith(f"{command} ") for line in run)
        assert tested or "json" in (ROOT / "tests" / ELSEWHERE[command]).read_text(), command


@pytest.mark.slow
def test_training_prints_one_value(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    for line in TRAINING:
        assert only_value(line, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("line", MINUTES)
def test_a_command_that_starts_others_prints_one_value(tmp_path: Path, line: str) -> None:
    assert only_value(line, tmp_path)


def test_what_others_print_goes_to_standard_error() -> None:
    program = (
        "import os, subprocess; from inhand.result import print_json, results_only\n"
        "with results_only():\n"
        "    print('a library'); os.write(1, b'C code\\n'); subprocess.run(['echo', 'a child'])\n"
        "    print_json({'value': float('nan')})\n"
        "print('after')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == '{"value":null}\nafter\n'
    assert set(ended.stderr.splitlines()) == {"a library", "C code", "a child"}


def test_no_command_prints_json_by_itself() -> None:
    direct = re.compile(r"print\(\s*(msgspec\.json\.encode|json\.dumps)\(")
    # These speak to a parent process of this project.
    own = {"result.py", "process.py", "renderer.py", "lone_daemon.py"}
    for folder in ("inhand", "controller", "perception", "hardware", "training", "sim_backend"):
        for file in (ROOT / folder).rglob("*.py"):
            assert file.name in own or not direct.search(file.read_text()), file
