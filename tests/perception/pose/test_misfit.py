"""Visible tags that fit no pose: the message names the cause, from images of a block."""

import re
from dataclasses import replace

import numpy as np
import pytest

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.pose.misfit import misfit
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners
from tests.perception.official_tags import block_picture

BLOCK = load_object("block")
POSITION = np.array([0.0, 0.335, 0.055])
TURN = rotations.exp(np.array([0.4, 0.3, 0.2]))


def glued(turn: float = 0.0, factor: float = 1.0, only: int | None = None) -> ObjectDescription:
    """An object file that says that tags are turned [rad], or of another size, than they are."""
    spin = rotations.exp(np.array([0.0, 0.0, turn]))
    tags = tuple(
        replace(tag, size=factor * tag.size, quaternion=rotations.multiply(tag.quaternion, spin))
        if only in (None, tag.id)
        else tag
        for tag in BLOCK.tags
    )
    return replace(BLOCK, tags=tags)


@pytest.fixture(scope="module")
def seen(rig: dict[str, Camera]) -> list[TagCorners]:
    """What all cameras see of a block with official pictures."""
    return [
        TagDetector(camera, BLOCK).detect(block_picture(camera, BLOCK, POSITION, TURN), 0.0)
        for camera in rig.values()
    ]


def test_tags_that_fit_give_no_message(rig: dict[str, Camera], seen: list[TagCorners]) -> None:
    assert min(len(frame.ids) for frame in seen) >= 2
    assert misfit(BLOCK, rig, seen) == "" == misfit(BLOCK, rig, [])
    assert all(misfit(BLOCK, rig, [frame]) == "" for frame in seen)


@pytest.mark.parametrize(
    ("turn", "factor", "said"),
    [
        (np.pi, 1.0, "turned by 180° .*3.1416"),
        (np.pi / 2, 1.0, "turned by 90° clockwise .*-1.5708"),
        (-np.pi / 2, 1.0, "turned by 90° counter-clockwise .*1.5708"),
        (0.0, 1.25, "0.8 times as large .*white edge"),
        (0.0, 0.8, "1.25 times as large"),
    ],
)
def test_what_is_wrong_with_all_tags_is_named(
    rig: dict[str, Camera], seen: list[TagCorners], turn: float, factor: float, said: str
) -> None:
    wrong = glued(turn, factor)
    for frames in (seen, *([frame] for frame in seen)):
        text = misfit(wrong, rig, frames)
        assert f"seen ({', '.join(frame.camera for frame in frames)}), and fit no pose" in text
        assert re.search(said, text), text


@pytest.mark.parametrize("factor", [0.5, 0.7, 0.9, 1.12, 1.4, 1.9])
def test_any_other_size_of_all_tags_is_named(
    rig: dict[str, Camera], seen: list[TagCorners], factor: float
) -> None:
    wrong = glued(factor=1 / factor)
    for frames in (seen, *([frame] for frame in seen if len(frame.ids) > 1)):
        text = misfit(wrong, rig, frames)
        said = re.search(r"about ([\d.]+) times as large as the object file.*`size`", text)
        assert said, text
        assert float(said[1]) == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize("factor", [0.7, 0.94, 1.08])
def test_a_print_that_was_scaled_is_named(
    rig: dict[str, Camera], seen: list[TagCorners], factor: float
) -> None:
    tags = tuple(
        replace(tag, size=tag.size / factor, position=tag.position / factor) for tag in BLOCK.tags
    )
    text = misfit(replace(BLOCK, tags=tags), rig, seen)
    said = re.search(r"about ([\d.]+) times as large .*printed at 100 %", text)
    assert said, text
    assert float(said[1]) == pytest.approx(factor, rel=0.05)


def test_the_suggested_correction_of_the_file_is_right(
    rig: dict[str, Camera], seen: list[TagCorners]
) -> None:
    for turn in (np.pi, np.pi / 2, -np.pi / 2):
        text = misfit(glued(turn), rig, seen)
        added = float(text.rpartition("add ")[2].split()[0])
        (pose,) = estimate_poses(glued(turn + added), rig, seen)
        assert rotations.angle_between(pose.quaternion, TURN) < 0.01


def test_one_tag_elsewhere_is_for_calibration(
    rig: dict[str, Camera], seen: list[TagCorners]
) -> None:
    frame = next(frame for frame in seen if len(frame.ids) == 2)
    wrong = glued(np.pi / 2, only=frame.ids[0])
    assert "inhand calibrate object" in misfit(wrong, rig, [frame])


@pytest.mark.parametrize("shift", [(0.0, 0.05, 0.0), (0.0, 0.0, 0.05)])
def test_cameras_that_contradict_each_other_are_named(
    rig: dict[str, Camera], seen: list[TagCorners], shift: tuple[float, float, float]
) -> None:
    moved = replace(rig["left"], position=rig["left"].position + np.array(shift))
    # Of as many tags each: where one camera sees more, the others' are outliers.
    pair = [replace(frame, ids=frame.ids[:2], corners=frame.corners[:2]) for frame in seen[:2]]
    text = misfit(BLOCK, rig | {"left": moved}, pair)
    assert "the cameras contradict each other" in text and "inhand calibrate extrinsics" in text


def test_two_cameras_that_are_nearer_are_not_told_from_a_smaller_print(
    rig: dict[str, Camera], seen: list[TagCorners]
) -> None:
    moved = replace(rig["left"], position=rig["left"].position + np.array([0.05, 0.0, 0.0]))
    pair = [replace(frame, ids=frame.ids[:2], corners=frame.corners[:2]) for frame in seen[:2]]
    text = misfit(BLOCK, rig | {"left": moved}, pair)
    assert "printed at 100 %" in text and "inhand calibrate extrinsics" in text


def test_tags_of_other_objects_are_ignored(rig: dict[str, Camera], seen: list[TagCorners]) -> None:
    assert misfit(load_object("prism"), rig, seen) == ""
