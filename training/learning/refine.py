"""PPO for the student, after imitation.

A student imitates a teacher that sees more than it does, which limits imitation. Here the student
learns from its own goals and drops, with its own noisy sensors. The critic starts with the
teacher's weights. It sees the true state, and what decides how the student will act: its
observation, its memory, and the errors of its sensors. The gradient is propagated back through one
rollout, from the recurrent state at its start (arXiv:1808.00177, appendix D.1, with shorter
chunks).
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from msgspec import to_builtins
from torch import Tensor, nn

from inhand.training.learning.automatic_curriculum import (
    curriculum_row,
    curriculum_state,
    load_curriculum,
)
from inhand.training.learning.checkpoint import read_checkpoint, write_checkpoint
from inhand.training.learning.experience import Experience, joined_labels, side_by_side
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.ppo import (
    PpoRecipe,
)
from inhand.training.learning.ppo_learner import PpoLearner, Rollout, Stepped
from inhand.training.learning.student_network import (
    State,
    StudentNetwork,
    StudentPolicy,
    joined_states,
    version_of_student,
)
from inhand.training.learning.widening import widen_network, widen_optimizer
from inhand.training.learning.world_head import world_labels, world_loss
from inhand.training.mujoco_worlds.automatic_ranges import RangesRecipe
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.bounded_numbers import (
    CountOrZero,
    Positive,
    PositiveOrZero,
    Seed,
    Share,
)
from inhand.training.sensors.tensor_sensors import sensors_of


class RefineRecipe(PpoRecipe, frozen=True, forbid_unknown_fields=True):
    """Settings of a run; written into its checkpoints.

    Attributes:
        seconds_per_goal: time limit of a goal [s]. It is longer than the teacher's, so that the
            policy learns to free a jammed object.
        critic_iterations: first iterations, in which the critic alone learns.
        world_loss: weight of the loss of the estimated world, for a student that estimates it.
        observation: version of the layout of the observations; a student of an older one is
            widened, and estimates its world from then on.
        ranges: automatic ranges in place of the recipe's scale.
    """

    discount: Share = 0.995
    divergence: Positive = 0.02
    step_size: Positive = 1e-4
    critic_step_size: Positive = 5e-4
    deviation: Positive = 0.2
    seed: Seed = 3
    seconds_per_goal: Positive = 20.0
    critic_iterations: CountOrZero = 20
    world_loss: PositiveOrZero = 0.05
    observation: Literal[1, 2] = 1
    ranges: RangesRecipe | None = None


class Sequences(msgspec.Struct):
    """A rollout with what the student needs to compute its means again.

    Attributes:
        start: the student's state before the first step.
        observations: (steps, worlds, inputs).
        labels: of the worlds, (steps, worlds, n); None if they are not estimated.
        rollout: of PPO.
    """

    start: State
    observations: Tensor
    labels: Tensor | None
    rollout: Rollout

    @staticmethod
    def joined(parts: Sequence["Sequences"]) -> "Sequences":
        """Rollouts of several batches of worlds as one."""
        return Sequences(
            joined_states([part.start for part in parts]),
            side_by_side([part.observations for part in parts]),
            joined_labels([part.labels for part in parts]),
            Rollout.joined([part.rollout for part in parts]),
        )


class Refinement:
    """A training run: worlds, sensors, student, critic, optimizer and their counters.

    Args:
        worlds: what is acted in.
        student: the network to refine.
        teacher: its critic is the first critic of this run.
        recipe: settings.
        device: of the learner.
    """

    def __init__(
        self,
        worlds: BatchOfWorlds,
        student: StudentNetwork,
        teacher: Network,
        recipe: RefineRecipe,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.worlds, self.recipe, self.device = worlds, recipe, device
        self.network = student.to(device)
        version = version_of_student(worlds.hand, student)
        sensors = sensors_of(worlds, recipe.seed, version)
        self.policy = StudentPolicy(sensors, self.network, worlds.size, device)
        self._observation: Tensor | None = None
        self.teacher = self._wide(teacher)
        level = torch.full(
            (worlds.hand.n_actuators,), float(np.log(recipe.deviation)), device=device
        )
        self.log_deviation = nn.Parameter(level)
        student_parameters = list(self.network.parameters())
        self.ppo = PpoLearner(
            worlds, recipe, self.teacher, student_parameters, self.log_deviation, device
        )
        self.iteration = self.steps = 0
        # Until then only the critic learns.
        self._policy_from = recipe.critic_iterations
        self.seconds = 0.0
        self.ended: list[tuple[int, bool]] = []
        self._ended: list[tuple[int, bool]] = []
        self._world_loss = torch.zeros((), device=device)

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns the row for the log."""
        began = time.monotonic()
        return self.learn(self.collect(), began)

    def collect(self) -> Experience[Sequences]:
        """Acts for a rollout."""
        self._ended = []
        sequences = self._rollout()
        return Experience(sequences, self._ended)

    def learn(self, seen: Experience[Sequences], began: float) -> dict[str, float]:
        """The updates from a rollout; returns the row for the log.

        Args:
            seen: the rollout.
            began: when it began [s], by `time.monotonic`.
        """
        sequences = seen.samples
        self.ended.extend(seen.ended)
        moved, error = self.ppo.update(
            sequences.rollout,
            lambda ids: self._means(sequences, ids),
            self.iteration,
            policy_learns=self.iteration >= self._policy_from,
            auxiliary=lambda: self.recipe.world_loss * self._world_loss,
        )
        self.iteration += 1
        self.steps += sequences.rollout.alive.numel()
        self.seconds += time.monotonic() - began
        del self.ended[:-2000]
        goals, drops = np.array(self.ended).sum(0) if self.ended else (0, 0)
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "minutes": self.seconds / 60,
            "goals": float(goals / max(1, len(self.ended))),
            "goals_per_drop": float(goals / max(1, drops)),
            **curriculum_row(self.worlds),
            "divergence": moved,
            "value_error": error,
            "explained": sequences.rollout.explained,
            "world_loss": float(self._world_loss.detach()),
            "step_size_1e6": 1e6 * self.ppo.optimizer.param_groups[0]["lr"],
            "deviation": self.log_deviation.exp().mean().item(),
        }

    def _wide(self, critic: Network) -> Network:
        """The critic with inputs for what `_look` adds; their weights begin at zero."""
        inputs = self._look().shape[1]
        wide = Network(inputs, self.worlds.hand.n_actuators, 1.0).to(self.device)
        wide.load_state_dict(widen_network(critic.state_dict(), inputs))
        return wide

    def _observe(self) -> Tensor:
        """The student's observation; the worlds are measured once a policy step."""
        if self._observation is None:
            self._observation = self.policy.observe()
        return self._observation

    @torch.no_grad()
    def _look(self) -> Tensor:
        """The critic's inputs: the true state, then what decides how the student will act."""
        seen = self.network.normalize(self._observe())
        hidden = torch.as_tensor(self.policy.sensors.privileged(), device=self.device)
        true = teacher_inputs(self.worlds, self.device)
        return torch.cat([true, seen, hidden, *self.policy.state], -1)

    def _rollout(self) -> Sequences:
        start = self.policy.state
        observations: list[Tensor] = []
        labels: list[Tensor] = []

        def act(inputs: Tensor) -> Tensor:
            seen = self._observe()
            self._observation = None
            observations.append(seen)
            if self.network.world is not None:
                labels.append(world_labels(self.worlds, self.policy.sensors.believed))
            return self.policy.act(seen)

        def count(step: Stepped) -> None:
            self.policy.restart(step.ended)
            self._ended.extend(zip(step.goals, step.dropped, strict=True))

        rollout = self.ppo.rollout(self._look, act, count)
        told = torch.stack(labels).to(self.device) if labels else None
        return Sequences(start, torch.stack(observations), told, rollout)

    def _means(self, sequences: Sequences, ids: Tensor) -> Tensor:
        """The student's present mean actions in these worlds, (steps, len(ids), actions)."""
        state = (sequences.start[0][ids], sequences.start[1][ids])
        keep = sequences.rollout.alive[:, ids, None]
        means, remembered = [], []
        for seen, kept in zip(sequences.observations[:, ids], keep, strict=True):
            mean, (hidden, cell) = self.network(seen, state)
            state = (hidden * kept, cell * kept)
            means.append(mean)
            remembered.append(hidden)
        if self.network.world is not None and sequences.labels is not None:
            estimate = self.network.world(torch.stack(remembered))
            self._world_loss = world_loss(estimate, sequences.labels[:, ids])
        return torch.stack(means)

    def begin_episodes(self) -> None:
        """Begins a new episode in every world, as the curriculum says now."""
        every = np.arange(self.worlds.size)
        self.worlds.reset(every)
        self.policy.restart(every)
        self._observation = None

    @property
    def weights(self) -> list[Tensor]:
        """What acting needs, in an order that does not change."""
        networks = [*self.network.state_dict().values(), *self.teacher.state_dict().values()]
        return [*networks, self.log_deviation.detach()]

    def save(self, path: Path) -> None:
        """Writes a checkpoint atomically."""
        write_checkpoint(
            path,
            self.worlds,
            {
                "kind": "student",
                "recipe": {
                    **to_builtins(self.recipe),
                    "hidden": self.network.hidden,
                    "memory": self.network.memory,
                },
                "network": self.network.state_dict(),
                "critic": self.teacher.state_dict(),
                "log_deviation": self.log_deviation.detach(),
                "optimizer": self.ppo.optimizer.state_dict(),
                "counters": [self.iteration, self.steps, self.seconds],
                "universe_scale": self.worlds.universe_scale,
                **curriculum_state(self.worlds),
            },
        )

    def resume(self, path: Path) -> None:
        """Continues from a checkpoint; raises as `read_checkpoint` does.

        A compact one has no critic and no optimizer: the critic begins as at the start of a run.
        """
        state: dict[str, Any] = read_checkpoint(path, "student", self.worlds, self.device)
        self.network.load_state_dict(state["network"])
        self.log_deviation.data.copy_(state["log_deviation"])
        self.iteration, self.steps, self.seconds = state["counters"]
        if "critic" in state:
            known, inputs = len(state["critic"]["mean"]), len(self.teacher.mean)
            self.teacher.load_state_dict(widen_network(state["critic"], inputs))
            self.ppo.optimizer.load_state_dict(widen_optimizer(state["optimizer"], known, inputs))
        else:
            self._policy_from = self.iteration + self.recipe.critic_iterations
        load_curriculum(self.worlds, state)
