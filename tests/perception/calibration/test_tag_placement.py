"""Poses of tags that deviate from the drawing are recovered from three cameras."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.controller.calibration import commands as commands
from inhand.hardware.model.hand import Hand
from inhand.perception import rotations
from inhand.perception.calibration import calibrate
from inhand.perception.calibration.tag_placement import calibrate_placement, save_object
from inhand.perception.cameras import Camera, save_rig
from inhand.perception.errors import ObjectError
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.records import TagCorners, frozen_array
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene

BLOCK = load_object("block")
RIG = default_rig(640, 480)


def glued_badly(rng: np.random.Generator) -> ObjectDescription:
    """The block with every tag up to 1.5 mm and 3 degrees off within its face."""
    tags = []
    for tag in BLOCK.tags:
        right, up = rng.uniform(-1.5e-3, 1.5e-3, 2)
        turn = rotations.exp(np.array([0.0, 0.0, rng.uniform(-0.05, 0.05)]))
        tags.append(
            replace(
                tag,
                position=tag.position + rotations.rotate(tag.quaternion, np.array([right, up, 0])),
                quaternion=rotations.multiply(tag.quaternion, turn),
            )
        )
    return replace(BLOCK, tags=tuple(tags))


def look(
    block: ObjectDescription, camera: Camera, t: float, rng: np.random.Generator, turn: np.ndarray
) -> TagCorners:
    """The corners that one camera sees of a block: all faces turned to it, with 0.1 px of noise."""
    position = np.array([0.0, 0.335, 0.055])
    ids, corners = [], []
    for tag in block.tags:
        center = position + rotations.rotate(turn, tag.position)
        normal = rotations.rotate(turn, rotations.to_matrix(tag.quaternion)[:, 2])
        ray = camera.position - center
        if normal @ ray / np.linalg.norm(ray) > 0.3:
            ids.append(tag.id)
            points = position + rotations.rotate(turn, tag.corners)
            corners.append(camera.project(points) + rng.normal(0.0, 0.1, (4, 2)))
    return TagCorners(
        t, camera.name, tuple(ids), frozen_array(np.reshape(corners, (-1, 4, 2))), 0.1
    )


def watch(block: ObjectDescription, count: int) -> list[list[TagCorners]]:
    rng = np.random.default_rng(4)
    turns = rotations.random_quaternion(rng, (count,))
    return [
        [look(block, camera, float(k), rng, turn) for camera in RIG.values()]
        for k, turn in enumerate(turns)
    ]


def test_tags_are_found_where_they_are(tmp_path: Path) -> None:
    truth = glued_badly(np.random.default_rng(5))
    report = calibrate_placement(BLOCK, RIG, watch(truth, 30))
    assert report.residual < 0.2
    save_object(tmp_path / "mine.toml", report.description)
    for found in (report.description, load_object(tmp_path / "mine.toml")):
        for tag, real in zip(found.tags, truth.tags, strict=True):
            assert np.linalg.norm(tag.position - real.position) < 1e-4
            assert rotations.angle_between(tag.quaternion, real.quaternion) < 4e-3
    for tag, real, sure in zip(report.description.tags, truth.tags, report.deviations, strict=True):
        assert np.linalg.norm(tag.position - real.position) < 4 * np.linalg.norm(sure[:2])


def only(tags: Sequence[int], frames: list[list[TagCorners]]) -> list[list[TagCorners]]:
    """The same with only some tags in view."""
    result = []
    for instant in frames:
        kept = []
        for frame in instant:
            at = [i for i, tag in enumerate(frame.ids) if tag in tags]
            ids = tuple(frame.ids[i] for i in at)
            kept.append(replace(frame, ids=ids, corners=frozen_array(frame.corners[at])))
        result.append(kept)
    return result


def test_what_does_not_suffice_is_refused() -> None:
    frames = watch(BLOCK, 24)
    with pytest.raises(ObjectError, match="5 instants were seen"):
        calibrate_placement(BLOCK, RIG, frames[:5])
    with pytest.raises(ObjectError, match="tag 5 was seen 0 times"):
        calibrate_placement(BLOCK, RIG, only(range(5), frames))
    mixed = [[a, b, c] for (a, b, _), (_, _, c) in zip(frames, frames[1:], strict=False)]
    with pytest.raises(ObjectError, match="did the object move|instants fit"):
        calibrate_placement(BLOCK, RIG, mixed)


def test_the_command_finds_tags_on_renders_through_a_lens(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(6)
    truth = glued_badly(rng)
    lens = frozen_array([-0.12, 0.05, 0.0005, -0.0005, 0.0])
    rig = {name: replace(camera, distortion=lens) for name, camera in default_rig().items()}
    save_rig(tmp_path / "rig.toml", rig)
    scene = Scene(hand, truth, tmp_path / "assets")
    for k in range(30):
        position = np.array([0.0, 0.335, 0.075]) + rng.normal(0.0, 0.01, 3)
        scene.place(hand.joint_angles(hand.rest), position, rotations.random_quaternion(rng))
        for name, camera in rig.items():
            blurred = cv2.GaussianBlur(scene.render(camera), (0, 0), 0.6).astype(np.float64)
            noisy = np.clip(0.9 * blurred + rng.normal(0.0, 2.0, blurred.shape), 0, 255)
            (tmp_path / name).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / name / f"{k:02d}.png"), noisy.astype(np.uint8))
    scene.close()
    command = [*("object", str(tmp_path), "--rig", str(tmp_path / "rig.toml")), "--object", "block"]
    monkeypatch.setattr("sys.argv", ["calibrate", *command, "--out", str(tmp_path / "mine.toml")])
    assert commands.main() == 0
    assert "tag 5:" in capsys.readouterr().out and (tmp_path / "mine-left-residuals.png").exists()
    for tag, real in zip(load_object(tmp_path / "mine.toml").tags, truth.tags, strict=True):
        assert np.linalg.norm(tag.position - real.position) < 2.5e-4
        assert rotations.angle_between(tag.quaternion, real.quaternion) < 0.01


def test_pictures_with_other_tags_are_refused_with_what_they_show(tmp_path: Path) -> None:
    save_rig(tmp_path / "rig.toml", default_rig())
    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    page = np.full((240, 320), 255, dtype=np.uint8)
    page[80:152, 120:192] = cv2.aruco.generateImageMarker(family, 7, 72)
    for name in default_rig():
        (tmp_path / name).mkdir()
        for k in range(2):
            cv2.imwrite(str(tmp_path / name / f"{k:03d}.png"), page)
    tags = calibrate.Tags(tmp_path, tmp_path / "rig.toml", "block", tmp_path / "mine.toml")
    with pytest.raises(ObjectError, match=r"In 3 pictures, tag 7 is seen of the family ArUco 4x4"):
        tags.run()
    assert not (tmp_path / "mine.toml").exists()
