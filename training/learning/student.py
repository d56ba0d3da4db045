"""The policy that a robot runs: it imitates the teacher from what a robot can measure.

DAgger (Ross et al., arXiv:1011.0686): the student acts, and the teacher labels every state with
its own action. The gradient is propagated back through the steps of one rollout.
"""

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from msgspec.structs import asdict
from numpy.typing import NDArray
from torch import Tensor, nn

from inhand.training.learning.checkpoint import read_checkpoint, write_checkpoint
from inhand.training.learning.mixed_precision import mixed_precision
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.ppo_learner import step_worlds
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors

State = tuple[Tensor, Tensor]


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
    """

    worlds: int = 512
    horizon: int = 16
    passes: int = 2
    hidden: int = 256
    memory: bool = True
    step_size: float = 1e-3
    final_step_size: float = 3e-4
    decay_iterations: int = 400
    teacher_iterations: int = 30
    seed: int = 2
    bfloat16: bool = True


class StudentNetwork(nn.Module):
    """Observation → 256 → LSTM → 256 → action, with a skip connection around the LSTM.

    Without memory a layer of the same width replaces the LSTM, and the state stays 0.

    Args:
        mean: of the observation, (n,); `deviation`: its standard deviation, (n,).
        actions: number of actuators.
        hidden: width of every layer.
        memory: whether there is an LSTM.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, mean: Tensor, deviation: Tensor, actions: int, hidden: int, memory: bool
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())
        self.hidden, self.memory = hidden, memory
        self.first = nn.Linear(len(mean), hidden)
        self.cell: nn.Module = nn.LSTMCell(hidden, hidden) if memory else nn.Linear(hidden, hidden)
        self.second = nn.Linear(2 * hidden, hidden)
        self.last = nn.Linear(hidden, actions)

    def start(self, n: int) -> State:
        """The zero state of n policies."""
        zero = torch.zeros(n, self.hidden, device=self.mean.device)
        return zero, zero

    def forward(self, observation: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of n policies: observations (n, inputs) to actions (n, actions)."""
        x = ((observation - self.mean) / self.deviation).clamp(-5.0, 5.0)
        x = nn.functional.elu(self.first(x))
        if self.memory:
            state = self.cell(x, state)
            remembered = state[0]
        else:
            remembered = nn.functional.elu(self.cell(x))
        x = nn.functional.elu(self.second(torch.cat([x, remembered], -1)))
        # In mixed precision, what is carried over many steps stays in single precision.
        return self.last(x).float(), (state[0].float(), state[1].float())


class StudentPolicy:
    """A student that acts in a batch of worlds: its sensors and its recurrent state.

    Args:
        sensors: of the worlds that are acted in.
        network: the student.
        worlds: their number.
        device: of the network.

    Attributes:
        sensors: as given.
        state: recurrent state, (worlds, hidden) each.
    """

    def __init__(
        self, sensors: Sensors, network: StudentNetwork, worlds: int, device: str = "cpu"
    ) -> None:
        self.state = network.start(worlds)
        self.sensors, self._network, self._device = sensors, network, device

    def observe(self) -> Tensor:
        """Measures every world, once a policy step, (worlds, inputs)."""
        return torch.as_tensor(self.sensors.observe(), device=self._device)

    def act(self, observation: Tensor) -> Tensor:
        """Mean actions, (worlds, actions), for the observations, (worlds, inputs)."""
        action: Tensor
        action, self.state = self._network(observation, self.state)
        return action

    def restart(self, ended: NDArray[np.int64]) -> None:
        """Begins new episodes in worlds that have just been reset: new errors, zero state."""
        self.sensors.reset(ended)
        hidden, cell = (part.clone() for part in self.state)
        hidden[ended], cell[ended] = 0.0, 0.0
        self.state = hidden, cell


class Student:
    """A training run: worlds, sensors, teacher, student and their counters."""

    def __init__(
        self,
        worlds: BatchEnvironment,
        teacher: Network,
        recipe: StudentRecipe,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.worlds, self.teacher, self.recipe, self.device = worlds, teacher, recipe, device
        sensors = Sensors(worlds, recipe.seed)
        size = sensors.observe().shape[1]
        scale = torch.where(teacher.variance < 1e-8, 1.0, teacher.variance).sqrt()
        self.network = StudentNetwork(
            teacher.mean[:size],
            scale[:size],
            worlds.hand.n_actuators,
            recipe.hidden,
            recipe.memory,
        ).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=recipe.step_size)
        self.policy = StudentPolicy(sensors, self.network, worlds.size, device)
        self.iteration = self.steps = 0
        self.seconds = 0.0
        self.ended: list[int] = []
        self._rng = np.random.default_rng(recipe.seed)

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns the row for the log."""
        began = time.monotonic()
        recipe = self.recipe
        share = min(1.0, self.iteration / recipe.decay_iterations)
        step_size = recipe.step_size * (recipe.final_step_size / recipe.step_size) ** share
        self.optimizer.param_groups[0]["lr"] = step_size
        start = self.policy.state
        observations, wanted, keep = self._rollout()
        loss = 0.0
        for _ in range(recipe.passes):
            loss = self._learn(start, observations, wanted, keep)
        self.iteration += 1
        self.steps += recipe.horizon * self.worlds.size
        self.seconds += time.monotonic() - began
        del self.ended[:-1000]
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "minutes": self.seconds / 60,
            "goals": float(np.mean(self.ended)) if self.ended else 0.0,
            "loss": loss,
        }

    @torch.no_grad()
    def _rollout(self) -> tuple[Tensor, Tensor, Tensor]:
        recipe, worlds = self.recipe, self.worlds
        teachers = max(0.0, 1.0 - self.iteration / recipe.teacher_iterations)
        led = torch.as_tensor(self._rng.random((worlds.size, 1)) < teachers, device=self.device)
        observations, wanted, keep = [], [], []
        for _ in range(recipe.horizon):
            seen = self.policy.observe()
            with mixed_precision(self.device, recipe.bfloat16):
                target = self.teacher.act(teacher_inputs(worlds, self.device)).float()
                mixed = torch.where(led, target, self.policy.act(seen))
            step = step_worlds(worlds, mixed, self.device)
            self.ended.extend(step.goals)
            self.policy.restart(step.ended)
            observations.append(seen)
            wanted.append(target.clamp(-1.0, 1.0))
            keep.append(step.alive[:, None])
        return torch.stack(observations), torch.stack(wanted), torch.stack(keep)

    def _learn(self, state: State, observations: Tensor, wanted: Tensor, keep: Tensor) -> float:
        loss = torch.zeros((), device=self.device)
        with mixed_precision(self.device, self.recipe.bfloat16):
            for observation, target, alive in zip(observations, wanted, keep, strict=True):
                action, (hidden, cell) = self.network(observation, state)
                state = (hidden * alive, cell * alive)
                loss = loss + (action - target).square().mean()
        loss = loss / len(observations)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"student iteration {self.iteration}: the imitation loss is not finite; "
                "the last checkpoint is intact, resume from it with a smaller step size"
            )
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

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


def load_student(
    worlds: BatchEnvironment, path: Path, another_object: bool = False
) -> StudentNetwork:
    """The network of a student's checkpoint; raises as `read_checkpoint` does."""
    state = read_checkpoint(path, "student", worlds, another_object=another_object)
    weights, recipe = state["network"], state["recipe"]
    network = StudentNetwork(
        weights["mean"],
        weights["deviation"],
        worlds.hand.n_actuators,
        recipe["hidden"],
        recipe["memory"],
    )
    network.load_state_dict(weights)
    return network
