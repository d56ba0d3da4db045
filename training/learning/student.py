"""The policy that a robot runs: it imitates the teacher from what a robot can measure.

DAgger (Ross et al., arXiv:1011.0686): the student acts, and the teacher labels every state with
its own action. The gradient is propagated back through the steps of one rollout.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import torch
from msgspec.structs import asdict
from torch import Tensor, nn

from inhand.controller.policy.observation import observation_size
from inhand.training.learning.checkpoint import read_checkpoint, write_checkpoint
from inhand.training.learning.experience import Experience, joined_labels, side_by_side
from inhand.training.learning.mixed_precision import mixed_precision
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.ppo_learner import step_worlds
from inhand.training.learning.student_network import (
    Moments,
    State,
    StudentNetwork,
    StudentPolicy,
    joined_states,
)
from inhand.training.learning.world_head import world_labels, world_loss
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.bounded_numbers import (
    Count,
    CountOrZero,
    Positive,
    PositiveOrZero,
    Seed,
)
from inhand.training.sensors.tensor_sensors import sensors_of


class StudentRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a run; written into its checkpoints.

    Attributes:
        worlds: worlds that run at once.
        horizon: policy steps in a rollout.
        passes: optimizer steps with each rollout.
        hidden: width of the network's layers.
        memory: whether the network has an LSTM.
        step_size: first step size.
        final_step_size: step size after `decay_iterations`.
        decay_iterations: iterations in which the step size falls.
        teacher_iterations: iterations in which the share of worlds that the teacher acts in falls
            from 1 to 0.
        seed: of everything random.
        bfloat16: whether networks compute in bfloat16 where that is fast.
        observation: version of the layout of its observations.
        world_loss: weight of the loss of the estimated world; 0: the network has no such output.
        normalize_iterations: first iterations, in which the student measures its inputs while the
            teacher acts; 0: the teacher's normalization is used.
    """

    worlds: Count = 512
    horizon: Count = 16
    passes: Count = 2
    hidden: Count = 256
    memory: bool = True
    step_size: Positive = 1e-3
    final_step_size: Positive = 3e-4
    decay_iterations: Count = 400
    teacher_iterations: Count = 30
    seed: Seed = 2
    bfloat16: bool = True
    observation: Literal[1, 2] = 1
    world_loss: PositiveOrZero = 0.0
    normalize_iterations: CountOrZero = 0


class Imitated(NamedTuple):
    """A rollout to imitate; arrays are (steps, worlds, ...).

    Attributes:
        start: the student's state before the first step, (worlds, hidden) each.
        observations: of the student.
        wanted: actions of the teacher.
        keep: 0 where a step ended its episode, else 1.
        labels: of the worlds; None if they are not estimated.
    """

    start: State
    observations: Tensor
    wanted: Tensor
    keep: Tensor
    labels: Tensor | None

    @staticmethod
    def joined(parts: Sequence["Imitated"]) -> "Imitated":
        """Rollouts of several batches of worlds as one."""
        return Imitated(
            joined_states([part.start for part in parts]),
            side_by_side([part.observations for part in parts]),
            side_by_side([part.wanted for part in parts]),
            side_by_side([part.keep for part in parts]),
            joined_labels([part.labels for part in parts]),
        )


class Student:
    """A training run: worlds, sensors, teacher, student and their counters."""

    def __init__(
        self,
        worlds: BatchOfWorlds,
        teacher: Network,
        recipe: StudentRecipe,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.worlds, self.teacher, self.recipe, self.device = worlds, teacher, recipe, device
        sensors = sensors_of(worlds, recipe.seed, recipe.observation)
        # What the teacher sees of the first version is normalized as for the teacher.
        size, known = sensors.observe().shape[1], observation_size(worlds.hand)
        mean, scale = torch.zeros(size), torch.ones(size)
        mean[:known] = teacher.mean[:known]
        scale[:known] = torch.where(teacher.variance < 1e-8, 1.0, teacher.variance).sqrt()[:known]
        self._measured = Moments(size)
        self.network = StudentNetwork(
            mean,
            scale,
            worlds.hand.n_actuators,
            recipe.hidden,
            recipe.memory,
            recipe.world_loss > 0,
        ).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=recipe.step_size)
        self.policy = StudentPolicy(sensors, self.network, worlds.size, device)
        self.iteration = self.steps = 0
        self.seconds = 0.0
        self.ended: list[int] = []
        self._ended: list[tuple[int, bool]] = []
        self._rng = np.random.default_rng(recipe.seed)

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns the row for the log."""
        began = time.monotonic()
        return self.learn(self.collect(), began)

    def collect(self) -> Experience[Imitated]:
        """Acts for a rollout."""
        self._ended = []
        rollout = self._rollout()
        return Experience(rollout, self._ended)

    def learn(self, experience: Experience[Imitated], began: float) -> dict[str, float]:
        """The updates from a rollout; returns the row for the log.

        Args:
            experience: the rollout.
            began: when it began [s], by `time.monotonic`.
        """
        recipe, seen = self.recipe, experience.samples
        self.ended.extend(experience.goals)
        self.steps += seen.keep.numel()
        if self.iteration < recipe.normalize_iterations:
            return self._measure(seen, began)
        share = min(1.0, self.iteration / recipe.decay_iterations)
        step_size = recipe.step_size * (recipe.final_step_size / recipe.step_size) ** share
        self.optimizer.param_groups[0]["lr"] = step_size
        loss, world = 0.0, 0.0
        for _ in range(recipe.passes):
            loss, world = self._learn(seen.start, seen)
        return self._row(began, loss, world)

    def _measure(self, seen: Imitated, began: float) -> dict[str, float]:
        """Learns the normalization of the inputs from a rollout, and nothing else."""
        for row in seen.observations:
            self._measured.add(row.cpu())
        self.network.renormalize(
            self._measured.mean.to(self.device), self._measured.deviation.to(self.device)
        )
        return self._row(began, 0.0, 0.0)

    def _row(self, began: float, loss: float, world: float) -> dict[str, float]:
        self.iteration += 1
        self.seconds += time.monotonic() - began
        del self.ended[:-1000]
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "minutes": self.seconds / 60,
            "goals": float(np.mean(self.ended)) if self.ended else 0.0,
            "loss": loss,
            "world_loss": world,
        }

    @torch.no_grad()
    def _rollout(self) -> "Imitated":
        recipe, worlds = self.recipe, self.worlds
        done = max(0, self.iteration - recipe.normalize_iterations)
        teachers = max(0.0, 1.0 - done / recipe.teacher_iterations)
        led = torch.as_tensor(self._rng.random((worlds.size, 1)) < teachers, device=self.device)
        start = self.policy.state
        observations, wanted, keep, labels = [], [], [], []
        for _ in range(recipe.horizon):
            seen = self.policy.observe()
            if recipe.world_loss:
                labels.append(world_labels(worlds, self.policy.sensors.believed))
            # Worlds on a device compute in torch too, but never in half precision.
            true = teacher_inputs(worlds, self.device)
            with mixed_precision(self.device, recipe.bfloat16):
                target = self.teacher.act(true).float()
                mixed = torch.where(led, target, self.policy.act(seen))
            step = step_worlds(worlds, mixed, self.device)
            self._ended.extend(zip(step.goals, step.dropped, strict=True))
            self.policy.restart(step.ended)
            observations.append(seen)
            wanted.append(target.clamp(-1.0, 1.0))
            keep.append(step.alive[:, None])
        return Imitated(
            start,
            torch.stack(observations),
            torch.stack(wanted),
            torch.stack(keep),
            torch.stack(labels).to(self.device) if labels else None,
        )

    def _learn(self, state: State, seen: "Imitated") -> tuple[float, float]:
        """One optimizer step; returns the losses of imitation and of the estimated world."""
        loss = torch.zeros((), device=self.device)
        remembered = []
        with mixed_precision(self.device, self.recipe.bfloat16):
            for observation, target, alive in zip(
                seen.observations, seen.wanted, seen.keep, strict=True
            ):
                action, (hidden, cell) = self.network(observation, state)
                remembered.append(hidden)
                state = (hidden * alive, cell * alive)
                loss = loss + (action - target).square().mean()
        loss = imitation = loss / len(seen.observations)
        world = torch.zeros((), device=self.device)
        if self.network.world is not None and seen.labels is not None:
            world = world_loss(self.network.world(torch.stack(remembered)), seen.labels)
            loss = imitation + self.recipe.world_loss * world
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"student iteration {self.iteration}: the imitation loss is not finite; "
                "the last checkpoint is intact, resume from it with a smaller step size"
            )
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return float(imitation.detach()), float(world.detach())

    def begin_episodes(self) -> None:
        """Begins a new episode in every world, as the curriculum says now."""
        every = np.arange(self.worlds.size)
        self.worlds.reset(every)
        self.policy.restart(every)

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
                "kind": "student",
                "recipe": asdict(self.recipe),
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "counters": [self.iteration, self.steps, self.seconds],
                "universe_scale": self.worlds.universe_scale,
            },
        )

    def resume(self, path: Path) -> None:
        """Continues from a checkpoint; raises as `read_checkpoint` does."""
        state: dict[str, Any] = read_checkpoint(path, "student", self.worlds, self.device)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.steps, self.seconds = state["counters"]
