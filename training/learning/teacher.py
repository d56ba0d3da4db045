"""PPO for the teacher, which sees the true state."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import to_builtins
from torch import Tensor

from inhand.training.learning.automatic_curriculum import (
    begin_curriculum,
    curriculum_row,
    curriculum_state,
    load_curriculum,
)
from inhand.training.learning.checkpoint import read_checkpoint, write_checkpoint
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.ppo import (
    PpoRecipe,
)
from inhand.training.learning.ppo_learner import PpoLearner, Rollout, Stepped
from inhand.training.learning.widening import widen_network, widen_optimizer
from inhand.training.mujoco_worlds.automatic_ranges import RangesRecipe
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds


class Recipe(PpoRecipe, frozen=True, forbid_unknown_fields=True):
    """Settings of a run; written into its checkpoints.

    Attributes:
        normalize_iterations: iterations in which the normalization of the inputs is learned.
        start_distance: first distance of a goal [rad].
        widen_factor: by which goals move away.
        widen_at: goals an episode from which on they do.
        vary_step: by which the scale of the universes grows, once goals are anywhere.
        vary_at: goals an episode from which on it does.
        vary_to: the last scale.
        ranges: automatic ranges in place of that scale.
        renormalize_iterations: iterations in which a run that starts from another one measures
            its inputs, before their normalization is replaced.
    """

    normalize_iterations: int = 40
    start_distance: float = 0.8
    widen_factor: float = 1.12
    widen_at: float = 2.0
    vary_step: float = 0.05
    vary_at: float = 5.0
    vary_to: float = 1.0
    ranges: RangesRecipe | None = None
    renormalize_iterations: int = 0


class Teacher:
    """A training run: worlds, network, optimizer and their counters."""

    def __init__(self, worlds: BatchOfWorlds, recipe: Recipe, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.worlds, self.recipe, self.device = worlds, recipe, device
        worlds.goal_distance = recipe.start_distance
        inputs = teacher_inputs(worlds, device).shape[1]
        self.network = Network(inputs, worlds.hand.n_actuators, recipe.deviation).to(device)
        actor, log_deviation = list(self.network.actor.parameters()), self.network.log_deviation
        self.ppo = PpoLearner(worlds, recipe, self.network, actor, log_deviation, device)
        if recipe.ranges:
            # A teacher measures nothing: axes of sensing would widen without a reason.
            begin_curriculum(worlds, recipe.ranges, "physics")
        self.iteration = self.steps = 0
        self.ended: list[float] = []
        self.seconds = 0.0
        self._reached = self._dropped = 0
        self._to_measure = 0
        self._measured: Network | None = None

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns the row for the log."""
        began = time.monotonic()
        self._reached = self._dropped = 0
        rollout = self._rollout().as_one_step()
        moved, _ = self.ppo.update(
            rollout, lambda ids: self.network.actor(rollout.inputs[:, ids]), self.iteration
        )
        self._renormalize()
        recipe, worlds = self.recipe, self.worlds
        self.iteration += 1
        self.steps += recipe.horizon * recipe.worlds
        self.seconds += time.monotonic() - began
        goals = float(np.mean(self.ended[-1000:])) if self.ended else 0.0
        if len(self.ended) >= 1000:
            self._harden(goals)
        minutes = recipe.horizon * recipe.worlds / worlds.policy_rate / 60
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "minutes": self.seconds / 60,
            "goals": goals,
            "goals_per_minute": self._reached / minutes,
            "drops_per_goal": self._dropped / max(1, self._reached),
            "distance": worlds.goal_distance,
            **curriculum_row(worlds),
            "explained": rollout.explained,
            "divergence": moved,
            "step_size_1e6": 1e6 * self.ppo.optimizer.param_groups[0]["lr"],
            "deviation": self.network.log_deviation.exp().mean().item(),
        }

    def _harden(self, goals: float) -> None:
        """Curriculum: first the goals move away, then the universes vary more."""
        recipe, worlds = self.recipe, self.worlds
        if worlds.goal_distance < np.pi and goals > recipe.widen_at:
            worlds.goal_distance = min(np.pi, worlds.goal_distance * recipe.widen_factor)
        elif (
            worlds.goal_distance == np.pi
            and not worlds.ranges
            and goals > recipe.vary_at
            and worlds.universe_scale < recipe.vary_to
        ):
            scale = worlds.universe_scale + recipe.vary_step
            worlds.universe_scale = min(recipe.vary_to, scale)
        else:
            return
        self.ended.clear()

    def _rollout(self) -> Rollout:
        def act(inputs: Tensor) -> Tensor:
            if self.iteration < self.recipe.normalize_iterations:
                self.network.learn_scale(inputs)
            elif self._measured:
                self._measured.learn_scale(inputs)
            return self.network.act(inputs)

        def look() -> Tensor:
            return teacher_inputs(self.worlds, self.device)

        def count(step: Stepped) -> None:
            self.ended.extend(step.goals)
            self._reached += step.reached
            self._dropped += sum(step.dropped)

        return self.ppo.rollout(look, act, count)

    def _renormalize(self) -> None:
        """Replaces the normalization once it has been measured; see `start_from`."""
        if self._measured is None:
            return
        self._to_measure -= 1
        if self._to_measure == 0:
            self.network.renormalize(self._measured.mean, self._measured.variance)
            # The moments of the gradient were those of other weights.
            self.ppo.optimizer.state.clear()
            self._measured = None

    def start_from(self, path: Path) -> None:
        """Starts from the checkpoint of another run; raises as `read_checkpoint` does."""
        self.resume(path)
        self._to_measure = self.recipe.renormalize_iterations
        if self._to_measure:
            inputs, actions = len(self.network.mean), self.worlds.hand.n_actuators
            self._measured = Network(inputs, actions, 1.0).to(self.device)

    def save(self, path: Path) -> None:
        """Writes a checkpoint atomically."""
        write_checkpoint(
            path,
            self.worlds,
            {
                "kind": "teacher",
                "recipe": to_builtins(self.recipe),
                "network": self.network.state_dict(),
                "optimizer": self.ppo.optimizer.state_dict(),
                "counters": [self.iteration, self.steps, self.seconds],
                "difficulty": [self.worlds.goal_distance, self.worlds.universe_scale],
                **curriculum_state(self.worlds),
            },
        )

    def resume(self, path: Path) -> None:
        """Continues from a checkpoint; raises as `read_checkpoint` does."""
        state: dict[str, Any] = read_checkpoint(path, "teacher", self.worlds, "cpu")
        known, inputs = len(state["network"]["mean"]), len(self.network.mean)
        self.network.load_state_dict(widen_network(state["network"], inputs))
        if "optimizer" in state:
            self.ppo.optimizer.load_state_dict(widen_optimizer(state["optimizer"], known, inputs))
        self.iteration, self.steps, self.seconds = state["counters"]
        self.worlds.goal_distance, self.worlds.universe_scale = state["difficulty"]
        load_curriculum(self.worlds, state)
        self._measured = None
