"""Actor and critic that see the true state of the simulation."""

import numpy as np
import torch
from torch import Tensor, nn

from inhand.training.mujoco_worlds.environment import BatchEnvironment


class Network(nn.Module):
    """Actor and critic, each 384-256 ELU, behind one normalization of the inputs."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, inputs: int, actions: int, deviation: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("variance", torch.ones(inputs))
        self.register_buffer("count", torch.tensor(1e-4))
        self.actor = _layers(inputs, actions)
        self.critic = _layers(inputs, 1)
        self.log_deviation = nn.Parameter(torch.full((actions,), float(np.log(deviation))))

    def learn_scale(self, values: Tensor) -> None:
        """Updates the running mean and variance with a batch of inputs, (n, inputs)."""
        mean, variance, n = values.mean(0), values.var(0, unbiased=False), len(values)
        total = self.count + n
        delta = mean - self.mean
        self.variance.copy_(
            (self.variance * self.count + variance * n + delta**2 * self.count * n / total) / total
        )
        self.mean.add_(delta * n / total)
        self.count.copy_(total)

    def normalize(self, values: Tensor) -> Tensor:
        """Inputs with zero mean and unit variance, clipped to ±5, (n, inputs)."""
        # An input that has been constant so far (a universe's numbers while all are nominal) is
        # not divided by its deviation.
        variance = torch.where(self.variance < 1e-8, 1.0, self.variance + 1e-6)
        return ((values - self.mean) / torch.sqrt(variance)).clamp(-5.0, 5.0)

    def act(self, inputs: Tensor) -> Tensor:
        """The mean action for these inputs, (n, actions)."""
        mean: Tensor = self.actor(self.normalize(inputs))
        return mean

    def value(self, normalized: Tensor) -> Tensor:
        """The critic's value of normalized inputs, (..., inputs) to (...)."""
        value: Tensor = self.critic(normalized)[..., 0]
        return value


def teacher_inputs(worlds: BatchEnvironment, device: str) -> Tensor:
    """What the teacher sees: the observation without errors, then what only simulation knows."""
    parts = [worlds.observe(), worlds.privileged()]
    return torch.as_tensor(np.concatenate(parts, -1, dtype=np.float32), device=device)


def _layers(inputs: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(256, outputs)
    nn.init.orthogonal_(last.weight, 0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, 384), nn.ELU(), nn.Linear(384, 256), nn.ELU(), last)
