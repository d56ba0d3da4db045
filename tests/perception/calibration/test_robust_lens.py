"""Pictures that contradict the others: found, named, and dropped only with consent."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.perception import rotations
from inhand.perception.calibration import calibrate
from inhand.perception.calibration.camera_info import load_intrinsics
from inhand.perception.calibration.lens_fit import View, fit_lens
from inhand.perception.cameras import CameraError
from inhand.perception.lens import Lens
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from tests.perception.calibration.test_plate_calibration import pictures, true_camera

SIZE = (640, 480)
LENS = Lens(true_camera().matrix, true_camera().distortion)
CORNERS = np.array([[0.02 * x, 0.02 * y, 0.0] for y in range(1, 7) for x in range(1, 10)])
PLACES = ([0, 1, 0, 1], [0, 1, 2, 2])


def views(seed: int, count: int = 14, noise: float = 0.1) -> list[View]:
    """Corners of a plate in pictures, by the true lens."""
    rng = np.random.default_rng(seed)
    found: list[View] = []
    while len(found) < count:
        turn = rotations.to_matrix(rotations.exp(rng.uniform(-1, 1, 3) * [0.6, 0.6, 0.5]))
        away = rng.uniform(-1, 1, 3) * [0.06, 0.05, 0.03] + [0.0, 0.0, 0.3]
        pixels = LENS.project((CORNERS - [0.1, 0.07, 0.0]) @ turn.T + away)
        pixels += rng.normal(0.0, noise, pixels.shape)
        inside = ((pixels > 0) & (pixels < SIZE)).all(axis=1)
        if inside.sum() >= 12:
            found.append((CORNERS[inside], pixels[inside]))
    return found


def test_declared_deviations_are_true() -> None:
    """Over many calibrations, errors are as large as their declared deviations."""
    scaled = []
    for seed in range(25):
        fit = fit_lens(views(seed), SIZE)
        scaled.append((fit.lens.matrix - LENS.matrix)[PLACES] / fit.deviation[:4])
    assert 0.6 < np.sqrt(np.mean(np.square(scaled))) < 1.4
    # The same if pictures have errors of their own: the plate is bent by another amount in each.
    scaled = []
    for seed in range(25):
        rng = np.random.default_rng(100 + seed)
        bent = [
            (points, pixels + rng.normal(0.0, 3e-5) * (pixels - [320, 240]) ** 2)
            for points, pixels in views(seed)
        ]
        fit = fit_lens(bent, SIZE)
        scaled.append((fit.lens.matrix - LENS.matrix)[PLACES] / fit.deviation[:4])
    assert 0.5 < np.sqrt(np.mean(np.square(scaled))) < 1.6


def sheared(pixels: Array, amount: float) -> Array:
    return np.asarray(pixels + np.column_stack([amount * (pixels[:, 1] - 240), 0 * pixels[:, 1]]))


@pytest.mark.parametrize("amount", [0.01, 0.03])
def test_one_sheared_picture_is_seen_and_moves_the_lens_little(amount: float) -> None:
    for seed in range(4):
        clean = views(seed)
        spoiled = list(clean)
        spoiled[5] = (clean[5][0], sheared(clean[5][1], amount))
        plain, fit = fit_lens(clean, SIZE), fit_lens(spoiled, SIZE)
        moved = np.abs(fit.lens.matrix - plain.lens.matrix)[PLACES]
        assert (moved < 2 * fit.deviation[:4]).all()
        assert np.argmax(fit.residuals) == 5
        assert fit.influence[5] > 1.5 * np.median(fit.influence)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a plate; a rolling shutter has sheared the fourth."""
    path = tmp_path_factory.mktemp("left")
    for k, image in enumerate(pictures(14, 0.6, 0.06)):
        cv2.imwrite(str(path / f"{k:03d}.png"), shear(image) if k == 3 else image)
    return path


def shear(image: Image) -> Image:
    turn = np.array([[1.0, 0.04, -10.0], [0.0, 1.0, 0.0]])
    return np.asarray(cv2.warpAffine(image, turn, SIZE, borderValue=(140.0,)), dtype=np.uint8)


def calibrated(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    command = [*("camera", str(folder), "--name", "left", "--out", str(out)), *arguments]
    monkeypatch.setattr(sys, "argv", ["inhand calibrate", *command])
    calibrate_main()


def calibrate_main() -> None:
    import tyro

    tyro.extras.subcommand_cli_from_dict(calibrate.COMMANDS).run()


def test_outliers_are_named_and_dropped_with_consent_only(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "left.yaml"
    with pytest.raises(CameraError, match=r"1 of 14 pictures.*003\.png.*--outliers drop"):
        calibrated(folder, out, monkeypatch)
    assert not list(tmp_path.glob("*"))
    assert "outlier   003.png: residual" in capsys.readouterr().out
    calibrated(folder, out, monkeypatch, "--outliers", "drop")
    focal = true_camera().matrix[0, 0]
    assert abs(load_intrinsics(out).matrix[0, 0] - focal) < 2.0
    picture = cv2.imread(str(tmp_path / "left-residuals.png"))
    assert picture is not None and picture.shape[1] > 640
    before = out.read_text()
    calibrated(folder, out, monkeypatch, "--outliers", "keep")
    assert (tmp_path / "left.yaml.1").read_text() == before != out.read_text()
    # The picture that the command has drawn into a folder is none of its pictures.
    inside = folder / "left.yaml"
    calibrated(folder, inside, monkeypatch, "--outliers", "drop")
    assert (folder / "left-residuals.png").exists()
    calibrated(folder, inside, monkeypatch, "--outliers", "drop")
    assert "of 14 pictures" not in capsys.readouterr().err
