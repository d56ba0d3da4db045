"""The measurement on a GPU: its page, and that it runs, on Warp's CPU device in its place."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import COMMAND, PAGE, Figures, Speed
from benchmarks.pages import END, PageError, mark, write_figures

ROOT = Path(__file__).parents[2]


def test_figures_replace_what_is_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    page.write_text(PAGE.read_text())
    figures = Figures("NVIDIA X; 16 cores", [Speed("warp", 1024, 260_000.0, 9e5, "24 contacts")])
    figures.learned = [(minute / 10, 1000 * minute, 0.25 * minute) for minute in range(45)]
    figures.problems = ["32768 worlds in warp: too many"]
    for _ in range(2):
        write_figures(page, COMMAND, figures.text("make bench-gpu"))
    text = page.read_text()
    assert text.partition(mark(COMMAND))[0] == PAGE.read_text().partition(mark(COMMAND))[0]
    assert text.partition(END)[2] == PAGE.read_text().partition(END)[2]
    assert "| warp | 1024 | 260,000 | 900,000 | 24 contacts |" in text
    assert "250,000 env steps/s; met." in text and "within 5 minutes; met." in text
    assert "| 4.4 | 0.0 | 11.00 |" in text
    assert "Not measured: 32768 worlds in warp: too many" in text


def test_a_page_without_marks_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    page.write_text(mark(COMMAND))
    with pytest.raises(PageError, match=r"gpu\.md: the marks .* of make bench-gpu are missing"):
        write_figures(page, COMMAND, "figures\n")
    assert page.read_text() == mark(COMMAND)


def test_a_bar_that_is_missed_is_said() -> None:
    figures = Figures("NVIDIA X; 16 cores", [Speed("mujoco", 1024, 900_000.0, 9e5, "")])
    figures.learned = [(5.5, 1000, 12.0)]
    assert figures.text("make bench-gpu").count("**missed**") == 2


def test_without_a_gpu_it_is_one_sentence() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "--device cuda cannot be used" in line


@pytest.mark.slow
def test_it_runs_from_end_to_end_on_a_cpu(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    page = tmp_path / "gpu.md"
    page.write_text(PAGE.read_text())
    words = [
        "--device",
        "cpu",
        "--worlds",
        "16",
        "--cores",
        "16",
        "--seconds",
        "1",
        "--minutes",
        "0.2",
    ]
    command = [sys.executable, "-m", "benchmarks.gpu", *words, "--page", str(page)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in page.read_text().splitlines() if " | 16 | " in line]
    assert [row[0] for row in rows] == ["| warp", "| mujoco"]
    assert all(float(row[2].replace(",", "")) > 0 for row in rows)
    assert "| minutes | million policy steps |" in page.read_text()
