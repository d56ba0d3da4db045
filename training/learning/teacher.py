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
from inhand.training.learning.experience import Experience, Scale, scale_of
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.ppo import (
    PpoRecipe,
)
from inhand.training.learning.ppo_learner import PpoLearner, Rollout, Stepped
from inhand.training.learning.widening import widen_network, widen_optimizer
from inhand.training.mujoco_worlds.automatic_ranges import RangesRecipe
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.bounded_numbers import (
    Angle,
    CountOrZero,
    Positive,
    PositiveOrZero,
)


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

    normalize_iterations: CountOrZero = 40
    start_distance: Angle = 0.8
    widen_factor: Positive = 1.12
    widen_at: PositiveOrZero = 2.0
    vary_step: Positive = 0.05
    vary_at: PositiveOrZero = 5.0
    vary_to: PositiveOrZero = 1.0
    ranges: RangesRecipe | None = None
    renormalize_iterations: CountOrZero = 0


class Teacher:
    """A training run: worlds, network, optimizer and their counters.

    Attributes:
        valid_from: the first iteration whose rollouts have inputs of the present normalization.
    """

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
        self._ended: list[tuple[int, bool]] = []
        self._scales: list[Scale] = []
        self._reached = 0
        self._to_measure = self.valid_from = 0
        self._measured: Network | None = None

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns the row for the log."""
        began = time.monotonic()
        return self.learn(self.collect(), began)

    def collect(self) -> Experience[Rollout]:
        """Acts for a rollout."""
        self._ended, self._reached, self._scales = [], 0, []
        rollout = self._rollout()
        return Experience(rollout, self._ended, self._reached, self._scales)

    def join_scales(self, scales: list[Scale]) -> None:
        """Takes the scales of inputs that were seen in other processes."""
        for scale in scales:
            self._join_scale(scale)

    def learn(self, seen: Experience[Rollout], began: float) -> dict[str, float]:
        """The updates from a rollout; returns the row for the log.

        Args:
            seen: the rollout.
            began: when it began [s], by `time.monotonic`.
        """
        samples = seen.samples.alive.numel()
        rollout = seen.samples.as_one_step()
        self.ended.extend(seen.goals)
        moved, _ = self.ppo.update(
            rollout, lambda ids: self.network.actor(rollout.inputs[:, ids]), self.iteration
        )
        self._renormalize()
        worlds = self.worlds
        self.iteration += 1
        self.steps += samples
        self.seconds += time.monotonic() - began
        goals = float(np.mean(self.ended[-1000:])) if self.ended else 0.0
        if len(self.ended) >= 1000:
            self._harden(goals)
        minutes = samples / worlds.policy_rate / 60
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "minutes": self.seconds / 60,
            "goals": goals,
            "goals_per_minute": seen.reached / minutes,
            "drops_per_goal": seen.drops / max(1, seen.reached),
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
            if self._normalizes or self._measured:
                scale = scale_of(inputs)
                self._scales.append(scale)
                self._join_scale(scale)
            return self.network.act(inputs)

        def look() -> Tensor:
            return teacher_inputs(self.worlds, self.device)

        def count(step: Stepped) -> None:
            self._ended.extend(zip(step.goals, step.dropped, strict=True))
            self._reached += step.reached

        return self.ppo.rollout(look, act, count)

    @property
    def _normalizes(self) -> bool:
        return self.iteration < self.recipe.normalize_iterations

    @property
    def measures(self) -> bool:
        """Whether a run that started from another one measures its inputs."""
        return self._measured is not None

    def begin_measuring(self) -> None:
        """Measures the inputs from now on; see `start_from`."""
        inputs, actions = len(self.network.mean), self.worlds.hand.n_actuators
        self._measured = Network(inputs, actions, 1.0).to(self.device)

    def _join_scale(self, scale: Scale) -> None:
        if self._normalizes:
            self.network.join_scale(scale)
        elif self._measured:
            self._measured.join_scale(scale)

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
            self.valid_from = self.iteration + 1

    def start_from(self, path: Path) -> None:
        """Starts from the checkpoint of another run; raises as `read_checkpoint` does."""
        self.resume(path)
        self._to_measure = self.recipe.renormalize_iterations
        if self._to_measure:
            self.begin_measuring()

    def begin_episodes(self) -> None:
        """Begins a new episode in every world, as the curriculum says now."""
        self.worlds.reset(np.arange(self.worlds.size))

    @property
    def weights(self) -> list[Tensor]:
        """What acting needs, in an order that does not change."""
        return list(self.network.state_dict().values())

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
