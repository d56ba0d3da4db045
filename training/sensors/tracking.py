"""Object poses of a batch of worlds as a robot's cameras and pose filter estimate them.

Cameras have their own triggers, frames arrive with latency, and a Kalman filter predicts the
present pose. It is the robot's (`inhand.controller.estimation.pose_state`) with the same variance
about every axis, for which its covariance is three numbers. As on the robot, the prediction moves
the object with the hand. Between frames a turning object deviates from the prediction, which is the
largest error in a world without noise.
"""

import numpy as np
from numpy.typing import NDArray

from inhand.controller.estimation.pose_state import HELD, MotionModel
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.sensors.spread import Spread

STEPS_KEPT = 16
"""Number of past policy steps whose true poses are kept, for frames with latency."""


POSITION_DEVIATION, ROTATION_DEVIATION = 0.001, 0.01
"""Declared standard deviations of a pose in a world without noise [m], [rad]."""

LINEAR, ANGULAR = 0, 1
"""Rows of what is kept for position and rotation."""


class TrackedPoses:
    """Frames that have not arrived yet, and the pose estimate from those that have.

    Positions are in the world frame [m], (n, 3); quaternions are world from object, (n, 4) wxyz.

    Args:
        n: number of worlds.
        dt: length of a policy step [s].
        motion: motion model; the default is that of an object whose hand is followed.

    Attributes:
        rate: frame rate of each world's cameras [Hz], (n,).
        latency: from the trigger to the arrival of the pose [s], (n,).
        captured: time of the last pose that was accepted [s], (n,).
        deviation: standard deviations of position [m] and rotation [rad] that measurements are
            declared to have, (2, n).
    """

    def __init__(self, n: int, dt: float, motion: MotionModel = HELD) -> None:
        self._dt, self._decay = dt, motion.decay_time
        self._speeds = np.array([[motion.linear_speed], [motion.angular_speed]]) ** 2
        self.deviation = np.tile([[POSITION_DEVIATION], [ROTATION_DEVIATION]], n)
        zero = np.zeros((2, n))
        self._spread = Spread(self.deviation**2, zero, np.tile(self._speeds, n))
        self._now = 0.0
        self.rate, self.latency = np.full(n, 15.0), np.zeros(n)
        self._phase, self._looked = np.zeros(n), np.zeros(n)
        self.captured = np.zeros(n)
        self._true_position = np.zeros((STEPS_KEPT, n, 3))
        self._true_quaternion = np.tile(rotations.IDENTITY, (STEPS_KEPT, n, 1))
        self._position, self._quaternion = np.zeros((n, 3)), self._true_quaternion[0].copy()
        self._carried = np.zeros((STEPS_KEPT, n, 6))
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
        self._carried[:, ids] = 0.0
        self._looked[ids] = self._newest()[ids]
        self.captured[ids] = self._looked[ids]
        self._position[ids], self._quaternion[ids] = seen
        self._velocity[ids] = self._turning[ids] = 0.0
        start = Spread(
            self.deviation[:, ids] ** 2, np.zeros((2, len(ids))), np.tile(self._speeds, len(ids))
        )
        self._spread.put(ids, start)

    def _newest(self) -> Array:
        """Capture time of the newest frame that has arrived [s], (n,)."""
        pictures = np.floor((self._now - self.latency - self._phase) * self.rate)
        newest: Array = self._phase + pictures / self.rate
        return newest

    def advance(
        self, position: Array, quaternion: Array, carried: Array | None = None
    ) -> tuple[NDArray[np.int64], Array, Array]:
        """Advances by one policy step.

        Args:
            position: true, (n, 3).
            quaternion: true, (n, 4).
            carried: shift [m] and rotation [rad] that the hand gave the object in the step, as the
                joint readings tell, world frame, (n, 6); None for none.

        Returns:
            The worlds in which a new frame arrived, (k,), and the object's true position, (k, 3),
            and quaternion, (k, 4), at its capture time.
        """
        self._now += self._dt
        self._true_position = np.roll(self._true_position, 1, axis=0)
        self._true_quaternion = np.roll(self._true_quaternion, 1, axis=0)
        self._carried = np.roll(self._carried, 1, axis=0)
        self._carried[0] = 0.0 if carried is None else carried
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

    def _carried_since(self, ids: NDArray[np.int64], t: Array) -> Array:
        """Shift and rotation that the hand gave these objects since some time [s], (k, 6)."""
        age = np.clip((self._now - t) / self._dt, 0.0, STEPS_KEPT - 0.001)
        step = age.astype(np.int64)
        summed = np.cumsum(self._carried[:, ids], axis=0)
        rows = np.arange(len(ids))
        # Of the earliest step only the part after `t` counts.
        last = self._carried[step, ids]
        since: Array = summed[step, rows] - (1.0 - (age - step))[:, None] * last
        return since

    def accept(self, ids: NDArray[np.int64], position: Array, quaternion: Array) -> None:
        """Updates the estimate with poses of the newest frames: (k, 3) and quaternion (k, 4)."""
        span = np.maximum(self._looked[ids] - self.captured[ids], 1e-3)
        kept = np.exp(-span / self._decay)
        reach = (self._decay * (1.0 - kept))[:, None]
        spread = self._spread.at(ids).predicted(span, self._decay, self._speeds)
        after, gain, pull = spread.measured(self.deviation[:, ids] ** 2)
        self._spread.put(ids, after)
        carried = self._carried_since(ids, self.captured[ids])
        carried -= self._carried_since(ids, self._looked[ids])
        expected = self._position[ids] + reach * self._velocity[ids] + carried[:, :3]
        moved = position - expected
        self._position[ids] = expected + gain[LINEAR, :, None] * moved
        velocity = kept[:, None] * self._velocity[ids]
        self._velocity[ids] = velocity + pull[LINEAR, :, None] * moved
        turn = rotations.exp(reach * self._turning[ids] + carried[:, 3:])
        attitude = rotations.multiply(turn, self._quaternion[ids])
        turned = rotations.log(rotations.multiply(quaternion, rotations.conjugate(attitude)))
        corrected = rotations.exp(gain[ANGULAR, :, None] * turned)
        self._quaternion[ids] = rotations.multiply(corrected, attitude)
        turning = kept[:, None] * self._turning[ids]
        self._turning[ids] = turning + pull[ANGULAR, :, None] * turned
        self.captured[ids] = self._looked[ids]

    def turning(self) -> Array:
        """Predicted present angular velocities, world frame [rad/s], (n, 3)."""
        decayed = np.exp(-(self._now - self.captured) / self._decay)[:, None]
        present: Array = decayed * self._turning + self._carried[0, :, 3:] / self._dt
        return present

    def predict(self) -> tuple[Array, Array, Array]:
        """Predicted present position and quaternion, and age of the last pose [s], (n,)."""
        age = self._now - self.captured
        reach = (self._decay * -np.expm1(-age / self._decay))[:, None]
        carried = self._carried_since(np.arange(len(age)), self.captured)
        turn = rotations.exp(reach * self._turning + carried[:, 3:])
        turned = rotations.multiply(turn, self._quaternion)
        return self._position + reach * self._velocity + carried[:, :3], turned, age
