"""The examples run as they are, with a bench hand behind the real sockets."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from inhand import Client, RefusedError
from inhand.perception.objects import load_object
from tests.controller.recorded import Recorded
from tests.controller.served import Served

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LONGEST = 40
"""Lines of an example."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the sockets of a bench hand."""
    folder = tmp_path_factory.mktemp("examples")
    with Served(folder) as served:
        while not (shown := served.request_queue.snapshot) or not shown.in_hand:
            pass
        yield folder


def run(folder: Path, name: str, *arguments: str) -> str:
    """Runs an example with a hand that is off; returns what it printed."""
    with Client(folder, timeout=120) as hand:
        for request in ("hold", "disable"):
            with suppress(RefusedError):
                hand.call(request)
    ended = subprocess.run(
        [sys.executable, "-P", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "INHAND_DIRECTORY": str(folder)},
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_examples_are_short() -> None:
    scripts = list(EXAMPLES.glob("*.py"))
    assert len(scripts) == 6
    for script in scripts:
        assert len(script.read_text().splitlines()) < LONGEST, script.name


def test_a_sequence_of_goals(folder: Path) -> None:
    # This face is up already, as the block of the bench hand does not turn.
    said = run(folder, "goal_sequence.py", "+z", "+z").splitlines()
    assert said == ["+z goal_reached", "+z goal_reached"]


def test_the_game_counts_points(folder: Path) -> None:
    assert "points:" in run(folder, "face_up_game.py", "2").splitlines()[-1]


def test_states_become_a_table(folder: Path) -> None:
    run(folder, "log_to_csv.py", "state.csv", "1")
    with (folder / "state.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 5 and {"t", "mode", "error"} == set(rows[0])


def test_an_own_object_is_right(folder: Path) -> None:
    assert "6 tags" in run(folder, "own_object.py", "my-box.toml")
    assert load_object(folder / "my-box.toml").name == "my-box"


@pytest.mark.slow
def test_two_worlds_are_compared(folder: Path) -> None:
    said = run(folder, "compare_policies.py", "2").splitlines()
    assert [line.split(":")[0] for line in said] == ["nominal", "twice the mass"]


@pytest.mark.slow
def test_the_notebook_runs_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    hand = Recorded(tmp_path)
    hand.start()
    hand.run(2.0)
    hand.recorder.ask("save")
    hand.run(2.2)
    hand.close()
    copied = shutil.copy(EXAMPLES / "plot_recording.ipynb", tmp_path)
    monkeypatch.setenv("INHAND_RECORDING", str(hand.files()[-1]))
    notebook = nbformat.read(copied, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    assert any("image/png" in one.get("data", {}) for one in outputs)


def test_an_agent_moves_at_random(folder: Path) -> None:
    said = run(folder, "random_agent.py", "2", str(folder)).splitlines()
    assert len(said) == 2 and "rad to go" in said[-1]
