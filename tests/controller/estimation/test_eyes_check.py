"""Tags and network as a check of one another: what differs for long is told, with the cause."""

from dataclasses import replace

import numpy as np
import pytest

from inhand.controller.estimation.eyes_check import EyesCheck
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.estimation.outlier_gate import FusionSettings
from inhand.controller.estimation.pose_state import PoseCandidate, PoseMeasurement
from inhand.hardware.model.hand import load_hand
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription, Tag, load_object
from inhand.perception.records import ObjectPose, TagCorners, decode, encode, frozen_array
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import default_rig

BLOCK, RIG = load_object("block"), default_rig()
MIDDLE = np.array(load_hand("dactyl24").workspace.center)
RATE = 15.0


def frame(
    camera: Camera,
    tagged: ObjectDescription,
    pose: tuple[Array, Array],
    painted: Array,
    t: float,
    rng: np.random.Generator,
) -> TagCorners:
    """What a camera sees of an object with these tags, and whose vertices are so painted."""
    position, turn = pose
    seen: dict[int, Array] = {}
    for tag in tagged.tags:
        out = rotations.rotate(turn, tag.rotation[:, 2])
        corners = position + rotations.rotate(turn, tag.corners)
        if out @ (camera.position - corners.mean(axis=0)) > 0.02:
            seen[tag.id] = camera.project(corners) + rng.normal(0.0, 0.1, (4, 2))
    pixels = camera.project(position + rotations.rotate(turn, painted))
    vertices = np.column_stack([pixels + rng.normal(0.0, 1.0, pixels.shape), np.ones(len(pixels))])
    corners = frozen_array(np.array(list(seen.values())).reshape(-1, 4, 2))
    record = TagCorners(t, camera.name, tuple(seen), corners, 0.1, frozen_array(vertices))
    return sent(record)


def sent(record: TagCorners) -> TagCorners:
    """The record after its way through the wire."""
    back = decode(encode(record))
    assert isinstance(back, TagCorners)
    return back


def problems(
    tagged: ObjectDescription, painted: Array, seconds: float, filter_: PoseFilter, start: float
) -> list[str]:
    """The filter's problem after each instant."""
    rng, said = np.random.default_rng(4), []
    turn = rotations.random_quaternion(rng)
    for k in range(int(seconds * RATE)):
        turn = rotations.multiply(rotations.exp(rng.normal(0.0, 0.12, 3)), turn)
        t = start + k / RATE
        frames = [frame(camera, tagged, (MIDDLE, turn), painted, t, rng) for camera in RIG.values()]
        filter_.update(*frames)
        said.append(filter_.health.problem)
    return said


def moved(offset: Array, scale: float = 1.0) -> ObjectDescription:
    """The block whose tags are glued beside their places, or have another size."""
    tags = tuple(
        Tag(tag.id, scale * tag.size, tag.position + offset, tag.quaternion) for tag in BLOCK.tags
    )
    return replace(BLOCK, tags=tags)


def test_eyes_that_agree_have_no_problem() -> None:
    assert set(problems(BLOCK, BLOCK.vertices, 6.0, PoseFilter(BLOCK, RIG), 0.0)) == {""}


@pytest.mark.parametrize(
    ("tagged", "painted", "cause"),
    [
        (moved(np.array([0.006, 0.0, 0.0])), BLOCK.vertices, "glued elsewhere"),
        (
            BLOCK,
            rotations.rotate(rotations.exp(np.array([0.0, 0.0, np.pi / 2])), BLOCK.vertices),
            "by 90°; tags or colours are on other faces",
        ),
    ],
)
def test_a_lasting_difference_is_told_with_its_cause_and_ends(
    tagged: ObjectDescription, painted: Array, cause: str
) -> None:
    pose_filter = PoseFilter(BLOCK, RIG)
    said = problems(tagged, painted, 6.0, pose_filter, 0.0)
    assert cause in said[-1] and "from where the tags show it, in" in said[-1]
    # The first ones may be chance.
    assert not any(said[: int(2 * RATE)])
    after = problems(BLOCK, BLOCK.vertices, 6.0, pose_filter, 6.5)
    assert after[-1] == ""


def test_the_pose_stays_that_of_the_tags() -> None:
    """A network that shows the object elsewhere does not move the estimate."""
    tags, both = PoseFilter(BLOCK, RIG), PoseFilter(BLOCK, RIG)
    rng = np.random.default_rng(2)
    for k in range(60):
        for camera in RIG.values():
            seen = frame(
                camera, BLOCK, (MIDDLE, rotations.IDENTITY), BLOCK.vertices + 0.01, k / RATE, rng
            )
            both.update(seen)
            tags.update(replace(seen, vertices=None))
    one, other = tags.predict(60 / RATE), both.predict(60 / RATE)
    assert one is not None and other is not None
    assert np.array_equal(one.position, other.position)
    assert np.array_equal(one.quaternion, other.quaternion)
    assert "the network shows the object" in both.health.problem


def test_between_tags_the_network_is_compared_with_the_filter() -> None:
    check, rng = EyesCheck(BLOCK), np.random.default_rng(2)
    pose = MIDDLE, rotations.IDENTITY
    covariance = np.diag(np.repeat([1e-6, 1e-4, 1.0, 1.0], 3))
    still = frozen_array(np.zeros(3))
    before = ObjectPose(0.0, MIDDLE, rotations.IDENTITY, still, still, covariance, 0.1)
    measured = PoseMeasurement(0.0, (PoseCandidate(MIDDLE, pose[1], covariance[:6, :6]),))
    told = []
    for k in range(60):
        seen = frame(RIG["left"], BLOCK, pose, BLOCK.vertices + 0.01, 0.2 * k, rng)
        if k > 0 and k < 40:
            seen = replace(seen, ids=(), corners=frozen_array(seen.corners[:0]))
        check.look(RIG, [seen], replace(measured, t=0.2 * k), before, FusionSettings())
        told.append(bool(check.problem))
    # Without tags for longer, the filter has its pose from the network itself.
    assert not any(told[:40])
    assert told[-1]
