"""Everything is imported as `inhand...`, whatever else has the names of its folders."""

import importlib
import json
import os
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import inhand
from inhand import Client
from inhand.controller.client.simulated import simulated_daemon, view_of

ROOT = Path(__file__).parent.parent
NAMES = ("controller", "hardware", "perception", "policies", "sim_backend", "training")
LOUD = "raise RuntimeError('a module of the user was imported')\n"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that somebody stands in: its modules have the names of all that we import."""
    place = tmp_path / "lab"
    for name in (*NAMES, "inhand", "tools"):
        package = place / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(LOUD)
    others = {*sys.stdlib_module_names, *packages_distributions(), "errors", "records"}
    for name in others - {*NAMES, "inhand", "tools"}:
        if name.isidentifier():
            (place / f"{name}.py").write_text(LOUD)
    monkeypatch.chdir(place)
    return place


def test_every_public_name_is_there() -> None:
    for name in inhand.__all__:
        assert getattr(inhand, name) is not None
    assert set(inhand.__all__) <= set(dir(inhand))
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        _ = inhand.nothing_of_ours
    assert (Path(inhand.__file__).parent / "py.typed").exists()


def test_a_client_loads_neither_engines_nor_runtimes() -> None:
    program = "import sys, inhand; inhand.Client; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "zmq" in loaded
    assert not loaded & {"mujoco", "torch", "pybullet", "onnxruntime", "cv2", "viser"}


def test_daemon_recorder_page_and_cameras_work_in_a_folder_of_the_same_names(
    lab: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with simulated_daemon(run), Client(run, timeout=120) as hand:
        with view_of(run) as said:
            assert said.startswith("view: http://")
        hand.subscribe()
        assert hand.call("record")["recording"] is False
        saved = next(x for x in hand.events(timeout=60) if x["kind"].startswith("recording_"))
        assert saved["kind"] == "recording_saved" and Path(saved["file"]).is_file()
        cameras = hand.status()["cameras"]
        assert len(cameras) == 3
        assert all(not camera.get("problem") for camera in cameras.values())
    assert "a module of the user" not in (run / "inhandd.log").read_text()


def test_commands_start_in_a_folder_of_the_same_names(lab: Path) -> None:
    folder = Path(sys.executable).parent
    for command in (
        [folder / "inhand", "config", "show"],
        [folder / "inhandd", "--help"],
        [folder / "inhand", "eval", "--help"],
        [folder / "inhand", "train", "--help"],
        [folder / "inhand", "calibrate", "--help"],
    ):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "a module of the user" not in done.stderr


def test_trials_run_side_by_side_in_a_folder_of_the_same_names(lab: Path) -> None:
    inhand_eval = [str(Path(sys.executable).parent / "inhand"), "eval", "--engine", "mujoco"]
    short = ["--trials", "2", "--jobs", "2", "--cap", "1", "--timeout", "0.2", "--json"]
    done = subprocess.run([*inhand_eval, *short], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


@pytest.mark.slow
def test_a_package_of_the_same_name_comes_and_goes_beside_ours(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    # What inhand needs is taken from the environment of the tests.
    (site,) = environment.glob("lib/python*/site-packages")
    needed = Path(importlib.import_module("numpy").__file__ or "").parents[1]
    (site / "needed.pth").write_text(f"{needed}\n")

    def pip(*arguments: str | Path) -> None:
        command = [str(python), "-m", "pip", "-q", *map(str, arguments)]
        subprocess.run(command, check=True)

    pip("wheel", "--no-deps", "-w", tmp_path, ROOT)
    (ours,) = tmp_path.glob("inhand-*.whl")
    theirs = tmp_path / "lab_controller-1.0-py3-none-any.whl"
    with zipfile.ZipFile(theirs, "w") as wheel:
        info = "lab_controller-1.0.dist-info"
        wheel.writestr("controller/__init__.py", "MINE = True\n")
        wheel.writestr("hardware.py", "MINE = True\n")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: lab-controller\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    use = "import inhand; inhand.load_hand('dactyl24'); inhand.load_object('block'); inhand.Client"
    both = f"import controller, hardware; assert controller.MINE and hardware.MINE; {use}"
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    pip("install", "--no-deps", ours)
    assert not {name for name in NAMES if (site / name).exists()}
    pip("install", "--no-deps", theirs)
    for program in (both, use):
        subprocess.run([str(python), "-c", program], cwd=tmp_path, env=clean, check=True)
        if program is both:
            pip("uninstall", "-y", "lab-controller")
