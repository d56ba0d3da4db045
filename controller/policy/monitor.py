"""Monitor: says when hand or object behave unlike anything in training.

In each policy step the motion of every joint is predicted, and features of the errors and of the
object are taken (`monitor_features`). Their means over the last seconds are compared with those of
training by linear statistics, one for each way in which worlds differ and one for each servo.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from inhand.controller.policy.monitor_features import OBJECT, REGRESSORS, StepFeatures
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

BLOCK = 10
"""Policy steps between two comparisons."""

BLOCKS = 18
"""Blocks of the window: 9 s at 20 steps/s."""

FEWEST = 8
"""Blocks that are needed for a first comparison; statistics of fewer than `BLOCKS` are reduced."""

QUIET = 0.8
"""Score below which an alarm ends; it begins at 1."""

_LARGEST = 6.0
"""Prediction errors are bounded to about this many standard deviations."""


class Model(msgspec.Struct, frozen=True):
    """What was learned in training worlds; F features, D statistics.

    Attributes:
        weights: of the prediction of each joint's motion, (n_actuators, REGRESSORS).
        deviation: standard deviation of its error [rad], (n_actuators,).
        scale: unit of each regressor, (n_actuators, REGRESSORS).
        center: mean of the features, (F,).
        directions: statistics of a mean feature vector, (D, F).
        thresholds: of each statistic, (D,); its score is 1 there.
        names: what each statistic stands for, D: an axis of the universes or a servo.
        servos: number of statistics that belong to servos; they are the last ones.
    """

    weights: Array
    deviation: Array
    scale: Array
    center: Array
    directions: Array
    thresholds: Array
    names: tuple[str, ...]
    servos: int


def feature_count(hand: Hand) -> int:
    """Number of features of a step."""
    return hand.n_actuators * (REGRESSORS + 3) + len(OBJECT)


def features(model: Model, moved: Array, regressors: Array, of_object: Array) -> Array:
    """Features of a step, from what `StepFeatures.step` returns, (..., F)."""
    error = (moved - np.einsum("...jk,jk->...j", regressors, model.weights)) / model.deviation
    error = _LARGEST * np.tanh(error / _LARGEST)
    scaled = regressors / model.scale
    pull = scaled[..., 0]
    products = (error[..., None] * scaled).reshape(*error.shape[:-1], -1)
    return np.concatenate([products, error**2, pull, np.abs(pull), of_object], axis=-1)


@dataclass(frozen=True)
class Verdict:
    """What the last comparison found.

    Attributes:
        score: the largest statistic in units of its threshold; None before the first comparison.
        unlike: whether hand or object behave unlike anything in training.
        likely: names of the statistics above their thresholds, largest first: axes of the
            universes, then servos.
    """

    score: float | None = None
    unlike: bool = False
    likely: tuple[str, ...] = ()


class Monitor:
    """Compares the window of the last policy steps with training, every `BLOCK` steps.

    Args:
        hand: the hand.
        model: what was learned in training worlds.
        rate: policy steps a second [Hz].
        version: of the layout of the observations.
        sha256: of the monitor's file.

    Attributes:
        model: as given.
        sha256: as given.
    """

    def __init__(self, hand: Hand, model: Model, rate: float, version: int, sha256: str) -> None:
        self.sha256 = sha256
        self.model = model
        self._steps = StepFeatures(hand, rate, version)
        self._size = feature_count(hand)
        self.reset()

    def reset(self) -> None:
        """Forgets everything that was measured."""
        self._steps.interrupt()
        self._blocks: list[Array] = []
        self._sum, self._taken = np.zeros(self._size), 0
        self._score: float | None = None
        self._unlike = False
        self._likely: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What the last comparison found."""
        return Verdict(self._score, self._unlike, self._likely)

    def step(self, observation: NDArray[np.floating], goal: Array, *, follows: bool) -> bool:
        """Takes the observation of a policy step; returns whether an alarm begins or ends.

        Args:
            observation: as the policy gets it, (n,).
            goal: wanted orientation, world from object, (4,) wxyz.
            follows: whether it is one policy step after the last observation.
        """
        if not follows:
            self._steps.interrupt()
        parts = self._steps.step(observation, goal)
        if parts is None:
            return False
        self._sum = self._sum + features(self.model, *parts)
        self._taken += 1
        if self._taken < BLOCK:
            return False
        self._blocks = [*self._blocks[-(BLOCKS - 1) :], self._sum]
        self._sum, self._taken = np.zeros(self._size), 0
        return len(self._blocks) >= FEWEST and self._compare()

    def _compare(self) -> bool:
        blocks = len(self._blocks)
        scored = scores(self.model, np.mean(self._blocks, axis=0) / BLOCK, blocks)
        self._score = float(scored.max())
        before, self._unlike = self._unlike, self._score >= (QUIET if self._unlike else 1.0)
        order = np.argsort(-scored, kind="stable")
        self._likely = tuple(self.model.names[i] for i in order if scored[i] >= 1.0)
        return self._unlike != before


def scores(model: Model, mean: Array, blocks: NDArray[np.int64] | int) -> Array:
    """The statistics in units of their thresholds, (..., D).

    A mean over fewer blocks scatters more; its statistics are reduced by as much.

    Args:
        model: what was learned in training worlds.
        mean: of the features over the window, (..., F).
        blocks: of the window, with a last axis of 1 if there are several.
    """
    reduced = np.sqrt(np.minimum(1.0, np.asarray(blocks) / BLOCKS))
    statistics = (mean - model.center) @ model.directions.T
    return np.asarray(reduced * statistics / model.thresholds)
