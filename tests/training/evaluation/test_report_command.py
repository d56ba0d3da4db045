"""`inhand report` makes a page that needs no network; `inhand eval --video` makes a film."""

import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.errors import InhandError
from inhand.training.evaluation.evaluation import measure
from inhand.training.evaluation.evaluation_arguments import EvaluationArguments, check
from inhand.training.evaluation.kept_trials import KeptTrials
from inhand.training.evaluation.report import PolicyReport
from inhand.training.evaluation.report_command import Options, make
from inhand.training.evaluation.trials import EvaluationError, Rules, Setup
from tests.controller.recording.test_replay import recorded
from tests.controller.view.browser import browser

POLICY = PolicyReport("block.onnx", "0" * 64, "mujoco", 0.0, "a")
LOADED = "[...document.images].every(i => i.complete && i.naturalWidth > 100)"
PLAYED = """async () => {
    const film = document.querySelector('video');
    await film.play();
    return [film.videoWidth, film.duration, film.error];
}"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("recorded"), seconds=3.0)


def run(*arguments: object) -> tuple[object, list[str]]:
    """Ends of a command: its exit code or its error, and the lines that it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", "inhand", *map(str, arguments)], capture_output=True, text=True
    )
    said = ended.stderr.strip().splitlines()
    assert not any("Traceback" in line for line in said), ended.stderr
    return (ended.returncode and said[-1]), ended.stdout.splitlines()


@pytest.mark.slow
def test_a_browser_shows_the_page_of_a_recording_without_network(
    recording: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    code, said = run("report", recording, "--html", page, "--seconds", "0.8", "--json")
    assert code == 0 and len(said) == 1
    told = json.loads(said[0])
    assert told["output"] == str(page) and told["ticks"] > 0
    asked: list[str] = []
    with browser(width=390) as shown:
        shown.context.set_offline(True)
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(page.as_uri())
        assert shown.evaluate(LOADED) and shown.locator("img").count() == 3
        width, seconds, error = shown.evaluate(PLAYED)
        assert (width, error) == (480, None)
        assert seconds == pytest.approx(told["film_s"] + 0.08, abs=0.02)
        assert shown.get_by_role("cell", name="goal_started").count() > 0
        # A phone's width: the page itself does not scroll sideways.
        assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}


def test_the_film_begins_when_it_is_told_to_and_is_left_out_on_request(
    recording: Path, tmp_path: Path
) -> None:
    without = make(Options(recording, tmp_path / "a.html", seconds=0.0))
    assert "film_s" not in without.figures and "<video" not in without.text()
    late = make(Options(recording, tmp_path / "a.html", seconds=1.0, start=1e6))
    assert "No film: there is no goal" in late.text()
    other = tmp_path / "other.mp4"
    other.write_bytes(b"\0\0\0\x18ftypisom")
    shown = make(Options(recording, tmp_path / "a.html", video=other))
    assert "data:video/mp4;base64,AAAAGGZ0eXBpc29t" in shown.text()


def test_without_what_draws_the_page_says_what_to_install(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = make(Options(recording, tmp_path / "a.html")).text()
    assert "No film: pybullet is not installed; " in text


def test_the_page_of_a_training_run_has_its_curves(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    rows = "\n".join(f"{1000 * n},{n * n}" for n in range(20))
    (folder / "log.csv").write_text(f"steps,goals\n{rows}\n")
    page = make(Options(folder, tmp_path / "a.html"))
    assert page.figures == {"steps": 19000.0, "goals": 361.0}
    assert page.text().count("data:image/png") == 1
    (folder / "log.csv").write_text("steps,goals\nmany,1\n")
    with pytest.raises(EvaluationError, match="not the log of a training run"):
        make(Options(folder, tmp_path / "a.html"))


def test_the_page_of_an_evaluation_has_its_trials(setup: Setup, tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    short = replace(setup, rules=Rules(tolerance=3.1415, cap=2))
    measure(short, POLICY, 2, 1, StringIO(), KeptTrials(file, short, "a"))
    page = make(Options(file, tmp_path / "a.html"))
    assert page.figures["trials"] == 2 and page.figures["median"] == 2.0
    assert page.text().count("<td>cap</td>") == 2
    file.write_text("{}")
    with pytest.raises(EvaluationError, match="no file of kept trials"):
        make(Options(file, tmp_path / "a.html"))


def test_what_cannot_be_reported_is_one_line_and_overwrites_nothing(
    recording: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text("mine")
    for what, html, words in (
        (recording, page, f"{page}: it exists; name another one with --html"),
        (recording, tmp_path / "a.pdf", "the page must end in .html"),
        (tmp_path, tmp_path / "a.html", "no training run, as there is no log.csv in it"),
        ("absent", tmp_path / "a.html", "neither a file, nor a training run"),
        (page, tmp_path / "a.html", "not a recording of inhandd"),
    ):
        with pytest.raises(InhandError) as refused:
            make(Options(Path(what), html))
        assert words in str(refused.value)
    code, _ = run("report", recording, "--html", tmp_path / "a.html", "--video", page)
    assert code == f"error: report: --video {page}: it is no MP4 file"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert page.read_text() == "mine"


@pytest.mark.slow
def test_a_trial_becomes_a_film(tmp_path: Path) -> None:
    film = tmp_path / "trial.mp4"
    small = ("--engine", "mujoco", "--trials", "1", "--cap", "2", "--video-seconds", "0.8")
    code, said = run("eval", *small, "--video", film, "--json")
    assert code == 0 and json.loads("\n".join(said))["n"] == 1
    reader = cv2.VideoCapture(str(film))
    frames = []
    while (read := reader.read())[0]:
        frames.append(np.asarray(read[1], float))
    reader.release()
    assert len(frames) == 11 and frames[0].shape == (360, 480, 3)
    assert np.abs(frames[0] - frames[-1]).max() > 100


def test_a_film_that_cannot_be_made_is_refused_before_the_trial(tmp_path: Path) -> None:
    film = tmp_path / "trial.mp4"
    film.write_bytes(b"mine")
    fine = EvaluationArguments("mujoco", video=tmp_path / "a.mp4")
    for wrong, words in (
        (replace(fine, video=film), f"{film}: it exists; name another one with --video"),
        (replace(fine, video=tmp_path / "a.avi"), "the film is MP4; end in .mp4"),
        (replace(fine, jobs=2), "--video goes with --jobs 1"),
        (replace(fine, video_seconds=0.0), "must lie in"),
    ):
        with pytest.raises(InhandError) as refused:
            check(wrong)
        assert words in str(refused.value)
    assert film.read_bytes() == b"mine"


def test_the_extra_that_draws_plots_is_named() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from inhand.controller.cli.main import main\n"
        "sys.argv = ['inhand', 'report', 'any.mcap', '--html', 'a.html']; main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 1 and "pip install 'inhand[view]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
