"""Object poses of a batch of worlds as a robot's cameras and pose filter estimate them.

Cameras have their own triggers, frames arrive with latency, and the filter predicts the present
pose from the last two. Between frames a turning object deviates from the prediction, which is the
largest error in a world without noise.
"""

import numpy as np
from numpy.typing import NDArray

from inhand.controller.estimation.pose_state import MotionModel
from inhand.hardware.records import Array
from inhand.perception import rotations

STEPS_KEPT = 16
"""Number of past policy steps whose true poses are kept, for frames with latency."""


class TrackedPoses:
    """Frames that have not arrived yet, and the pose estimate from those that have.

    Positions are in the world frame [m], (n, 3); quaternions are world from object, (n, 4) wxyz.

    Args:
        n: number of worlds.
        dt: length of a policy step [s].

    Attributes:
        rate: frame rate of each world's cameras [Hz], (n,).
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
        """Restarts the estimates with objects at rest and a random phase of the cameras.

        Args:
            ids: the worlds, (k,).
            rng: source of the phases.
            true: position, (k, 3), and quaternion, (k, 4).
            seen: the same as measured in the first frame.
        """
        self._phase[ids] = rng.uniform(0.0, 1.0, len(ids)) / self.rate[ids]
        self._true_position[:, ids], self._true_quaternion[:, ids] = true
        self._looked[ids] = self._newest()[ids]
        self.captured[ids] = self._looked[ids]
        self._position[ids], self._quaternion[ids] = seen
        self._velocity[ids] = self._turning[ids] = 0.0

    def _newest(self) -> Array:
        """Capture time of the newest frame that has arrived [s], (n,)."""
        pictures = np.floor((self._now - self.latency - self._phase) * self.rate)
        newest: Array = self._phase + pictures / self.rate
        return newest

    def advance(self, position: Array, quaternion: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Advances by one policy step.

        Args:
            position: true, (n, 3).
            quaternion: true, (n, 4).

        Returns:
            The worlds in which a new frame arrived, (k,), and the object's true position, (k, 3),
            and quaternion, (k, 4), at its capture time.
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
        """Updates the estimate with poses of the newest frames: (k, 3) and quaternion (k, 4)."""
        span = np.maximum(self._looked[ids] - self.captured[ids], 1e-3)[:, None]
        # The mean velocity since the last pose is that of half the span ago; it has decayed since.
        share = np.exp(-0.5 * span / self._decay) / span
        self._velocity[ids] = share * (position - self._position[ids])
        turned = rotations.multiply(quaternion, rotations.conjugate(self._quaternion[ids]))
        self._turning[ids] = share * rotations.log(turned)
        self._position[ids], self._quaternion[ids] = position, quaternion
        self.captured[ids] = self._looked[ids]

    def turning(self) -> Array:
        """Predicted present angular velocities, world frame [rad/s], (n, 3)."""
        decayed = np.exp(-(self._now - self.captured) / self._decay)[:, None]
        present: Array = decayed * self._turning
        return present

    def predict(self) -> tuple[Array, Array, Array]:
        """Predicted present position and quaternion, and age of the last pose [s], (n,)."""
        age = self._now - self.captured
        reach = (self._decay * -np.expm1(-age / self._decay))[:, None]
        turned = rotations.multiply(rotations.exp(reach * self._turning), self._quaternion)
        return self._position + reach * self._velocity, turned, age
