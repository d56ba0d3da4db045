"""Pictures for camera poses and for an object's tags, taken with running cameras."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.hardware.model.hand import Hand
from inhand.perception import rotations
from inhand.perception.calibration import calibrate
from inhand.perception.calibration.camera_info import save_intrinsics
from inhand.perception.calibration.capture import PICTURES_OF_PLACE, capture_place
from inhand.perception.calibration.capture_object import capture_object
from inhand.perception.calibration.tag_placement import MINIMUM_INSTANTS
from inhand.perception.cameras import CameraError, load_rig, save_rig
from inhand.perception.objects import load_object
from inhand.perception.readout import Readout
from inhand.perception.tags import Image
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene
from tests.perception.calibration.test_capture import Told, replayed
from tests.perception.calibration.test_plate_calibration import (
    CORNER,
    PLATE,
    WORLD_FROM_PLATE,
    in_world,
    intrinsics_of,
    placed,
    shots,
)
from tests.perception.calibration.test_tag_placement import glued_badly


def recorded(folder: Path, images: list[Image]) -> Path:
    """A folder that is a camera: ten frames a second."""
    folder.mkdir(parents=True)
    for k, image in enumerate(images):
        cv2.imwrite(str(folder / f"{k / 10:.3f}.png"), image)
    return folder


def test_a_place_is_found_with_a_running_camera(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = in_world(placed())
    still = shots(camera, 4)
    film = recorded(tmp_path / "film", 20 * still)
    folder = tmp_path / "calibration"
    folder.mkdir()
    save_intrinsics(folder / "left.yaml", "left", intrinsics_of(camera))

    def find(sources: tuple[str, ...]) -> None:
        at, turn = tuple(CORNER.tolist()), tuple(WORLD_FROM_PLATE.tolist())
        calibrate.Places(folder, ("left",), tmp_path / "rig.toml", at, turn, sources).run()

    with pytest.raises(CameraError, match=r"2 addresses for 1 cameras.*left"):
        find((str(film), str(film)))
    find((str(film),))
    assert len(list((folder / "left").glob("*.png"))) == PICTURES_OF_PLACE
    found = load_rig(tmp_path / "rig.toml")["left"]
    assert np.linalg.norm(found.position - camera.position) < 4e-4
    before = (tmp_path / "rig.toml").read_bytes()
    with pytest.raises(CameraError, match="holds pictures already"):
        find((str(film),))
    assert (tmp_path / "rig.toml").read_bytes() == before
    assert "wrote" in capsys.readouterr().out


def test_pictures_of_a_place_wait_until_nothing_moves(tmp_path: Path) -> None:
    camera = in_world(placed())
    still, moved = shots(camera, 1), shots(camera, 1, CORNER + [0.01, 0.0, 0.0])
    nothing = [np.zeros_like(still[0])]
    told = Told()
    film = recorded(tmp_path / "film", [*nothing, *(3 * (still + moved)), *(11 * still)])
    capture_place(replayed(film), PLATE, "left", tmp_path / "left", told)
    assert told.texts[0] == "left: 0 of 10 pictures: 0 corners in view, 15 are needed"
    assert told.texts[1:8] == 7 * ["left: 0 of 10 pictures: leave plate and camera alone"]
    kept = sorted((tmp_path / "left").glob("*.png"))
    assert len(kept) == PICTURES_OF_PLACE
    for path in kept:
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert picture is not None and np.array_equal(picture, still[0])


def test_a_camera_that_ends_too_early_leaves_no_pictures(tmp_path: Path) -> None:
    film = recorded(tmp_path / "film", 4 * shots(in_world(placed()), 1))
    with pytest.raises(CameraError, match="no frame for 5 s; left: 3 of 10 pictures"):
        capture_place(replayed(film), PLATE, "left", tmp_path / "left", Readout())
    assert not (tmp_path / "left").exists()


def test_an_object_is_taken_wherever_it_rests_anew(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(12)
    truth, rig = glued_badly(rng), default_rig()
    films: dict[str, list[Image]] = {name: [] for name in rig}
    scene = Scene(hand, truth, tmp_path / "assets")
    for _ in range(30):
        position = np.array([0.0, 0.335, 0.075]) + rng.normal(0.0, 0.01, 3)
        scene.place(hand.joint_angles(hand.rest), position, rotations.random_quaternion(rng))
        for name, camera in rig.items():
            picture = scene.render(camera).astype(np.float64)
            for _ in range(3):
                noisy = np.clip(0.9 * picture + rng.normal(0.0, 2.0, picture.shape), 0, 255)
                films[name].append(noisy.astype(np.uint8))
    scene.close()
    block, told = load_object("block"), Told()
    sources = {n: replayed(recorded(tmp_path / "films" / n, film)) for n, film in films.items()}
    pictures = tmp_path / "pictures"
    capture_object(sources, block, rig, pictures, told)
    count = len(list((pictures / "left").glob("*.png")))
    assert MINIMUM_INSTANTS <= count <= 30
    assert all(len(list((pictures / name).glob("*.png"))) == count for name in rig)
    text = "\n".join(told.texts)
    assert "hold the object still: 0 instants; missing: 20 instants" in text
    assert "turn the object: 1 instants" in text and "took 019.png" in text
    with pytest.raises(CameraError, match="holds pictures already"):
        capture_object(sources, block, rig, pictures, told)
    # What was taken is what the command needs.
    save_rig(tmp_path / "rig.toml", rig)
    calibrate.Tags(pictures, tmp_path / "rig.toml", "block", tmp_path / "mine.toml").run()
    for tag, real in zip(load_object(tmp_path / "mine.toml").tags, truth.tags, strict=True):
        assert np.linalg.norm(tag.position - real.position) < 2.5e-4
