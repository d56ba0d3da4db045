"""A wrapped policy does what the foreign network does that is run by hand."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from inhand.controller.policy.check import check_policy
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.foreign.wrap import wrap
from tests.training.foreign.by_hand import Run
from tests.training.foreign.networks import (
    PLAYGROUND_MAP,
    PLAYGROUND_PALM,
    plain_recurrent,
    playground_form,
    write_pair,
)

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
                PLAYGROUND_PALM - run.place[step],
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


def test_several_observations_are_given_together(tmp_path: Path) -> None:
    foreign, map_file = write_pair(
        tmp_path, playground_form(inputs=3 * 57), f"{PLAYGROUND_MAP}\n[history]\nsteps = 3\n"
    )
    policy = wrapped(tmp_path, foreign, map_file)
    single = wrapped(tmp_path, *write_pair(tmp_path))
    session = ort.InferenceSession(foreign_bytes(3 * 57))
    run = Run.random(LEAP, BLOCK, 6)
    frames: list[np.ndarray] = []
    last = np.zeros(16)
    for step in range(6):
        theirs = np.concatenate(
            [
                run.joints[step],
                np.zeros(16),
                PLAYGROUND_PALM - run.place[step],
                run.to_goal_inverse(step).as_matrix().ravel()[3:],
                last,
            ]
        )
        frames = [theirs] * 3 if not frames else [*frames[1:], theirs]
        (given,) = session.run(None, {"obs": np.concatenate(frames)[None].astype(np.float32)})
        # What was sent is where the joints are, so that the error of the targets is 0.
        policy.act(run.observation(step, run.joints[step], 1))
        last = given[0].astype(np.float64)
        np.testing.assert_allclose(last_action(policy), last, atol=SAME)
    assert policy.memory[0].size > single.memory[0].size


def foreign_bytes(inputs: int) -> bytes:
    return bytes(playground_form(inputs=inputs).SerializeToString())


def last_action(policy: Policy) -> np.ndarray:
    """The foreign action that a policy of Playground's form remembers.

    Its memory has the flag of the start, then the action, then what its map needs further.
    """
    return policy.memory[0][0, 0, 1:17].astype(np.float64)


@pytest.mark.parametrize(
    ("kind", "shape"), [("f4", (57,)), ("f8", (1, 57)), ("f2", (1, 1, 57)), ("f8", (1, 1, 57))]
)
def test_states_of_any_name_shape_and_precision(
    tmp_path: Path, kind: str, shape: tuple[int, ...]
) -> None:
    model = plain_recurrent(kind, shape)
    network = '\n[network.state]\nmemory = "memory_next"\n'
    foreign, map_file = write_pair(tmp_path, model, PLAYGROUND_MAP + network)
    policy = wrapped(tmp_path, foreign, map_file)
    session = ort.InferenceSession(foreign.read_bytes())
    run, memory, last = Run.random(LEAP, BLOCK, 20), np.zeros((4, 4), kind), np.zeros(16)
    for step in range(20):
        theirs = np.concatenate(
            [
                run.joints[step],
                np.zeros(16),
                PLAYGROUND_PALM - run.place[step],
                run.to_goal_inverse(step).as_matrix().ravel()[3:],
                last,
            ]
        )
        feed = {"obs": theirs.astype(np.float32).astype(kind).reshape(shape), "memory": memory}
        action, memory = session.run(["actions", "memory_next"], feed)
        last = action.ravel().astype(np.float64)
        policy.act(run.observation(step, run.joints[step], 1))
        limit = 5e-3 if kind == "f2" else SAME
        np.testing.assert_allclose(last_action(policy), last, atol=limit)


def test_check_names_all_faults_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(wrap(*write_pair(tmp_path)).content)
    model = onnx.load(path)
    described = json.loads(model.metadata_props[0].value)
    described["golden"]["actions"][4][2] += 0.01
    described["golden"]["tolerance"] = 0.5
    described["object"] = "prism"
    described["action"]["tick_rate"] = 100
    model.metadata_props[0].value = json.dumps(described)
    path.write_bytes(model.SerializeToString())
    found = check_policy(path, "dactyl24", "block").faults
    words = ("made for hand leap", "joints differ", "made for object prism", "tolerance 0.5", "obs")
    for part in words:
        assert any(part in fault for fault in found), found
    assert all(";" in fault and "\n" not in fault for fault in found)
    found = check_policy(path).faults
    assert len(found) == 1 and "tolerance 0.5" in found[0]
    described["golden"]["tolerance"] = 1e-4
    model.metadata_props[0].value = json.dumps(described)
    path.write_bytes(model.SerializeToString())
    (fault,) = check_policy(path).faults
    assert "step 4 of its golden vector is off by 0.01" in fault
