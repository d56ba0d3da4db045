"""Detected tags that fit no pose are reported once with the cause, and once at the end."""

from dataclasses import replace

import numpy as np

from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.runtime.fit_watch import FORGOTTEN, LOOKS, UNSEEN, FitWatch
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.records import TagCorners, frozen_array
from inhand.sim_backend.rig import default_rig

BLOCK, RIG = load_object("block"), default_rig()
SPIN = rotations.exp(np.array([0.0, 0.0, np.pi]))
TURNED = replace(
    BLOCK,
    tags=tuple(
        replace(tag, quaternion=rotations.multiply(tag.quaternion, SPIN)) for tag in BLOCK.tags
    ),
)


def frames(t: float) -> dict[str, TagCorners]:
    """What the cameras see of the block as its file says, at one instant."""
    turn, position = rotations.exp(np.array([0.4, 0.3, 0.2])), np.array([0.0, 0.335, 0.055])
    seen = {}
    for name, camera in RIG.items():
        found = {}
        for tag in BLOCK.tags:
            out = rotations.rotate(turn, tag.rotation[:, 2])
            center = position + rotations.rotate(turn, tag.position)
            if out @ (camera.position - center) > 0.05:
                points = position + rotations.rotate(turn, tag.corners)
                found[tag.id] = camera.project(points)
        corners = np.array(list(found.values())).reshape(-1, 4, 2)
        seen[name] = TagCorners(t, name, tuple(found), frozen_array(corners), 0.1)
    return seen


def test_a_misfit_is_reported_once_and_its_end_too() -> None:
    watch, t = FitWatch(TURNED, RIG), 0.0
    for look in range(1, 10):
        t = 0.25 * look
        assert watch.look(frames(t), None, t) == (look == LOOKS)
    assert "tags [0, 1, 2, 3, 4] of block" in watch.problem and "180°" in watch.problem
    # Without tags the problem is reported for a while, then it ends.
    assert not watch.look(frames(t), None, t + UNSEEN + 0.1)
    assert watch.look(frames(t), None, t + FORGOTTEN + 0.1) and watch.problem == ""


def test_a_pose_ends_the_problem() -> None:
    watch = FitWatch(TURNED, RIG)
    for look in range(LOOKS):
        watch.look(frames(0.25 * look), None, 0.25 * look)
    assert watch.problem
    pose_filter = PoseFilter(BLOCK, RIG)
    pose_filter.update(*frames(1.0).values())
    assert watch.look(frames(1.0), pose_filter.predict(1.0), 1.0) and watch.problem == ""


def test_tags_that_fit_are_no_problem_even_if_the_filter_rejects_them() -> None:
    watch = FitWatch(BLOCK, RIG)
    assert not any(watch.look(frames(0.25 * k), None, 0.25 * k) for k in range(10))
    assert not any(watch.look({}, None, 3.0 + k) for k in range(10))


def test_unsynchronised_cameras_are_checked_one_by_one() -> None:
    watch = FitWatch(TURNED, RIG)
    for look in range(LOOKS):
        t = 0.25 * look
        at = {"left": t, "right": t - 0.01, "wrist": t - 0.02}
        seen = {name: replace(frame, t=at[name]) for name, frame in frames(t).items()}
        watch.look(seen, None, t)
    assert "seen (" in watch.problem and "180°" in watch.problem
