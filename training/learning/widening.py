"""Adds inputs to the network of an older teacher: the weights of new inputs start at zero.

So its actions in worlds with the older inputs stay the same.
"""

from typing import Any

import torch
from torch import Tensor


def widen_network(state: dict[str, Tensor], inputs: int) -> dict[str, Tensor]:
    """A teacher's weights for more inputs, the new ones last.

    Args:
        state: state of an `inhand.training.learning.teacher.Network`.
        inputs: new number of inputs.
    """
    more = inputs - len(state["mean"])
    if "return_mean" not in state:
        # A critic from before returns were normalized.
        one = state["count"].new_ones(())
        state = {**state, "return_mean": 0.0 * one, "return_deviation": one}
    if more <= 0:
        return state
    wide = dict(state)
    for name in ("mean", "variance"):
        fill = 1.0 if name == "variance" else 0.0
        wide[name] = torch.cat([state[name], state[name].new_full((more,), fill)])
    for name in ("actor.0.weight", "critic.0.weight"):
        wide[name] = _padded(state[name], more)
    return wide


def widen_optimizer(state: dict[str, Any], known: int, inputs: int) -> dict[str, Any]:
    """The optimizer state (Adam's moments) for more inputs, with zeros for the new ones.

    Args:
        state: of the optimizer.
        known: old number of inputs.
        inputs: new number of inputs.
    """
    if inputs <= known:
        return state
    wide = {
        number: {
            name: _padded(value, inputs - known)
            if isinstance(value, Tensor) and value.ndim == 2 and value.shape[1] == known
            else value
            for name, value in slot.items()
        }
        for number, slot in state["state"].items()
    }
    return {**state, "state": wide}


def _padded(weights: Tensor, more: int) -> Tensor:
    return torch.cat([weights, weights.new_zeros(len(weights), more)], dim=1)
