"""Object poses of a batch of worlds as a robot's cameras and pose filter would know them.

A camera looks at times of its own, its picture arrives late, and from the last two poses the filter
predicts the present one. Between pictures a turning object is somewhere else than predicted: the
largest error there is in a world without noise, and one that a policy has to live with.
"""

import numpy as np
from numpy.typing import NDArray

from inhand.controller.estimation.pose_state import MotionModel
from inhand.hardware.records import Array
from inhand.perception import rotations

STEPS_KEPT = 16
"""Policy steps of truth that are kept, for pictures that arrive late."""


class TrackedPoses:
    """Pictures under way, and what is believed from those that arrived.

    Positions are in the world frame [m], (n, 3); quaternions are world from object, (n, 4) wxyz.

    Args:
        n: number of worlds.
        dt: length of a policy step [s].

    Attributes:
        rate: pictures a second of each world's cameras [Hz], (n,).
        latency: from the trigger to the arrival of the pose [s], (n,).
        captured: time of the last pose that was accepted [s], (n,).
    """

    def __init__(self, n: int, dt: float) -> None:
        self._dt, self._decay = dt, MotionModel().decay_time
        self._now = 0.0
        self.rate, self.latency = np.full(n, 15.0), np.zeros(n)
        self._phase, self._looked = np.zeros(n), np.zeros(n)
        self.captured = np.zeros(n)
        self._true_position = np.zeros((STEPS_KEPT, n, 3))
        self._true_quaternion = np.tile(rotations.IDENTITY, (STEPS_KEPT, n, 1))
        self._position, self._quaternion = np.zeros((n, 3)), self._true_quaternion[0].copy()
        self._velocity, self._turning = np.zeros((n, 3)), np.zeros((n, 3))

    def reset(
        self,
        ids: NDArray[np.int64],
        rng: np.random.Generator,
        true: tuple[Array, Array],
        seen: tuple[Array, Array],
    ) -> None:
        """Begins anew with objects at rest, seen by cameras of any phase.

        Args:
            ids: the worlds, (k,).
            rng: source of the phases.
            true: position, (k, 3), and quaternion, (k, 4).
            seen: the same as the first picture shows it.
        """
        self._phase[ids] = rng.uniform(0.0, 1.0, len(ids)) / self.rate[ids]
        self._true_position[:, ids], self._true_quaternion[:, ids] = true
        self._looked[ids] = self._newest()[ids]
        self.captured[ids] = self._looked[ids]
        self._position[ids], self._quaternion[ids] = seen
        self._velocity[ids] = self._turning[ids] = 0.0

    def _newest(self) -> Array:
        """When the newest picture was taken of those that have arrived [s], (n,)."""
        pictures = np.floor((self._now - self.latency - self._phase) * self.rate)
        newest: Array = self._phase + pictures / self.rate
        return newest

    def advance(self, position: Array, quaternion: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Goes on by one policy step.

        Args:
            position: true, (n, 3).
            quaternion: true, (n, 4).

        Returns:
            The worlds in which a new picture arrived, (k,), and what it shows: the object's
            position, (k, 3), and quaternion, (k, 4), at the time that it was taken.
        """
        self._now += self._dt
        self._true_position = np.roll(self._true_position, 1, axis=0)
        self._true_quaternion = np.roll(self._true_quaternion, 1, axis=0)
        self._true_position[0], self._true_quaternion[0] = position, quaternion
        newest = self._newest()
        ids = np.flatnonzero(newest > self._looked + 1e-6)
        self._looked[ids] = newest[ids]
        age = np.clip((self._now - newest[ids]) / self._dt, 0.0, STEPS_KEPT - 1.001)
        step = age.astype(np.int64)
        share = (age - step)[:, None]
        one, other = self._true_quaternion[step, ids], self._true_quaternion[step + 1, ids]
        turn = rotations.log(rotations.multiply(other, rotations.conjugate(one)))
        return (
            ids,
            (1.0 - share) * self._true_position[step, ids]
            + share * self._true_position[step + 1, ids],
            rotations.multiply(rotations.exp(share * turn), one),
        )

    def accept(self, ids: NDArray[np.int64], position: Array, quaternion: Array) -> None:
        """Believes poses of the newest pictures: position (k, 3), quaternion (k, 4)."""
        span = np.maximum(self._looked[ids] - self.captured[ids], 1e-3)[:, None]
        # The mean velocity since the last pose was there half the span ago, and has decayed since.
        share = np.exp(-0.5 * span / self._decay) / span
        self._velocity[ids] = share * (position - self._position[ids])
        turned = rotations.multiply(quaternion, rotations.conjugate(self._quaternion[ids]))
        self._turning[ids] = share * rotations.log(turned)
        self._position[ids], self._quaternion[ids] = position, quaternion
        self.captured[ids] = self._looked[ids]

    def predict(self) -> tuple[Array, Array, Array]:
        """What is believed of the present: position, quaternion, and age of the pose [s], (n,)."""
        age = self._now - self.captured
        reach = (self._decay * -np.expm1(-age / self._decay))[:, None]
        turned = rotations.multiply(rotations.exp(reach * self._turning), self._quaternion)
        return self._position + reach * self._velocity, turned, age
