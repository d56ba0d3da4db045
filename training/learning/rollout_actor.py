"""One of many processes that act for a learner elsewhere: its own worlds and recurrent state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inhand.hardware.model.hand import Hand
from inhand.perception.objects import ObjectDescription
from inhand.training.learning.automatic_curriculum import load_curriculum
from inhand.training.learning.experience import Experience, as_arrays, load_vector
from inhand.training.learning.learners import Learner, make_learner, make_worlds
from inhand.training.learning.run_recipe import RunRecipe
from inhand.training.learning.teacher import Teacher
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds

NDVector = NDArray[np.float32]


@dataclass(frozen=True)
class Blueprint:
    """What every actor of a run is made of.

    Attributes:
        recipe: of the run.
        hand: with which it was read; an actor reads no file.
        target: the object.
        networks: that the learner started from (`load_networks`).
        worlds: number of worlds of an actor.
        start: iteration at which this learner began.
    """

    recipe: RunRecipe
    hand: Hand
    target: ObjectDescription
    networks: tuple[nn.Module, ...]
    worlds: int
    start: int


@dataclass(frozen=True)
class Order:
    """What to act with: one version of the learner.

    Attributes:
        version: iteration of the learner.
        weights: of its networks, as one vector.
        difficulty: largest distance of goals [rad], and scale of the universes.
        curriculum: ends of automatic ranges, and tolerance.
        measures: whether a teacher measures its inputs.
    """

    version: int
    weights: NDVector
    difficulty: tuple[float, float]
    curriculum: dict[str, Any]
    measures: bool


class Chunk(msgspec.Struct):
    """What an actor did with one order.

    Attributes:
        version: of the order.
        experience: with arrays in place of tensors.
        ends: ends of automatic ranges at which episodes ended, and their goals.
        finest: goals of the episodes that ended at the finest tolerance.
    """

    version: int
    experience: Experience[Any]
    ends: list[tuple[int, float]]
    finest: list[float]


class RolloutActor:
    """Acts in its own worlds. After a restart, or in a new life, everything begins anew.

    Args:
        number: of its place.
        blueprint: what it is made of.
    """

    def __init__(self, number: int, blueprint: Blueprint) -> None:
        self._number, self._blueprint = number, blueprint
        self._life = -1
        self._learner: Learner | None = None
        self._ends: list[tuple[int, float]] = []
        self._finest: list[float] = []

    def work(self, life: int, call: int, order: Order) -> Chunk:
        """Acts for one rollout.

        Args:
            life: how often this actor's place began anew; together with `call` it names the chunk.
            call: number of calls before in this life.
            order: what to act with.
        """
        if self._learner is None or life != self._life:
            self._learner, self._life = self._begin(life), life
            follow(self._learner, order)
            self._learner.begin_episodes()
        learner = self._learner
        follow(learner, order)
        # The same chunk has the same noise, whatever was computed before it.
        torch.manual_seed(self._seed(life, call))
        seen = as_arrays(learner.collect())
        chunk = Chunk(order.version, seen, [*self._ends], [*self._finest])
        self._ends.clear()
        self._finest.clear()
        return chunk

    def _begin(self, life: int) -> Learner:
        torch.set_num_threads(1)
        plan = self._blueprint
        recipe = with_settings(plan.recipe, plan.worlds, self._seed(life))
        worlds = make_worlds(recipe, plan.hand, plan.target, threads=1)
        learner = make_learner(recipe, worlds, plan.networks, "cpu")
        self._ends.clear()
        self._finest.clear()
        report_episodes(worlds, self._ends.append, self._finest.append)
        return learner

    def _seed(self, *what: int) -> int:
        plan = self._blueprint
        entropy = (plan.recipe.settings.seed, plan.start, self._number, *what)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def report_episodes(
    worlds: BatchOfWorlds,
    end: Callable[[tuple[int, float]], None],
    finest: Callable[[float], None],
) -> None:
    """Has episodes reported that count for the curriculum, which the learner alone decides."""
    if worlds.ranges:
        worlds.ranges.collect = lambda at, goals: end((at, goals))
    if worlds.precision:
        worlds.precision.collect = finest


def with_settings(recipe: RunRecipe, worlds: int, seed: int) -> RunRecipe:
    """The recipe with another number of worlds and another seed in its stage's settings."""
    settings = msgspec.structs.replace(recipe.settings, worlds=worlds, seed=seed)
    return msgspec.structs.replace(recipe, **{recipe.stage: settings})


def follow(learner: Learner, order: Order) -> None:
    """Takes the weights and the curriculum of an order."""
    load_vector(learner.weights, order.weights)
    worlds, learner.iteration = learner.worlds, order.version
    worlds.goal_distance, worlds.universe_scale = order.difficulty
    load_curriculum(worlds, order.curriculum)
    if isinstance(learner, Teacher) and order.measures and not learner.measures:
        learner.begin_measuring()
