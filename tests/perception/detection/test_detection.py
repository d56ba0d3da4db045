"""Tags in rendered images with covering fingers and noise, and refused images."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from inhand.perception import rotations
from inhand.perception.cameras import Camera, CameraError
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image, tag_image
from inhand.sim_backend.scene import Scene

Draw = Callable[[np.random.Generator], tuple[Array, Array]]


def errors(
    camera: Camera,
    block: ObjectDescription,
    scene: Scene,
    joints: Array,
    draw: Draw,
    spoil: Callable[[Image, np.random.Generator], Image],
) -> Array:
    """Distances of the corners found in 40 renders from where they are [px], (k, 4)."""
    rng = np.random.default_rng(3)
    detector = TagDetector(camera, block)
    distances = []
    for _ in range(40):
        position, quaternion = draw(rng)
        scene.place(joints, position, quaternion)
        seen = detector.detect(spoil(scene.render(camera), rng), 0.0)
        for tag, corners in zip(seen.ids, seen.corners, strict=True):
            world = position + rotations.rotate(quaternion, block.tag(tag).corners)
            distances.append(np.linalg.norm(corners - camera.project(world), axis=1))
    return np.array(distances)


@pytest.mark.parametrize("name", ["left", "right", "wrist"])
def test_corners_are_found_to_a_fraction_of_a_pixel(
    name: str,
    rig: dict[str, Camera],
    block: ObjectDescription,
    scene: Scene,
    rest: Array,
    random_pose: Draw,
) -> None:
    distances = errors(rig[name], block, scene, rest, random_pose, lambda image, _: image)
    assert len(distances) >= 40
    assert np.median(distances) < 0.1
    assert np.percentile(distances, 90) < 0.3


def test_corners_survive_blur_noise_and_dim_light(
    rig: dict[str, Camera],
    block: ObjectDescription,
    scene: Scene,
    rest: Array,
    random_pose: Draw,
) -> None:
    def spoil(image: Image, rng: np.random.Generator) -> Image:
        blurred = cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.float64)
        noisy = 0.5 * blurred + rng.normal(0.0, 4.0, image.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    distances = errors(rig["wrist"], block, scene, rest, random_pose, spoil)
    assert len(distances) >= 30
    assert np.median(distances) < 0.25


def test_corners_are_true_through_lens_distortion(
    rig: dict[str, Camera],
    block: ObjectDescription,
    scene: Scene,
    rest: Array,
    random_pose: Draw,
) -> None:
    camera = replace(rig["left"], distortion=frozen_array([-0.25, 0.1, 0.002, -0.001, 0.0]))
    distances = errors(camera, block, scene, rest, random_pose, lambda image, _: image)
    assert len(distances) >= 40
    assert np.median(distances) < 0.15


def printed(tags: list[tuple[int, int, int]]) -> Image:
    """A white page of the rig's image size with tags of 48 px at given columns and rows."""
    page = np.full((240, 320), 255, dtype=np.uint8)
    for tag, column, row in tags:
        page[row : row + 48, column : column + 48] = tag_image(tag, 6)
    return page


def detector_of(camera: Camera, ids: Sequence[int]) -> TagDetector:
    """A detector for a block that carries these tags alone."""
    block = load_object("block")
    tags = tuple(replace(block.tags[k % len(block.tags)], id=id) for k, id in enumerate(ids))
    return TagDetector(camera, replace(block, tags=tags))


def test_corners_come_in_the_order_of_the_print(rig: dict[str, Camera]) -> None:
    seen = detector_of(rig["left"], (3,)).detect(printed([(3, 100, 60)]), 1.5)
    assert (seen.t, seen.camera, seen.ids) == (1.5, "left", (3,))
    square = np.array([[0, 0], [48, 0], [48, 48], [0, 48]]) + [99.5, 59.5]
    np.testing.assert_allclose(seen.corners[0], square, atol=0.05)


def test_tags_of_other_objects_are_ignored(rig: dict[str, Camera]) -> None:
    seen = detector_of(rig["left"], (0, 1)).detect(printed([(0, 40, 60), (7, 180, 60)]), 0.0)
    assert seen.ids == (0,)


def test_a_tag_that_is_seen_twice_is_rejected(rig: dict[str, Camera]) -> None:
    page = printed([(0, 40, 60), (0, 180, 60), (1, 110, 150)])
    detector = detector_of(rig["left"], (0, 1))
    assert detector.detect(page, 0.0).ids == (1,)
    assert "tags [0] are seen twice" in detector.problem
    assert detector.detect(printed([(0, 40, 60)]), 0.1).ids == (0,)
    assert detector.problem == ""


def test_a_second_object_is_noticed_within_a_second(rig: dict[str, Camera]) -> None:
    detector = detector_of(rig["left"], (0,))
    assert detector.detect(printed([(0, 40, 60)]), 0.0).ids == (0,)
    page = printed([(0, 40, 60), (0, 260, 180)])
    seen = [detector.detect(page, 0.1 * k).ids for k in range(1, 12)]
    assert seen[0] == (0,) and seen[-1] == ()
    assert "seen twice" in detector.problem


def test_a_tag_that_leaves_the_region_is_found_in_the_whole_frame(rig: dict[str, Camera]) -> None:
    detector = detector_of(rig["left"], (0,))
    for k, (column, row) in enumerate([(20, 20), (250, 20), (250, 170), (20, 170), (22, 165)]):
        seen = detector.detect(printed([(0, column, row)]), 0.05 * k)
        assert seen.ids == (0,)
        np.testing.assert_allclose(seen.corners[0, 0], [column - 0.5, row - 0.5], atol=0.05)


def test_another_object_is_named(rig: dict[str, Camera]) -> None:
    detector = detector_of(rig["left"], (0, 1))
    assert detector.detect(printed([(7, 40, 60)]), 0.0).ids == ()
    assert "only tags [7] are seen, the object has [0, 1]" in detector.problem


def test_a_mirrored_tag_is_not_found(rig: dict[str, Camera]) -> None:
    page = np.ascontiguousarray(printed([(0, 100, 60)])[:, ::-1])
    detector = detector_of(rig["left"], tuple(range(6)))
    assert detector.detect(page, 0.0).ids == ()
    assert "mirrored" in detector.problem
    assert detector.detect(page, 0.1).ids == () and "mirrored" in detector.problem
    assert detector.detect(page[:, ::-1], 0.2).ids == (0,)
    assert detector.problem == ""


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_frame_has_no_tags(rig: dict[str, Camera], level: int) -> None:
    seen = detector_of(rig["left"], (0,)).detect(np.full((240, 320, 3), level, np.uint8), 0.0)
    assert seen.ids == () and seen.corners.shape == (0, 4, 2)


def test_noise_alone_has_no_tags(rig: dict[str, Camera]) -> None:
    rng = np.random.default_rng(0)
    detector = detector_of(rig["left"], tuple(range(587)))
    for _ in range(20):
        image = rng.integers(0, 256, (240, 320), dtype=np.uint8)
        assert detector.detect(image, 0.0).ids == ()


def test_an_image_of_another_size_is_refused_with_both_sizes(
    rig: dict[str, Camera],
) -> None:
    detector = detector_of(rig["left"], (0,))
    with pytest.raises(CameraError, match=r"'left'.*640x480.*320x240"):
        detector.detect(np.zeros((480, 640, 3), np.uint8), 0.0)
    with pytest.raises(CameraError, match="8-bit"):
        detector.detect(np.zeros((240, 320), np.float64), 0.0)


def test_tag_ids_beyond_the_family_are_refused() -> None:
    with pytest.raises(ValueError, match="587"):
        tag_image(587, 4)
