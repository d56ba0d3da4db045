"""A wrapped policy does what the foreign network does that is run by hand."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from inhand.controller.policy.check import check_policy
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.foreign.wrap import wrap
from tests.training.foreign.by_hand import Run
from tests.training.foreign.networks import write_pair

LEAP, BLOCK = load_hand("leap"), load_object("block")
STEPS = 100
SAME = 1e-5
"""Largest difference of a target [rad]."""


def wrapped(folder: Path, *pair: Path) -> Policy:
    path = folder / "mine.onnx"
    path.write_bytes(wrap(*pair).content)
    assert not check_policy(path).faults
    return load_policy(path, LEAP, BLOCK, allowed=None)


def test_the_form_of_playground_equals_its_environment_step_by_step(tmp_path: Path) -> None:
    foreign, map_file = write_pair(tmp_path)
    policy = wrapped(tmp_path, foreign, map_file)
    assert policy.path.policy_rate == 20 and policy.observation_version == 1
    session = ort.InferenceSession(foreign.read_bytes())
    run = Run.random(LEAP, BLOCK, STEPS)
    targets, last = run.joints[0], np.zeros(16)
    for step in range(STEPS):
        theirs = np.concatenate(
            [
                run.joints[step],
                run.joints[step] - targets,
                np.array(LEAP.workspace.center) - run.place[step],
                run.to_goal_inverse(step).as_matrix().ravel()[3:],
                last,
            ]
        )
        action = policy.act(run.observation(step, targets, 1))
        (given,) = session.run(None, {"obs": theirs[None].astype(np.float32)})
        last = given[0].astype(np.float64)
        targets = np.clip(targets + 0.5 * last, LEAP.lower, LEAP.upper)
        assert np.abs(policy.path.target(action) - targets).max() <= SAME
    assert np.abs(targets - LEAP.rest).max() > 0.1


def test_the_state_starts_anew_after_a_reset(tmp_path: Path) -> None:
    policy = wrapped(tmp_path, *write_pair(tmp_path))
    run = Run.random(LEAP, BLOCK, 3)
    rows = [run.observation(step, run.joints[step], 1) for step in range(3)]
    first = [policy.act(row) for row in rows]
    policy.reset()
    np.testing.assert_array_equal([policy.act(row) for row in rows], first)
    assert np.abs(policy.act(rows[0]) - first[0]).max() > 1e-3
