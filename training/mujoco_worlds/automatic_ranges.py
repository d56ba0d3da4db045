"""Automatic domain randomization: ranges that widen where the policy succeeds.

OpenAI, arXiv:1910.07113, section 5.2, in the vectorized form of DeXtreme (arXiv:2210.13702): a
share of the worlds has one axis at the end of its range. Each end collects the goals of such
episodes. It moves outwards if their mean is high, inwards if it is low.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.universe import Vary
from inhand.hardware.records import Array
from inhand.training.mujoco_worlds.bounded_numbers import Count, Positive, PositiveOrZero, Share
from inhand.training.mujoco_worlds.draws import (
    AXES,
    DELAYS,
    NAMES,
    NOMINAL_EVERY,
    Strengths,
    axes_of,
)

LOW, HIGH = 0, 1
"""The two ends of an axis."""


class RangesRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of automatic ranges.

    Attributes:
        start: strength at which every range ends at first.
        step: by which an end moves.
        boundary: share of worlds with one axis at an end.
        late: share of the other worlds in which all delays are at one share of their ranges.
        episodes: number of episodes that decide (N).
        narrow_at: mean goals an episode up to which an end moves inwards (t_L).
        widen_at: mean goals an episode from which on it moves outwards (t_H).
        settle_seconds: time after a start in which no episode counts [s]: all worlds begin at
            once then, so that the first episodes to end are short ones.
    """

    start: PositiveOrZero = 0.3
    step: Positive = 0.1
    boundary: Share = 0.4
    late: Share = 0.0
    episodes: Count = 256
    narrow_at: PositiveOrZero = 5.0
    widen_at: PositiveOrZero = 20.0
    settle_seconds: PositiveOrZero = 20.0


class Boundary:
    """Goals of the episodes at one end of a range.

    Args:
        recipe: number of episodes and thresholds.
    """

    def __init__(self, recipe: RangesRecipe) -> None:
        self._recipe = recipe
        self.goals: list[float] = []

    def record(self, goals: float) -> int:
        """Adds an episode; returns 1 to widen, -1 to narrow, 0 to stay. A decision empties it."""
        self.goals.append(goals)
        if len(self.goals) < self._recipe.episodes:
            return 0
        mean = float(np.mean(self.goals))
        self.goals.clear()
        return int(mean >= self._recipe.widen_at) - int(mean <= self._recipe.narrow_at)


class AutomaticRanges:
    """The range of every axis, and which end of which axis each world is at.

    Args:
        recipe: settings.
        size: number of worlds.
        vary: kind of axes that differ from nominal.

    Attributes:
        low: lower ends, (len(AXES),); 0 where an axis has one side.
        high: upper ends, (len(AXES),).
        collect: takes the number of an end and the goals of an episode at it; `count`, unless
            another process decides.
    """

    def __init__(self, recipe: RangesRecipe, size: int, vary: Vary = "everything") -> None:
        self._recipe = recipe
        sided = np.array([axis.two_sided for axis in AXES.values()])
        self._farthest = np.array([axis.farthest for axis in AXES.values()])
        varied = axes_of(vary)
        self.high = recipe.start * varied
        self.low = -self.high * sided
        ends = [(axis, HIGH) for axis in np.flatnonzero(varied)]
        ends += [(axis, LOW) for axis in np.flatnonzero(varied * sided)]
        self._ends = np.array(ends)
        self._boundaries = [Boundary(recipe) for _ in ends]
        self._at = np.full(size, -1)
        self.collect: Callable[[int, float], None] = self.count

    def draw(self, ids: NDArray[np.int64], rng: np.random.Generator) -> Strengths:
        """Strengths of new universes of these worlds, (k, len(AXES))."""
        drawn = rng.uniform(self.low, self.high, (len(ids), len(AXES)))
        ends = rng.integers(len(self._ends), size=len(ids))
        ends[rng.random(len(ids)) >= self._recipe.boundary] = -1
        ends[ids % NOMINAL_EVERY == 0] = -1
        self._at[ids] = ends
        if self._recipe.late:
            self._make_late(drawn, (ends < 0) & (ids % NOMINAL_EVERY != 0), rng)
        rows = np.flatnonzero(ends >= 0)
        axes, sides = self._ends[ends[rows]].T
        drawn[rows, axes] = np.where(sides == HIGH, self.high[axes], self.low[axes])
        return drawn

    def _make_late(
        self, drawn: Strengths, free: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        """Draws all delays of some free worlds together.

        Drawn one by one, seven delays are hardly ever long at once, as they are on a slow robot.
        """
        late = np.flatnonzero(free & (rng.random(len(drawn)) < self._recipe.late))
        share = rng.random((len(late), 1))
        drawn[np.ix_(late, DELAYS)] = share * self.high[DELAYS]

    def tried(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these worlds have an axis at an end, (k,)."""
        at: NDArray[np.bool_] = self._at[ids] >= 0
        return at

    def record(self, ids: NDArray[np.int64], goals: Array | list[int]) -> None:
        """Counts the goals of episodes that ended in these worlds, and moves ends.

        Call it before `draw` for the same worlds.
        """
        for end, count in zip(self._at[ids], goals, strict=True):
            if end >= 0:
                self.collect(int(end), float(count))

    def count(self, end: int, goals: float) -> None:
        """Counts one episode at an end, and moves the end if that decides."""
        self._move(end, self._boundaries[end].record(goals))

    def _move(self, end: int, outwards: int) -> None:
        axis, side = self._ends[end]
        by = self._recipe.step * outwards
        if side == HIGH:
            self.high[axis] = np.clip(self.high[axis] + by, 0.0, self._farthest[axis])
        else:
            self.low[axis] = np.clip(self.low[axis] - by, -self._farthest[axis], 0.0)

    @property
    def entropy(self) -> float:
        """Mean of log(high - low) over the varied axes [nat]; widths below 0.01 count as that."""
        varied = np.unique(self._ends[:, 0])
        return float(np.mean(np.log(np.maximum(self.high - self.low, 0.01)[varied])))

    @property
    def mean_end(self) -> float:
        """Mean strength of all ends."""
        axes, sides = self._ends.T
        return float(np.mean(np.where(sides == HIGH, self.high[axes], -self.low[axes])))

    def state(self) -> dict[str, Any]:
        """For a checkpoint: ends by the name of their axis, and the goals collected so far."""
        ends = {
            name: [low, high]
            for name, low, high in zip(NAMES, self.low.tolist(), self.high.tolist(), strict=True)
        }
        collected = {
            f"{NAMES[axis]} {side}": list(boundary.goals)
            for (axis, side), boundary in zip(self._ends, self._boundaries, strict=True)
        }
        return {"ends": ends, "collected": collected}

    def load(self, state: dict[str, Any]) -> None:
        """Continues from a `state`; axes that it does not know keep their first range."""
        for i, name in enumerate(NAMES):
            if name in state["ends"]:
                self.low[i], self.high[i] = state["ends"][name]
        for (axis, side), boundary in zip(self._ends, self._boundaries, strict=True):
            boundary.goals = list(state["collected"].get(f"{NAMES[axis]} {side}", []))


class Precision:
    """The tolerance of the goals: finer where the policy succeeds with the finest so far.

    Args:
        recipe: number of episodes and thresholds; None: the finest from the start, and for good.
        coarsest: first tolerance [rad].
        finest: last tolerance [rad].
        size: number of worlds.

    Attributes:
        now: the finest tolerance so far [rad].
        collect: takes the goals of an episode at it; `count`, unless another process decides.
    """

    FACTOR = 0.9

    def __init__(
        self, recipe: RangesRecipe | None, coarsest: float, finest: float, size: int
    ) -> None:
        self._limits = finest, coarsest
        self.now = coarsest if recipe else finest
        self._share = recipe.boundary if recipe else 0.0
        self._boundary = Boundary(recipe or RangesRecipe())
        self._at = np.zeros(size, dtype=np.bool_)
        self.collect: Callable[[float], None] = self.count

    def draw(
        self, ids: NDArray[np.int64], coarse: NDArray[np.bool_], rng: np.random.Generator
    ) -> Array:
        """Tolerances of these worlds [rad], (k,): the finest, or log-uniform above it.

        Args:
            ids: the worlds, (k,).
            coarse: where the tolerance is the coarsest, (k,).
            rng: source of randomness.
        """
        self._at[ids] = (rng.random(len(ids)) < self._share) & ~coarse
        coarsest = self._limits[1]
        drawn = coarsest * (self.now / coarsest) ** rng.random(len(ids))
        return np.where(self._at[ids], self.now, np.where(coarse, coarsest, drawn))

    def record(self, ids: NDArray[np.int64], goals: Array | list[int]) -> None:
        """Counts the goals of episodes that ended in these worlds."""
        for at, count in zip(self._at[ids], goals, strict=True):
            if at:
                self.collect(float(count))

    def count(self, goals: float) -> None:
        """Counts one episode at the finest tolerance, and changes it if that decides."""
        finer = self._boundary.record(goals)
        self.now = float(np.clip(self.now * self.FACTOR**finer, *self._limits))
