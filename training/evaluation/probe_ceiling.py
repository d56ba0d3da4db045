"""A ceiling for a probe: a recurrent network that is trained to read the world off observations.

What it finds can be found in what the robot measures. What it does not find is hardly there, so no
memory can be blamed for lacking it.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inhand.hardware.records import Array

UNITS = 128
BATCH = 128
STEP_SIZE = 2e-3
DROPOUT = 0.2
"""Of the state before the last layer: the trials are few for a network."""


class Ceiling(nn.Module):
    """A GRU, and a linear layer that gives every property from its mean state.

    Args:
        inputs: numbers of an observation.
        outputs: number of properties.
        averaged: steps at the end over which the state is averaged.
    """

    def __init__(self, inputs: int, outputs: int, averaged: int) -> None:
        super().__init__()
        self._averaged = averaged
        self._gru = nn.GRU(inputs, UNITS, batch_first=True)
        self._out = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(UNITS, outputs))

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Properties, (n, outputs), from observations, (n, steps, inputs)."""
        states, _ = self._gru(observations)
        estimates: torch.Tensor = self._out(states[:, -self._averaged :].mean(dim=1))
        return estimates


def ceiling_estimates(
    observations: Array,
    values: Array,
    held_out: NDArray[np.int64],
    averaged: int,
    epochs: int,
    seed: int = 0,
) -> Array:
    """Estimates of the held-out trials by a network that was trained on the others.

    Args:
        observations: scaled, (n, steps, inputs).
        values: properties, (n, m).
        held_out: numbers of trials, (k,).
        averaged: steps at the end over which the state is averaged.
        epochs: passes over the other trials.
        seed: of weights and order.

    Returns:
        Estimates, (k, m).
    """
    others = np.setdiff1d(np.arange(len(values)), held_out)
    mean, deviation = values[others].mean(0), np.maximum(values[others].std(0), 1e-9)
    seen = torch.as_tensor(observations, dtype=torch.float32)
    wanted = torch.as_tensor((values - mean) / deviation, dtype=torch.float32)
    order = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Ceiling(observations.shape[2], values.shape[1], averaged)
        batches = max(1, len(others) // BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), STEP_SIZE, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
        for _ in range(epochs):
            for rows in np.array_split(order.permutation(others), batches):
                loss = nn.functional.mse_loss(network(seen[rows]), wanted[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        network.eval()
        with torch.no_grad():
            estimates = network(seen[held_out]).numpy().astype(np.float64)
    result: Array = estimates * deviation + mean
    return result
