"""Universes of a batch: what differs from world to world, drawn anew with each episode."""

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from hardware.hand import Hand
from hardware.records import Array
from sim_backend.universe import GRAVITY, Universe, sample
from training.mujoco_universe import FIELDS, model_fields

MAX_DELAY = 10
"""Longest action delay that is modelled [ticks]."""

NOMINAL_EVERY = 8
"""Every so many worlds one stays nominal, so that what was learned first is not forgotten."""


class Variation:
    """The universes of a batch, as arrays with one row a world.

    Attributes:
        universes: one for each world.
        delay: from command to servo [ticks], (size, n_actuators).
        backlash: half-width of the slack between servo and joint [rad], (size, n_actuators).
        privileged: what only a simulation knows of its universe, scaled to about 1,
            (size, n).
    """

    def __init__(self, batch: Batch, nominal: mujoco.MjModel, hand: Hand, tick: float) -> None:
        self._batch, self._nominal, self._hand, self._tick = batch, nominal, hand, tick
        size = batch.nsim
        self._fields = {name: batch.expand(name) for name in FIELDS}
        self.universes = [Universe()] * size
        self.delay = np.zeros((size, hand.n_actuators), dtype=np.int64)
        self.backlash = np.zeros((size, hand.n_actuators))
        self.privileged = np.tile(self._describe(Universe()), (size, 1))

    def draw(self, ids: NDArray[np.int64], rng: np.random.Generator, scale: float) -> None:
        """Draws new universes for these worlds."""
        for i in ids:
            nominal = scale == 0 or i % NOMINAL_EVERY == 0
            self._set(int(i), sample(self._hand, rng, 0.0 if nominal else scale))
        self._batch.set_const(ids)

    def _set(self, i: int, universe: Universe) -> None:
        self.universes[i] = universe
        for name, value in model_fields(self._nominal, self._hand, universe).items():
            self._fields[name][i] = value
        delay = np.round(np.array(universe.action_delay or 0.0) / self._tick)
        self.delay[i] = np.minimum(delay, MAX_DELAY)
        self.backlash[i] = universe.backlash or 0.0
        self.privileged[i] = self._describe(universe)

    def _describe(self, universe: Universe) -> Array:
        hand = self._hand

        def logs(factors: tuple[float, ...], size: int) -> Array:
            return np.log(np.array(factors)) if factors else np.zeros(size)

        def values(numbers: tuple[float, ...], size: int, unit: float) -> Array:
            return np.array(numbers) / unit if numbers else np.zeros(size)

        shape = np.log([universe.object_size, universe.object_mass, universe.friction])
        return np.concatenate(
            [
                shape * [10.0, 2.0, 3.0],
                np.array(universe.center_of_mass) / 0.002,
                (np.array(universe.gravity) + [0.0, 0.0, GRAVITY]) / 0.4,
                logs(universe.actuator_gain, hand.n_actuators) / 0.3,
                logs(universe.joint_damping, hand.n_joints) / 0.6,
                values(universe.backlash, hand.n_actuators, 0.02),
                values(universe.action_delay, hand.n_actuators, 0.05),
            ]
        )
