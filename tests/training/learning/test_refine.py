"""The student learns from its own rewards, and a run can be stopped and resumed."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.checkpoint import write_compact
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.refine import Refinement, RefineRecipe
from inhand.training.learning.student import Student, StudentRecipe
from inhand.training.learning.student_network import load_student
from inhand.training.learning.teacher import Teacher
from inhand.training.mujoco_worlds.environment import BatchEnvironment

TINY = RefineRecipe(worlds=32, horizon=8, critic_iterations=0, seed=3, bfloat16=False)


def make(recipe: RefineRecipe = TINY, memory: bool = True) -> Refinement:
    worlds = BatchEnvironment(
        load_hand("dactyl24"), load_object("block"), recipe.worlds, seed=recipe.seed
    )
    worlds.harden(float(np.pi), 1.0)
    teacher = Network(teacher_inputs(worlds, "cpu").shape[1], worlds.hand.n_actuators, 0.3)
    settings = StudentRecipe(worlds=recipe.worlds, hidden=16, memory=memory)
    student = Student(worlds, teacher, settings).network
    return Refinement(worlds, student, teacher, recipe)


def reward_an_action(run: Refinement | Teacher, wanted: float) -> None:
    """Pays for nothing but actions near a wanted one."""
    original = run.worlds.step

    def step(actions: np.ndarray):
        return replace(original(actions), reward=-np.square(actions - wanted).mean(-1))

    run.worlds.step = step


@pytest.mark.parametrize("memory", [True, False])
def test_it_learns_to_do_what_is_rewarded(memory: bool) -> None:
    run = make(msgspec.structs.replace(TINY, step_size=1e-3, divergence=0.2, discount=0.0), memory)
    reward_an_action(run, 0.5)
    before = float((run._rollout().rollout.means - 0.5).square().mean())
    for _ in range(25):
        run.iterate()
    after = float((run._rollout().rollout.means - 0.5).square().mean())
    assert after < 0.5 * before, (before, after)


def test_only_the_critic_learns_at_first() -> None:
    run = make(msgspec.structs.replace(TINY, critic_iterations=1))
    policy = [value.detach().clone() for value in run.network.parameters()]
    critic = [value.detach().clone() for value in run.teacher.critic.parameters()]
    run.iterate()
    assert all(map(torch.equal, policy, run.network.parameters()))
    assert not all(map(torch.equal, critic, run.teacher.critic.parameters()))
    run.iterate()
    assert not all(map(torch.equal, policy, run.network.parameters()))


def test_the_sequence_is_replayed_from_the_state_it_began_in() -> None:
    run = make()
    sequences = run._rollout()
    while not (sequences.rollout.alive == 0).any():  # until episodes end in it, and reset the state
        sequences = run._rollout()
    with torch.no_grad():
        again = run._means(sequences, torch.arange(run.worlds.size))
    torch.testing.assert_close(again, sequences.rollout.means)


def test_it_resumes_where_it_was_and_is_read_as_a_student(tmp_path: Path) -> None:
    run = make()
    run.iterate()
    run.save(tmp_path / "run.pt")
    other = make()
    other.resume(tmp_path / "run.pt")
    assert (other.iteration, other.steps) == (1, 32 * 8)
    read = load_student(other.worlds, tmp_path / "run.pt")
    for name, value in run.network.state_dict().items():
        assert torch.equal(other.network.state_dict()[name], value)
        assert torch.equal(read.state_dict()[name], value)
    for name, value in run.teacher.state_dict().items():
        assert torch.equal(other.teacher.state_dict()[name], value)


def test_from_a_compact_checkpoint_only_the_critic_learns_at_first(tmp_path: Path) -> None:
    run = make(msgspec.structs.replace(TINY, critic_iterations=1))
    run.iterate()
    run.save(tmp_path / "whole.pt")
    write_compact(tmp_path / "whole.pt", tmp_path / "compact.pt")
    other = make(run.recipe)
    other.resume(tmp_path / "compact.pt")
    assert (other.iteration, other.steps) == (1, 32 * 8)
    policy = [value.detach().clone() for value in other.network.parameters()]
    for before, value in zip(policy, run.network.parameters(), strict=True):
        torch.testing.assert_close(before, value, rtol=1e-3, atol=1e-4)
    other.iterate()
    assert all(map(torch.equal, policy, other.network.parameters()))
    other.iterate()
    assert not all(map(torch.equal, policy, other.network.parameters()))


def test_a_loss_that_is_not_finite_stops_learning() -> None:
    run = make()
    original = run.worlds.step
    run.worlds.step = lambda actions: replace(
        original(actions), reward=np.full(len(actions), np.nan)
    )
    with pytest.raises(FloatingPointError, match="value"):
        run.iterate()
