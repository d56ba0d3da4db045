"""Random numbers on a device."""

from typing import Protocol

import torch
from torch import Tensor


class Draws(Protocol):
    """A source of random numbers; a test hands the same ones to numpy."""

    def normal(self, *shape: int) -> Tensor:
        """Numbers of the normal distribution with zero mean and unit deviation."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1)."""
        ...


class TensorDraws:
    """`Draws` by a generator of torch.

    Args:
        like: a tensor of the type and on the device that the numbers shall have.
        seed: makes the numbers repeatable.
    """

    def __init__(self, like: Tensor, seed: int) -> None:
        self._rng = torch.Generator(device=like.device).manual_seed(seed)
        self._like = like

    def normal(self, *shape: int) -> Tensor:
        """Numbers of the normal distribution with zero mean and unit deviation."""
        like = self._like
        return torch.randn(shape, generator=self._rng, dtype=like.dtype, device=like.device)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1)."""
        like = self._like
        return torch.rand(shape, generator=self._rng, dtype=like.dtype, device=like.device)
