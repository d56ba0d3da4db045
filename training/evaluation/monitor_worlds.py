"""Worlds in which a monitor is made and measured, and what it gets of a policy that acts there."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inhand.controller.policy.monitor_features import StepFeatures
from inhand.controller.policy.runtime import Policy
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe, load_universe
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription
from inhand.training.mujoco_worlds.draws import AXES, universe_of
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors

UNIVERSES = Path(__file__).resolve().parents[1] / "universes"
"""Files of adverse universes."""

TOLERANCES = (0.1, 0.2, 0.4)
"""Tolerances of the goals, one for each world in turn [rad]."""

TWICE = 2.0
"""Strength of the adverse worlds: twice the range of training."""


@dataclass(frozen=True)
class Case:
    """One kind of world.

    Attributes:
        name: of it: `nominal`, an axis with its side, or a file of a universe.
        strengths: of every axis, (len(AXES),).
        universe: in place of the one that the strengths give; None for that one.
    """

    name: str
    strengths: Array
    universe: Universe | None = None


NOMINAL = Case("nominal", np.zeros(len(AXES)))
"""The world in which nothing is off."""


def single_axes(wanted: Collection[str] = ()) -> tuple[Case, ...]:
    """Worlds in which one axis is at twice its range, on each of its sides.

    An axis whose strength is bounded (`Axis.farthest`) goes as far as that.

    Args:
        wanted: names of the axes; all if empty.
    """
    cases = []
    for column, (name, axis) in enumerate(AXES.items()):
        if wanted and name not in wanted:
            continue
        for side in (1.0, -1.0) if axis.two_sided else (1.0,):
            strengths = np.zeros(len(AXES))
            strengths[column] = side * min(TWICE, axis.farthest)
            cases.append(Case(f"{name} {'+' if side > 0 else '-'}", strengths))
    return tuple(cases)


def in_range(rng: np.random.Generator, n: int) -> list[Case]:
    """Worlds as in training: every axis drawn, scaled by a share that is uniform in [0, 1]."""
    low = np.array([-1.0 if axis.two_sided else 0.0 for axis in AXES.values()])
    drawn = rng.random((n, 1)) * rng.uniform(low, 1.0, (n, len(AXES)))
    return [Case("in range", strengths) for strengths in drawn]


def of_files(hand: Hand, folder: Path = UNIVERSES) -> tuple[Case, ...]:
    """The worlds of the universe files of a folder, by their names."""
    files = sorted(folder.glob("*.toml"))
    zero = np.zeros(len(AXES))
    return tuple(Case(file.stem, zero, load_universe(file, hand)) for file in files)


@dataclass(frozen=True)
class StepOfWorlds:
    """What the monitor gets in one policy step of all worlds.

    Attributes:
        parts: what `StepFeatures.step` returns.
        whole: worlds in which the step follows the ones before, (n,).
        reached: worlds in which a goal was reached after it, (n,).
        ended: worlds in which the object was dropped after it, (n,).
    """

    parts: tuple[Array, Array, Array]
    whole: NDArray[np.bool_]
    reached: NDArray[np.bool_]
    ended: NDArray[np.bool_]


class Worlds:
    """A policy that turns goal after goal in a batch of MuJoCo worlds.

    Args:
        policy: what acts.
        hand: its hand.
        target: the object.
        cases: one for each world.
        seed: of everything random.
        threads: of the physics; 0 for all cores.
    """

    def __init__(
        self,
        policy: Policy,
        hand: Hand,
        target: ObjectDescription,
        cases: Sequence[Case],
        seed: int,
        threads: int,
    ) -> None:
        self._policy, self._hand, self._cases = policy, hand, cases
        size = len(cases)
        self._rng = np.random.default_rng(seed)
        self._worlds = BatchEnvironment(hand, target, size, threads, seed)
        self._worlds.goal_distance = float(np.pi)
        self.rate = self._worlds.policy_rate
        self._worlds.tolerance[:] = np.resize(TOLERANCES, size)
        self._every = np.arange(size)
        self._renew(self._every)
        self._sensors = Sensors(self._worlds, seed, policy.observation_version)
        policy.reset()
        self._fresh = policy.memory
        self._memories = [self._fresh] * size

    def steps(self, seconds: float) -> Iterator[StepOfWorlds]:
        """Steps of a time [s], without the first few of all."""
        worlds, policy = self._worlds, self._policy
        taker = StepFeatures(self._hand, worlds.policy_rate, policy.observation_version)
        whole = np.zeros(worlds.size, dtype=np.int64)
        actions = np.zeros((worlds.size, self._hand.n_actuators))
        for _ in range(round(seconds * worlds.policy_rate)):
            seen = self._sensors.observe()
            parts = taker.step(seen, worlds.goal)
            for i in self._every:
                policy.memory = self._memories[i]
                actions[i] = policy.act(seen[i])
                self._memories[i] = policy.memory
            done = worlds.step(actions)
            ended = done.dropped | done.timed_out
            whole += 1
            if parts is not None:
                yield StepOfWorlds(parts, whole > 6, done.reached, done.dropped)
            ids = np.flatnonzero(ended)
            if len(ids):
                self._renew(ids)
                self._sensors.reset(ids)
                whole[ids] = 0
                for i in ids:
                    self._memories[i] = self._fresh

    def _renew(self, ids: NDArray[np.int64]) -> None:
        """Resets worlds, with the universes of their cases."""
        worlds, rng = self._worlds, self._rng
        worlds.reset(ids)
        cases = [self._cases[i] for i in ids]
        worlds.strengths[ids] = [case.strengths for case in cases]
        made = [case.universe or universe_of(self._hand, rng, case.strengths) for case in cases]
        worlds.variation.assign(ids, made)
