"""A teacher with fewer privileged inputs continues with all of them."""

from pathlib import Path

import numpy as np
import torch

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.learners import load_teacher
from inhand.training.learning.teacher import Recipe, Teacher, teacher_inputs
from inhand.training.learning.widening import widen_network
from inhand.training.mujoco_worlds.environment import BatchEnvironment

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
OLDER = Path(__file__).parents[3] / "training" / "checkpoints" / "block-teacher.pt"


def worlds(size: int = 16) -> BatchEnvironment:
    return BatchEnvironment(HAND, BLOCK, size, threads=1, seed=3)


def test_the_shipped_teacher_ignores_the_added_inputs() -> None:
    here = worlds()
    here.harden(float(np.pi), 1.0)
    inputs = teacher_inputs(here, "cpu")
    state = torch.load(OLDER, weights_only=True)["network"]
    known = len(state["mean"])
    assert known < inputs.shape[1]
    assert inputs[:, known:].abs().max() > 0.5
    wide = load_teacher(here, OLDER)
    narrow = type(wide)(known, HAND.n_actuators, 1.0)
    narrow.load_state_dict(widen_network(state, known))
    torch.testing.assert_close(wide.act(inputs), narrow.act(inputs[:, :known]))


def test_a_run_continues_from_an_older_one_and_learns_from_new_inputs() -> None:
    recipe = Recipe(worlds=32, horizon=8, vary_to=1.0)
    run = Teacher(worlds(32), recipe)
    run.resume(OLDER)
    before = run.network.actor[0].weight.detach().clone()
    run.worlds.harden(float(np.pi), 1.0)
    run.iterate()
    known = len(torch.load(OLDER, weights_only=True)["network"]["mean"])
    moved = (run.network.actor[0].weight - before)[:, known:]
    assert moved.abs().max() > 0


def test_a_network_with_all_inputs_does_not_change() -> None:
    run = Teacher(worlds(32), Recipe(worlds=32, horizon=8))
    state = run.network.state_dict()
    assert widen_network(state, len(run.network.mean)) is state
