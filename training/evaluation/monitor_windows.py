"""Windows of a monitor in a batch of worlds: means of features over the last seconds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inhand.controller.policy.monitor import BLOCK, BLOCKS, Model, features
from inhand.controller.policy.monitor_features import REGRESSORS
from inhand.hardware.records import Array
from inhand.training.evaluation.monitor_worlds import Worlds

_BLINDED = 1e-6
"""Added to the squares of regressors that never change, relative to the others."""


@dataclass(frozen=True)
class Windows:
    """What a monitor has measured at the end of a block, in every world.

    Attributes:
        mean: of the features over the window, (n, F); of no meaning where there are no blocks.
        blocks: of the window, since the last drop, (n,).
        reached: goals reached in the block, (n,).
        dropped: whether the object was dropped in it, (n,).
    """

    mean: Array
    blocks: NDArray[np.int64]
    reached: NDArray[np.int64]
    dropped: NDArray[np.bool_]


def predictions(worlds: Worlds, seconds: float) -> tuple[Array, Array, Array]:
    """Learns to predict the motion of each joint by least squares.

    Returns:
        `weights`, `deviation` and `scale` of a `Model`.
    """
    squares, products, motions = np.zeros((3, 1))
    count = 0
    for step in worlds.steps(seconds):
        moved, regressors, _ = (part[step.whole] for part in step.parts)
        squares = squares + np.einsum("njk,njl->jkl", regressors, regressors)
        products = products + np.einsum("njk,nj->jk", regressors, moved)
        motions = motions + np.einsum("nj,nj->j", moved, moved)
        count += len(moved)
    squares, products, motions = squares / count, products / count, motions / count
    scale = np.sqrt(np.einsum("jkk->jk", squares))
    blinded = squares + _BLINDED * np.eye(REGRESSORS)
    weights = np.asarray(np.linalg.solve(blinded, products[..., None])[..., 0], np.float64)
    explained = 2 * np.einsum("jk,jk->j", weights, products)
    explained -= np.einsum("jk,jkl,jl->j", weights, squares, weights)
    deviation = np.sqrt(np.maximum(motions - explained, 1e-8))
    return weights, deviation, np.maximum(scale, 1e-4)


def windows(worlds: Worlds, seconds: float, model: Model) -> Iterator[Windows]:
    """The windows at the end of each block, as the daemon's monitor has them.

    Args:
        worlds: in which the policy acts.
        seconds: for how long [s].
        model: of which the predictions are used.
    """
    ring: list[Array] = []
    summed = np.zeros(1)
    consecutive, reached = np.zeros((2, 1), dtype=np.int64)
    whole, dropped = np.ones(1, dtype=np.bool_), np.zeros(1, dtype=np.bool_)
    taken = 0
    for step in worlds.steps(seconds):
        summed = summed + features(model, *step.parts)
        whole, reached = whole & step.whole, reached + step.reached.astype(np.int64)
        dropped = dropped | step.ended
        taken += 1
        if taken < BLOCK:
            continue
        ring = [*ring[-(BLOCKS - 1) :], summed]
        for block in ring:
            block[~whole] = 0.0
        consecutive = np.where(whole, np.minimum(consecutive + 1, BLOCKS), 0)
        mean = np.sum(ring, axis=0) / (BLOCK * np.maximum(consecutive, 1))[:, None]
        yield Windows(mean, consecutive, reached, dropped)
        summed, taken = np.zeros(1), 0
        whole, reached, dropped = np.ones_like(whole), 0 * reached, np.zeros_like(dropped)
