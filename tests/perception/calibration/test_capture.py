"""Pictures of a plate taken with a running camera, and the line with what is missing."""

import contextlib
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.controller.calibration import commands
from inhand.perception import rotations
from inhand.perception.calibration.camera_info import load_intrinsics
from inhand.perception.calibration.capture import capture, require_empty
from inhand.perception.calibration.intrinsics import LensViews
from inhand.perception.calibration.plate import Plate
from inhand.perception.camera.file_sources import FolderSource
from inhand.perception.cameras import CameraError
from inhand.perception.readout import Readout
from inhand.perception.tags import Image
from tests.perception.calibration.test_plate_calibration import CENTER, PLATE, true_camera
from tests.perception.plate_pictures import photograph


def shown(count: int, rng: np.random.Generator) -> list[Image]:
    """What a camera sees of a plate that is carried from place to place and held still at each."""
    frames = []
    for k in range(count):
        turn = rotations.exp(rng.uniform(-1, 1, 3) * [0.6, 0.6, 0.5])
        away = np.array([[-0.06, 0.06][k % 2], [-0.05, 0.05][k // 2 % 2], 0.0])
        corner = CENTER + away - rotations.rotate(turn, CENTER)
        for shift in (0.02, 0.0, 0.0):
            at = corner + [shift, 0.0, 0.0]
            frames.append(photograph(true_camera(), PLATE, at, turn, rng))
    return frames


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded frames, ten a second."""
    folder = tmp_path_factory.mktemp("film")
    for k, image in enumerate(shown(12, np.random.default_rng(8))):
        cv2.imwrite(str(folder / f"{k / 10:.3f}.png"), image)
    return folder


def replayed(film: Path) -> FolderSource:
    """A real source under a virtual clock, so that no frame is overtaken on a busy machine."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return FolderSource(film, lambda: now[0], sleep)


class Told(Readout):
    """Remembers what was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def show(self, text: str) -> None:
        self.texts.append(text)


def test_pictures_are_taken_where_the_plate_has_not_been(film: Path, tmp_path: Path) -> None:
    views, told = LensViews(PLATE), Told()
    capture(replayed(film), PLATE, views, tmp_path / "pictures", told)
    assert views.enough
    pictures = sorted((tmp_path / "pictures").glob("*.png"))
    assert [path.name for path in pictures] == [f"{k:03d}.png" for k in range(len(pictures))]
    # Of three frames at each place the first is moved and the last tells nothing new.
    assert 8 <= len(pictures) <= 12
    text = "\n".join(told.texts)
    assert "hold the plate still: 0 views" in text and "more views" in text
    assert "move or tilt the plate" in text and "the plate at the" in text
    assert "took 000.png: 1 views" in text and "residual 0." in told.texts[-1]
    assert told.texts[-1].endswith("enough")
    matrix = views.report().intrinsics.matrix
    assert abs(matrix[0, 0] - true_camera().matrix[0, 0]) < 6.0


def test_a_source_that_falls_silent_is_an_error_that_says_what_was_missing(
    film: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(film.glob("*.png"))[:9]:
        (few / path.name).write_bytes(path.read_bytes())
    views = LensViews(PLATE)
    with pytest.raises(CameraError, match="no frame for 5 s; 3 views.*missing: 5 more views"):
        capture(replayed(few), PLATE, views, tmp_path / "pictures", Readout())
    # What was taken is kept, and counts the next time.
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3


def on_terminal(write: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a person sees, control characters included."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        write()
    shown = b""
    # A terminal hands over what has arrived, piece by piece; its end is an error.
    with contextlib.suppress(OSError):
        while piece := os.read(master, 1 << 16):
            shown += piece
    os.close(master)
    return shown.decode()


def test_a_line_is_rewritten_on_terminals_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        readout = Readout()
        readout.show("3 views")
        readout.show("x" * 1000)
        readout.end()
        readout.end()

    write()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("COLUMNS", "60")
    seen = on_terminal(write, monkeypatch)
    assert seen == "\r\x1b[K3 views\r\x1b[K" + 59 * "x" + "\r\n"


def test_the_command_says_how_far_it_is(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    for k, path in enumerate(sorted(film.glob("*.png"))[1::3]):
        (folder / f"{k:03d}.png").write_bytes(path.read_bytes())
    out = tmp_path / "left.yaml"
    arguments = ["camera", str(folder), "--name", "left", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["inhand calibrate", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    seen = on_terminal(lambda: exec_main(), monkeypatch)
    assert "000.png: 1 views" in seen and "missing: 7 more views" in seen
    assert "enough" in seen.rsplit("\r", 2)[-2]
    assert load_intrinsics(out).width == 640 and (tmp_path / "left-residuals.png").exists()
    assert "residual" in capsys.readouterr().out


def exec_main() -> None:
    assert commands.main() == 0


def test_the_plate_itself_is_what_counts() -> None:
    views = LensViews(Plate())
    assert not views.add(np.zeros((480, 640), dtype=np.uint8))
    assert views.status.startswith("0 views, 0 % of the image; missing: 8 more views")
    with pytest.raises(CameraError, match="0 of 1 pictures show 12 corners"):
        views.report()


def test_pictures_that_are_kept_are_never_overwritten(film: Path, tmp_path: Path) -> None:
    """A picture was deleted from the middle, so that numbers and their count differ."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("000.png", "002.png", "004.JPG"):
        (folder / name).write_bytes(b"mine")
    capture(replayed(film), PLATE, LensViews(PLATE), folder, Told())
    assert all((folder / name).read_bytes() == b"mine" for name in ("000.png", "002.png"))
    assert (folder / "005.png").exists()
    with pytest.raises(CameraError, match="holds pictures already"):
        require_empty(folder)


def test_the_line_says_why_a_plate_does_not_count(film: Path, tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(CameraError, match="no frame"):
        capture(replayed(film), Plate(9, 7), LensViews(Plate(9, 7)), tmp_path / "pictures", told)
    assert any("not where a plate of 9 x 7 has them" in text for text in told.texts)
