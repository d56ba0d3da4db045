"""Every command of the documentation is run: here with a simulated hand, or by another test."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.client.simulated import hand_clock, simulated_daemon
from tests.documents.pages import PAGES, ROOT, commands
from tests.documents.shell import started, typed

STARTED = {"inhandd --sim"}
"""Started by the fixture."""

STEER = (
    "inhand status",
    "inhand enable",
    "inhand home",
    "inhand place",
    "inhand arm",
    "inhand goal --face +x",
)
RECORD = ("inhand record", "inhand record start", "inhand record stop")
PICTURES = ("inhand record start --images", "inhand record stop")
OPEN = (
    "inhand replay FILE",
    "inhand plot FILE --output plot.png",
    "inhand report FILE --html report.html",
    "inhand recording export FILE --output tables",
    "inhand recording repair FILE.part --output whole.mcap",
)
WATCHED = ("inhand status --watch", "inhand view --command", "inhand view", "inhand view FILE")
"""Commands that run until Ctrl-C."""

EVALUATE = ("inhand eval --engine mujoco --seed 1 --json", "inhand compare one.json other.json")
CONFIGURE = (
    "inhand config show /etc/inhand/inhandd.toml",
    "inhand config check /etc/inhand/inhandd.toml",
    "inhand config check my-station.toml",
    "inhand config check inhandd.toml",
)
HERE = {*STARTED, *STEER, *RECORD, *PICTURES, *OPEN, *WATCHED, *EVALUATE, *CONFIGURE}

ELSEWHERE = {
    "inhand view --rerun": "controller/view/test_rerun.py",
    "inhand view FILE --rerun": "controller/view/test_rerun.py",
    "inhand report": "training/evaluation/test_report_command.py",
    "inhand --tyro-print-completion": "controller/cli/test_main.py",
    "inhand foxglove": "controller/view/test_foxglove.py",
    "inhand ros2": "controller/view/test_ros2_live.py",
    "inhand rest": "controller/view/test_rest.py",
    "inhand recording export FILE --ros2": "controller/recording/test_other_formats.py",
    "inhand recording export FILE --lerobot": "controller/recording/test_other_formats.py",
    "inhand calibrate camera": "perception/calibration/test_capture.py",
    "inhand calibrate extrinsics": "perception/calibration/test_capture_places.py",
    "inhand calibrate object": "perception/calibration/test_tag_placement.py",
    "inhand calibrate latency": "controller/calibration/test_commands.py",
    "inhand calibrate rig": "controller/calibration/test_commands.py",
    "inhand calibrate hand-eye": "controller/calibration/test_commands.py",
    "inhand cameras": "controller/cli/test_camera_verbs.py",
    "inhand calibrate joints": "controller/calibration/test_joints.py",
    "inhand calibrate servos": "controller/calibration/test_servos.py",
    "inhand print": "perception/printing/test_printing.py",
    "inhand scan": "controller/cli/test_bus_verbs.py",
    "inhand set-id": "controller/cli/test_bus_verbs.py",
    "inhand set-baud": "controller/cli/test_bus_verbs.py",
    "inhand reboot": "controller/cli/test_bus_verbs.py",
    "inhand restore": "hardware/dynamixel/test_checkup.py",
    "inhand emulate": "sim_backend/test_emulate.py",
    "inhand doctor": "controller/calibration/test_doctor_host.py",
    "inhand keys": "controller/cli/test_key_verbs.py",
    "inhand object": "controller/cli/test_object_verbs.py",
    "inhand status --key": "controller/ipc/test_gateway.py",
    "inhand view --key": "controller/ipc/test_gateway.py",
    "inhand eval": "training/evaluation/test_evaluation.py",
    "inhand compare": "training/evaluation/test_comparison.py",
    "inhand hand": "training/mujoco_worlds/test_import_command.py",
    "inhand demo --eyes": "controller/cli/test_demo.py",
    "inhand vision": "training/vision/test_vision.py",
    "inhand transfer": "training/evaluation/test_transfer.py",
    "inhand probe": "training/evaluation/test_probe.py",
    "inhand interventions": "training/evaluation/test_interventions.py",
    "inhand monitor": "training/evaluation/test_monitor.py",
    "inhand measure": "training/learning/test_train.py",
    "inhand train": "documents/test_walk_through.py",
    "inhand runs": "training/learning/test_runs.py",
    "inhand sweep": "training/learning/test_sweep.py",
    "inhand policy export": "documents/test_walk_through.py",
    "inhand policy compact": "training/learning/test_teacher.py",
    "inhand policy": "documents/test_bring_your_policy.py",
    "inhandd --sim --config": "documents/test_walk_through.py",
    "inhandd --config": "documents/test_connect.py",
    "inhand config check --sim my-sim.toml": "documents/test_connect.py",
    "inhand joints": "documents/test_connect.py",
    "inhand goal --rotation": "documents/test_connect.py",
    "inhand disarm": "documents/test_connect.py",
    "inhand disable": "documents/test_connect.py",
    "inhand shutdown": "documents/test_connect.py",
}
"""Commands that need a bus, a plate, keys, a policy or minutes, and the test that runs them."""

PATIENCE = 300.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to run commands in, with a daemon that they find."""
    folder = tmp_path_factory.mktemp("station")
    config = folder / "patient.toml"
    # Beside other tests, the machine does not keep a deadline of 35 ms.
    config.write_text("[safety]\njoint_ticks = 20\n")
    with simulated_daemon(folder, "--config", str(config)):
        yield folder


@pytest.fixture
def halted(folder: Path) -> Iterator[None]:
    """Simulated time stands still meanwhile, since it waits for this program.

    The processors are then free for a command that reads files only.
    """
    with hand_clock(folder):
        yield


def until_accepted(line: str, folder: Path) -> None:
    """Runs a line again until the hand accepts it: the object may still move, or be out of hand."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            typed(line, folder, PATIENCE)
            return
        except AssertionError as refused:
            if time.monotonic() > deadline:
                raise
            if "last seen" in str(refused):
                typed("inhand place", folder, PATIENCE)
            time.sleep(0.5)


def recording(folder: Path) -> Path:
    """The newest complete recording."""
    deadline = time.monotonic() + PATIENCE
    while not (whole := sorted(folder.glob("recordings/*.mcap"), key=os.path.getmtime)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return whole[-1]


def test_every_command_of_the_pages_is_run_somewhere() -> None:
    for page in PAGES:
        for words in commands(page):
            line = " ".join(words)
            names = [name for start, name in ELSEWHERE.items() if line.startswith(start)]
            assert line in HERE or names, f"{page.name}: {line}"
    for start, name in ELSEWHERE.items():
        path = ROOT / "tests" / name
        word = start.split()[1].removeprefix("--")
        # By the verb's name, or by the name of its class.
        text = path.read_text()
        assert word in text or word.title().replace("-", "") in text, f"{start}: {name}"


def test_the_hand_is_steered_as_the_quick_start_says(folder: Path) -> None:
    for line in STEER:
        until_accepted(line, folder)
    typed("inhand hold", folder, PATIENCE)


def test_recordings_are_made_and_opened_as_their_page_says(folder: Path) -> None:
    for line in (*RECORD, *PICTURES):
        typed(line, folder, PATIENCE)
    file = recording(folder)
    with hand_clock(folder):
        open_as_the_page_says(folder, file)


def open_as_the_page_says(folder: Path, file: Path) -> None:
    # Like a file whose index was not written because the power failed.
    (folder / "cut.mcap.part").write_bytes(file.read_bytes()[:-2000])
    for line in OPEN:
        line = line.replace("FILE.part", "cut.mcap.part").replace("FILE", str(file))
        # A short film takes the same way as a long one.
        short = " --seconds 0.5" if line.startswith("inhand report") else ""
        typed(line + short, folder, PATIENCE)
    assert (folder / "report.html").exists() and (folder / "plot.png").exists()
    assert (folder / "whole.mcap").exists()
    assert list((folder / "tables").glob("*.csv"))


@pytest.mark.parametrize("line", WATCHED)
def test_what_is_watched_ends_with_ctrl_c(folder: Path, line: str) -> None:
    if "FILE" in line:
        if not list(folder.glob("recordings/*.mcap")):
            typed("inhand record", folder, PATIENCE)
        line = line.replace("FILE", str(recording(folder)))
    with hand_clock(folder):
        process = started(line, folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        assert process.stdout.readline().strip(), line
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 130, -signal.SIGINT), f"{line}: {process.returncode} {out}"
    assert "Traceback" not in out


@pytest.mark.usefixtures("halted")
def test_evaluations_are_compared_as_their_page_says(folder: Path) -> None:
    evaluate, compare = EVALUATE
    short = f"{evaluate} --trials 2 --timeout 3 --cap 2"
    for name in compare.split()[-2:]:
        (folder / name).write_text(typed(short, folder, PATIENCE))
    assert "difference" in typed(compare, folder, PATIENCE)


@pytest.mark.usefixtures("halted")
def test_a_configuration_is_shown_and_checked(folder: Path) -> None:
    written = folder / "inhandd.toml"
    written.write_text('hand = "dactyl24"\nobject = "block"\n')
    for line in CONFIGURE:
        *verb, _ = line.split()
        typed(f"{' '.join(verb)} {written}", folder, PATIENCE)
