"""Learners, sensors and labels need nothing of a batch of worlds but its protocol."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.refine import Refinement, RefineRecipe
from inhand.training.learning.student import Student, StudentRecipe
from inhand.training.learning.teacher import Recipe, Teacher
from inhand.training.mujoco_worlds.automatic_ranges import RangesRecipe
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.rewards import Rewards

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
WORLDS = 8
RANGES = RangesRecipe(episodes=2, settle_seconds=0.0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class OnlyTheProtocol:
    """A batch of worlds of which only the protocol's members can be used."""

    def __init__(self, worlds: BatchEnvironment) -> None:
        object.__setattr__(self, "_worlds", worlds)

    def __getattr__(self, name: str) -> Any:
        self._check(name)
        return getattr(self._worlds, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._check(name)
        setattr(self._worlds, name, value)

    @staticmethod
    def _check(name: str) -> None:
        if name not in {*vars(BatchOfWorlds), *BatchOfWorlds.__annotations__}:
            raise AttributeError(f"{name} is not part of the protocol")


def teacher(worlds: BatchOfWorlds) -> Teacher:
    return Teacher(worlds, Recipe(worlds=WORLDS, horizon=4, ranges=RANGES, normalize_iterations=1))


def student(worlds: BatchOfWorlds) -> Student:
    torch.manual_seed(4)
    network = Network(teacher_inputs(worlds, "cpu").shape[1], HAND.n_actuators, 0.3)
    worlds.harden(float(np.pi), 1.0)
    return Student(worlds, network, StudentRecipe(WORLDS, horizon=4, hidden=16, world_loss=0.1))


def refinement(worlds: BatchOfWorlds) -> Refinement:
    begun = student(worlds)
    recipe = RefineRecipe(worlds=WORLDS, horizon=4, critic_iterations=0)
    return Refinement(worlds, begun.network, begun.teacher, recipe)


@pytest.mark.parametrize("make", [teacher, student, refinement])
def test_learning_uses_the_protocol_alone_and_learns_the_same(
    make: Callable[[BatchOfWorlds], Teacher | Student | Refinement],
) -> None:
    def weights(hide: bool) -> list[np.ndarray]:
        rewards = Rewards(seconds_per_goal=0.5, finest=0.2)
        worlds = BatchEnvironment(HAND, BLOCK, WORLDS, 1, seed=5, rewards=rewards)
        run = make(OnlyTheProtocol(worlds) if hide else worlds)
        for _ in range(2):
            run.iterate()
        return [value.detach().numpy() for value in run.network.parameters()]

    for hidden, plain in zip(weights(True), weights(False), strict=True):
        np.testing.assert_array_equal(hidden, plain)
