"""The network of a student, and how it acts in a batch of worlds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inhand.controller.policy.observation import observation_size, version_with_size
from inhand.hardware.model.hand import Hand
from inhand.training.learning.checkpoint import read_checkpoint
from inhand.training.learning.experience import side_by_side
from inhand.training.learning.world_head import WORLD
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.sensors.tensor_sensors import AnySensors

State = tuple[Tensor, Tensor]


def joined_states(states: Sequence[State]) -> State:
    """The states of several batches of worlds as one."""
    return side_by_side([h for h, _ in states], 0), side_by_side([c for _, c in states], 0)


class StudentNetwork(nn.Module):
    """Observation → 256 → LSTM → 256 → action, with a skip connection around the LSTM.

    Without memory a layer of the same width replaces the LSTM, and the state stays 0.

    Args:
        mean: of the observation, (n,); `deviation`: its standard deviation, (n,).
        actions: number of actuators.
        hidden: width of every layer.
        memory: whether there is an LSTM.
        world: whether the memory also estimates its world (`world_head`).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        mean: Tensor,
        deviation: Tensor,
        actions: int,
        hidden: int,
        memory: bool,
        world: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())
        self.hidden, self.memory = hidden, memory
        self.first = nn.Linear(len(mean), hidden)
        self.cell: nn.Module = nn.LSTMCell(hidden, hidden) if memory else nn.Linear(hidden, hidden)
        self.second = nn.Linear(2 * hidden, hidden)
        self.last = nn.Linear(hidden, actions)
        self.world = nn.Linear(hidden, 2 * len(WORLD)) if world else None

    def start(self, n: int) -> State:
        """The zero state of n policies."""
        zero = torch.zeros(n, self.hidden, device=self.mean.device)
        return zero, zero

    def normalize(self, observation: Tensor) -> Tensor:
        """Observations with zero mean and unit deviation, clipped to ±5, (n, inputs)."""
        return ((observation - self.mean) / self.deviation).clamp(-5.0, 5.0)

    def forward(self, observation: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of n policies: observations (n, inputs) to actions (n, actions)."""
        x = nn.functional.elu(self.first(self.normalize(observation)))
        if self.memory:
            state = self.cell(x, state)
            remembered = state[0]
        else:
            remembered = nn.functional.elu(self.cell(x))
        x = nn.functional.elu(self.second(torch.cat([x, remembered], -1)))
        # In mixed precision, what is carried over many steps stays in single precision.
        return self.last(x).float(), (state[0].float(), state[1].float())

    @torch.no_grad()
    def renormalize(self, mean: Tensor, deviation: Tensor) -> None:
        """Takes another normalization, (inputs,) each; outputs stay the same but for clipping."""
        shift = (mean - self.mean) / self.deviation
        self.first.bias.add_(self.first.weight @ shift)
        self.first.weight.mul_(deviation / self.deviation)
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)


class Moments:
    """Running mean and variance of inputs, of n numbers."""

    def __init__(self, n: int) -> None:
        self._count, self._sum, self._squares = 0, torch.zeros(n), torch.zeros(n)

    def add(self, values: Tensor) -> None:
        """Takes a batch, (k, n)."""
        self._count += len(values)
        self._sum += values.sum(0)
        self._squares += values.square().sum(0)

    @property
    def mean(self) -> Tensor:
        return self._sum / max(1, self._count)

    @property
    def deviation(self) -> Tensor:
        """Standard deviation; 1 where an input has been constant."""
        variance = self._squares / max(1, self._count) - self.mean.square()
        return torch.where(variance < 1e-8, 1.0, variance).sqrt()


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
        self, sensors: AnySensors, network: StudentNetwork, worlds: int, device: str = "cpu"
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


def load_student(worlds: BatchOfWorlds, path: Path, another_object: bool = False) -> StudentNetwork:
    """The network of a student's checkpoint; raises as `read_checkpoint` does."""
    state = read_checkpoint(path, "student", worlds, another_object=another_object)
    weights, recipe = state["network"], state["recipe"]
    network = StudentNetwork(
        weights["mean"],
        weights["deviation"],
        worlds.hand.n_actuators,
        recipe["hidden"],
        recipe["memory"],
        "world.weight" in weights,
    )
    network.load_state_dict(weights)
    return network


ADDED_MEAN, ADDED_DEVIATION = (0.0, 0.0, 0.0, 0.25), (2.0, 2.0, 2.0, 0.1)
"""Scale of what the second version of the observation adds: angular velocity and tolerance."""


def version_of_student(hand: Hand, network: StudentNetwork) -> int:
    """Version of the layout of its observations.

    Raises:
        ValueError: no version has this number of inputs.
    """
    version = version_with_size(hand, len(network.mean))
    if version is None:
        raise ValueError(f"no observation of hand {hand.name} has {len(network.mean)} numbers")
    return version


def widened_student(
    network: StudentNetwork, hand: Hand, version: int, world: bool
) -> StudentNetwork:
    """The student with a newer observation, and with an output that estimates its world.

    Weights of new inputs are zero, so that it acts as before.

    Args:
        network: the student.
        hand: of its observation.
        version: of the layout; not older than its own.
        world: whether it is to estimate its world, if it does not already.
    """
    mean, deviation = network.mean, network.deviation
    more = observation_size(hand, version) - len(mean)
    if more > 0:
        mean = torch.cat([mean, mean.new_tensor(ADDED_MEAN[-more:])])
        deviation = torch.cat([deviation, deviation.new_tensor(ADDED_DEVIATION[-more:])])
    wide = StudentNetwork(
        mean,
        deviation,
        network.last.out_features,
        network.hidden,
        network.memory,
        world or network.world is not None,
    )
    weights = wide.state_dict() | network.state_dict() | {"mean": mean, "deviation": deviation}
    first = network.first.weight
    weights["first.weight"] = torch.cat([first, first.new_zeros(len(first), max(0, more))], dim=1)
    wide.load_state_dict(weights)
    return wide
