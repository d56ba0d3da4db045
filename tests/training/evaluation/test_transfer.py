"""`inhand transfer`: measured cell by cell, resumed, and nothing measured twice."""

import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inhand.controller.cli import main
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe, load_universe
from inhand.training.evaluation.transfer import PLAN
from inhand.training.evaluation.transfer_table import Cell, load_plan
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")
TINY = """
trials = 2
cap = 2
note = "Nothing was learned here."
timeout = 0.5
rows = [{{name = "all of it", policy = "{there}"}}, {{name = "no memory", policy = "{other}"}}]
columns = [
    {{name = "MuJoCo drawn", engine = "mujoco", scale = 1.0}},
    {{name = "PyBullet slippery", engine = "pybullet", universe = "slippery.toml"}},
]
"""

Run = Callable[..., tuple[object, str, str]]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    there, other = tmp_path / "there.onnx", tmp_path / "other.onnx"
    path.write_text(TINY.format(there=there, other=other))
    tiny_policy.write_policy(there, HAND)
    (tmp_path / "slippery.toml").write_text("# As on ice.\nfriction = 0.5\n")
    return path


@pytest.fixture
def transfer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    def run(*arguments: str) -> tuple[object, str, str]:
        words = ["inhand", "transfer", *arguments, "--docs", str(tmp_path / "docs")]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, *capfd.readouterr()

    return run


def cells(folder: Path) -> dict[str, Cell]:
    files = (folder / "docs" / "transfer").glob("*")
    return {file.name: msgspec.json.decode(file.read_bytes(), type=Cell) for file in files}


def test_the_table_is_filled_resumed_and_never_measured_twice(
    plan: Path, transfer: Run, tmp_path: Path
) -> None:
    code, out, err = transfer(str(plan), "--cells", "1")
    assert code == 0 and "no policy yet for no memory" in err
    assert out.endswith("docs/transfer.md: 1 of 4 cells are measured\n")
    assert list(cells(tmp_path)) == ["all-of-it--mujoco-drawn.json"]
    page = (tmp_path / "docs" / "transfer.md").read_text()
    assert "**3 cells are still to be measured.**" in page
    code, out, err = transfer(str(plan), "--json")
    assert code == 0 and "all of it, PyBullet slippery" in err
    first = cells(tmp_path)
    assert len(first) == 2
    assert len(msgspec.json.decode(out, type=list[Cell])) == 2
    assert all(len(cell.scores) == 2 for cell in first.values())
    # Another policy comes; what is there is not measured again.
    built = tiny_policy.model(HAND, scale=2.0)
    tiny_policy.write(tmp_path / "other.onnx", built, tiny_policy.metadata(HAND, built))
    _, _, err = transfer(str(plan))
    assert "all of it" not in err and err.count("trial   2/2") == 2
    assert {name: cell for name, cell in cells(tmp_path).items() if name in first} == first
    page = (tmp_path / "docs" / "transfer.md").read_text()
    assert "still to be measured" not in page and "Nothing was learned here." in page
    assert "| all of it | **0** [0, 0], 0.0 ± 0.0 |" in page
    assert "**no memory** reaches 0.0 goals a trial, all of it 0.0: +0.0 [+0.0, +0.0]" in page
    assert "no statistically significant effect" in page
    assert "**PyBullet slippery** (`slippery.toml`): As on ice." in page
    assert (tmp_path / "docs" / "images" / "transfer.png").stat().st_size > 5000
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.slow
def test_cells_are_equal_to_the_bit_with_any_number_of_workers(
    plan: Path, transfer: Run, tmp_path: Path
) -> None:
    plan.write_text(plan.read_text().replace("trials = 2", "trials = 5"))
    ways = [("--jobs", "1"), ("--jobs", "2"), ("--jobs", "4")]
    if find_spec("ray"):
        ways.append(("--ray", "local"))
    files: list[dict[str, bytes]] = []
    for way in ways:
        code, _, err = transfer(str(plan), *way)
        assert code == 0, err
        folder = tmp_path / "docs" / "transfer"
        files.append({file.name: file.read_bytes() for file in folder.glob("*")})
        shutil.rmtree(tmp_path / "docs")
    assert len(files[0]) == 2 and all(found == files[0] for found in files)


def test_a_cell_is_measured_again_when_its_conditions_change(
    plan: Path, transfer: Run, tmp_path: Path
) -> None:
    transfer(str(plan), "--engine", "mujoco")
    before = cells(tmp_path)["all-of-it--mujoco-drawn.json"]
    plan.write_text(plan.read_text().replace("trials = 2", "trials = 1"))
    transfer(str(plan), "--engine", "mujoco", "--cells", "0")
    assert "4 cells are still" in (tmp_path / "docs" / "transfer.md").read_text()
    transfer(str(plan), "--engine", "mujoco")
    after = cells(tmp_path)["all-of-it--mujoco-drawn.json"]
    assert (len(before.scores), len(after.scores)) == (2, 1)
    assert before.scores[0] == after.scores[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("trials", "trails"), "unknown field `trails`"),
        (("no memory", "All of it"), "rows need names that differ"),
        (('"slippery.toml"', '"nowhere.toml"'), "nowhere.toml"),
        (("trials = 2", "trials = "), "transfer plan"),
        (("trials = 2", "trials = 0"), "$.trials"),
    ],
)
def test_a_wrong_plan_is_one_line(
    plan: Path, transfer: Run, change: tuple[str, str], words: str
) -> None:
    plan.write_text(plan.read_text().replace(*change))
    code, _, _ = transfer(str(plan), "--engine", "pybullet")
    assert isinstance(code, str) and code.startswith("error: transfer") and "\n" not in code
    assert words in code


def test_a_damaged_cell_is_named_and_kept(plan: Path, transfer: Run, tmp_path: Path) -> None:
    damaged = tmp_path / "docs" / "transfer" / "all-of-it--mujoco-drawn.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    code, _, _ = transfer(str(plan))
    assert "all-of-it--mujoco-drawn.json" in str(code) and "remove it" in str(code)
    assert damaged.read_text() == "{"


def test_a_place_that_cannot_be_written_is_one_line(
    plan: Path, transfer: Run, tmp_path: Path
) -> None:
    (tmp_path / "docs" / "transfer.md").mkdir(parents=True)
    code, _, _ = transfer(str(plan), "--cells", "0")
    assert str(code).startswith("error: transfer: ") and "cannot be written" in str(code)


def test_the_shipped_plan_has_the_documented_rows_and_columns() -> None:
    plan = load_plan(PLAN)
    assert len(plan.rows) == 5 and plan.cap == plan.trials == 20
    universes = [column.universe for column in plan.columns if column.universe]
    assert len(universes) == 6
    for universe in universes:
        loaded = load_universe(PLAN.parent / universe, HAND)
        assert loaded != Universe()


def test_an_interrupted_cell_is_not_kept(
    plan: Path, transfer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inhand.training.evaluation import evaluation

    run = evaluation.run_trials

    def interrupted(*arguments: Any, **more: Any) -> Any:
        yield next(iter(run(*arguments, **more)))
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "run_trials", interrupted)
    code, _, err = transfer(str(plan))
    assert code == 130 and "interrupted" in err
    assert cells(tmp_path) == {}


@pytest.mark.skipif(find_spec("pydrake") is None, reason="needs the extra drake")
def test_a_column_may_be_drakes_and_counts_as_held_out(
    plan: Path, transfer: Run, tmp_path: Path
) -> None:
    plan.write_text(plan.read_text().replace("PyBullet", "Drake").replace('"pybullet"', '"drake"'))
    built = tiny_policy.model(HAND, scale=2.0)
    tiny_policy.write(tmp_path / "other.onnx", built, tiny_policy.metadata(HAND, built))
    code, _, _ = transfer(str(plan), "--engine", "drake")
    assert code == 0
    assert {cell.conditions.engine for cell in cells(tmp_path).values()} == {"drake"}
    page = (tmp_path / "docs" / "transfer.md").read_text()
    assert "**no memory** reaches" in page and "Drake slippery" in page
