"""Actor and critic that see the true state of the simulation."""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from inhand.training.learning.experience import Scale
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds


class Network(nn.Module):
    """Actor and critic, each 384-256 ELU, behind one normalization of the inputs."""

    mean: Tensor
    variance: Tensor
    count: Tensor
    return_mean: Tensor
    return_deviation: Tensor

    def __init__(self, inputs: int, actions: int, deviation: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("variance", torch.ones(inputs))
        self.register_buffer("count", torch.tensor(1e-4))
        self.register_buffer("return_mean", torch.zeros(()))
        self.register_buffer("return_deviation", torch.ones(()))
        self.actor = _layers(inputs, actions)
        self.critic = _layers(inputs, 1)
        self.log_deviation = nn.Parameter(torch.full((actions,), float(np.log(deviation))))

    def join_scale(self, scale: Scale) -> None:
        """Updates the running mean and variance with those of a batch of inputs."""
        mean, variance, n = scale
        total = self.count + n
        delta = mean - self.mean
        self.variance.copy_(
            (self.variance * self.count + variance * n + delta**2 * self.count * n / total) / total
        )
        self.mean.add_(delta * n / total)
        self.count.copy_(total)

    def normalize(self, values: Tensor) -> Tensor:
        """Inputs with zero mean and unit variance, clipped to ±5, (n, inputs)."""
        return ((values - self.mean) / self._deviation()).clamp(-5.0, 5.0)

    def _deviation(self) -> Tensor:
        # An input that has been constant so far (a universe's numbers while all are nominal) is
        # not divided by its deviation.
        return torch.where(self.variance < 1e-8, 1.0, self.variance + 1e-6).sqrt()

    @torch.no_grad()
    def renormalize(self, mean: Tensor, variance: Tensor) -> None:
        """Takes another normalization of the inputs, (inputs,) each.

        The first layers' weights are rescaled so that the outputs stay the same, except where an
        input was clipped.
        """
        mean_before, deviation_before = self.mean.clone(), self._deviation()
        self.mean.copy_(mean)
        self.variance.copy_(variance)
        factor = self._deviation() / deviation_before
        shift = (self.mean - mean_before) / deviation_before
        for layers in (self.actor, self.critic):
            first = cast(nn.Linear, layers[0])
            first.bias.add_(first.weight @ shift)
            first.weight.mul_(factor)

    @torch.no_grad()
    def learn_returns(self, returns: Tensor, rate: float = 0.05) -> None:
        """Moves the scale of the critic towards that of these returns; its values stay the same.

        PopArt (van Hasselt et al., arXiv:1602.07714).
        """
        last = cast(nn.Linear, self.critic[-1])
        mean = torch.lerp(self.return_mean, returns.mean(), rate)
        deviation = torch.lerp(self.return_deviation, returns.std().clamp(min=1e-2), rate)
        last.weight.mul_(self.return_deviation / deviation)
        shift = self.return_deviation * last.bias + self.return_mean - mean
        last.bias.copy_(shift / deviation)
        self.return_mean.copy_(mean)
        self.return_deviation.copy_(deviation)

    def act(self, inputs: Tensor) -> Tensor:
        """The mean action for these inputs, (n, actions)."""
        mean: Tensor = self.actor(self.normalize(inputs))
        return mean

    def value(self, normalized: Tensor) -> Tensor:
        """The critic's value of normalized inputs, (..., inputs) to (...)."""
        return self.scaled_value(normalized) * self.return_deviation + self.return_mean

    def scaled_value(self, normalized: Tensor) -> Tensor:
        """The same in units of the returns' deviation, without their mean."""
        value: Tensor = self.critic(normalized)[..., 0].float()
        return value


def teacher_inputs(worlds: BatchOfWorlds, device: str) -> Tensor:
    """Inputs of the teacher: the observation without errors, then quantities of the simulation."""
    parts = [worlds.observe(), worlds.privileged()]
    return torch.cat([torch.as_tensor(part) for part in parts], -1).to(device)


def _layers(inputs: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(256, outputs)
    nn.init.orthogonal_(last.weight, 0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, 384), nn.ELU(), nn.Linear(384, 256), nn.ELU(), last)
