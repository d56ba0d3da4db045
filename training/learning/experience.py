"""Experience: what a rollout gives to the learner, in one process or from many."""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
import torch
from torch import Tensor

Samples = TypeVar("Samples")


class Scale(NamedTuple):
    """Mean and variance of some inputs, (inputs,) each, and their number."""

    mean: Tensor
    variance: Tensor
    number: int


def scale_of(values: Tensor) -> Scale:
    """The scale of a batch of inputs, (n, inputs)."""
    return Scale(values.mean(0), values.var(0, unbiased=False), len(values))


class Experience(msgspec.Struct, Generic[Samples]):
    """Some policy steps in some worlds, and the episodes that ended in them.

    Attributes:
        samples: tensors to learn from.
        ended: goals reached in each ended episode, and whether it ended with a drop.
        reached: goals reached in all worlds.
        scales: of raw inputs, while their normalization is learned.
    """

    samples: Samples
    ended: list[tuple[int, bool]]
    reached: int = 0
    scales: list[Scale] = []

    @property
    def goals(self) -> list[int]:
        """Goals reached in each ended episode."""
        return [goals for goals, _ in self.ended]

    @property
    def drops(self) -> int:
        """Number of episodes that ended with a drop."""
        return sum(dropped for _, dropped in self.ended)


def joined(parts: Sequence[Experience[Any]]) -> Experience[Any]:
    """One experience of several, with their worlds side by side."""
    kind = type(parts[0].samples)
    return Experience(
        samples=kind.joined([part.samples for part in parts]),
        ended=[episode for part in parts for episode in part.ended],
        reached=sum(part.reached for part in parts),
        scales=[scale for part in parts for scale in part.scales],
    )


def side_by_side(tensors: Sequence[Tensor], axis: int = 1) -> Tensor:
    """Tensors of several batches as one; worlds are along `axis`."""
    return torch.cat(list(tensors), axis)


def joined_labels(labels: Sequence[Tensor | None]) -> Tensor | None:
    """Labels of several batches of worlds as one; None if there are none."""
    found = [part for part in labels if part is not None]
    return side_by_side(found) if found else None


def as_arrays(value: Any) -> Any:
    """The same records with arrays in place of tensors, to be sent to another process."""
    return _converted(value, lambda v: v.cpu().numpy() if isinstance(v, Tensor) else v)


def as_tensors(value: Any, device: str) -> Any:
    """The records of `as_arrays` with tensors on a device."""

    def tensor(array: Any) -> Any:
        # A received array cannot be written to, which tensors do not support.
        return torch.tensor(array, device=device) if isinstance(array, np.ndarray) else array

    return _converted(value, tensor)


def _converted(value: Any, leaf: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return type(value)(
            **{name: _converted(getattr(value, name), leaf) for name in value.__struct_fields__}
        )
    if isinstance(value, tuple):
        items = [_converted(item, leaf) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [_converted(item, leaf) for item in value]
    return leaf(value)


def as_vector(tensors: Sequence[Tensor]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """All numbers of some tensors as one vector."""
    return torch.cat([tensor.detach().flatten().cpu() for tensor in tensors]).numpy()


@torch.no_grad()
def load_vector(tensors: Sequence[Tensor], vector: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Writes the numbers of `as_vector` into tensors of the same shapes.

    Raises:
        ValueError: their number differs.
    """
    sizes = [tensor.numel() for tensor in tensors]
    if sum(sizes) != len(vector):
        raise ValueError(f"{len(vector)} numbers do not fit tensors of {sum(sizes)}")
    for tensor, part in zip(tensors, torch.split(torch.tensor(vector), sizes), strict=True):
        tensor.copy_(part.view(tensor.shape))
