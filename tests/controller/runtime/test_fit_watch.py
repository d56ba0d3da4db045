"""Tags that are seen and fit no pose are told once, with the cause, and their end too."""

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


def test_a_misfit_is_told_once_and_its_end_too() -> None:
    watch, t = FitWatch(TURNED, RIG), 0.0
    for look in range(1, 10):
        t = 0.25 * look
        assert watch.look(frames(t), None, t) == (look == LOOKS)
    assert "tags [0, 1, 2, 3, 4] of block" in watch.problem and "180°" in watch.problem
    # Out of sight it is told on for a while, then no longer.
    assert not watch.look(frames(t), None, t + UNSEEN + 0.1)
    assert watch.look(frames(t), None, t + FORGOTTEN + 0.1) and watch.problem == ""


def test_a_pose_ends_it() -> None:
    watch = FitWatch(TURNED, RIG)
    for look in range(LOOKS):
        watch.look(frames(0.25 * look), None, 0.25 * look)
    assert watch.problem
    pose_filter = PoseFilter(BLOCK, RIG)
    pose_filter.update(*frames(1.0).values())
    assert watch.look(frames(1.0), pose_filter.predict(1.0), 1.0) and watch.problem == ""


def test_what_fits_is_no_problem_even_where_the_filter_refuses_it() -> None:
    watch = FitWatch(BLOCK, RIG)
    assert not any(watch.look(frames(0.25 * k), None, 0.25 * k) for k in range(10))
    assert not any(watch.look({}, None, 3.0 + k) for k in range(10))


def test_cameras_that_run_freely_are_looked_at_one_by_one() -> None:
    watch = FitWatch(TURNED, RIG)
    for look in range(LOOKS):
        t = 0.25 * look
        at = {"left": t, "right": t - 0.01, "wrist": t - 0.02}
        seen = {name: replace(frame, t=at[name]) for name, frame in frames(t).items()}
        watch.look(seen, None, t)
    assert "seen (" in watch.problem and "180°" in watch.problem
