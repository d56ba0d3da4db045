"""Sensors of one world, tick by tick: joint readings and poses with the universe's errors.

Poses are simulated in place of images. The universe's `camera_shift` and `camera_focal` act on
images and have no effect here.
"""

from collections import deque

import numpy as np

from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array, JointState, frozen_array
from inhand.perception import rotations

CAMERA_RATE = 15.0
"""Poses a second."""

PIPELINE_LATENCY = 0.03
"""Delay from trigger to pose in a world without `pose_latency` [s]: rendering, detection and
transport, as measured with `inhand eval --wires` (docs/evaluation.md)."""

FREEZE_SECONDS = 1.0
"""Duration without poses once they freeze [s]."""

OUTLIER_DISTANCE = 0.1
"""Largest error of an outlier along each axis [m]; its orientation is uniform."""

POSITION_SIGMA = 0.001
ROTATION_SIGMA = 0.01
"""Declared standard deviations of a pose in a world without noise [m], [rad]."""

Encoders = tuple[Array, Array, Array]


class JointSensor:
    """Joint readings with latency, bias and noise.

    Args:
        universe: its `joint_noise` and `joint_latency` are used.
        n_actuators: number of servos.
        rng: source of randomness.
    """

    def __init__(self, universe: Universe, n_actuators: int, rng: np.random.Generator) -> None:
        self._noise, bias = universe.joint_noise
        self._bias = bias * rng.standard_normal(n_actuators)
        self._latency = universe.joint_latency
        self._past: deque[tuple[float, Encoders]] = deque()
        self._rng = rng

    def read(self, t: float, encoders: Encoders) -> JointState:
        """A reading at `t` [s], given what the encoders show now.

        The reading is `joint_latency` old but stamped `t`: a robot does not know this latency.
        """
        self._past.append((t, encoders))
        wanted = t - self._latency
        while len(self._past) > 1 and self._past[1][0] <= wanted:
            self._past.popleft()
        (before, old), (after, new) = self._past[0], self._past[min(1, len(self._past) - 1)]
        share = min(max((wanted - before) / (after - before), 0.0), 1.0) if after > before else 0.0
        position, velocity, current = (
            one + share * (other - one) for one, other in zip(old, new, strict=True)
        )
        noise = self._bias + self._noise * self._rng.standard_normal(len(position))
        return JointState(
            t, frozen_array(position + noise), frozen_array(velocity), frozen_array(current)
        )


class Pauses:
    """When the controller does nothing, as on a computer that is busy elsewhere.

    Args:
        universe: its `pause_rate` and `pause_time` count here.
        rng: source of randomness; not used without a rate.
    """

    def __init__(self, universe: Universe, rng: np.random.Generator) -> None:
        self._rate, self._length, self._rng = universe.pause_rate, universe.pause_time, rng
        self._until = 0.0

    def pausing(self, t: float, tick: float) -> bool:
        """Whether the controller leaves out the tick at `t`, ticks being so long [s]."""
        if t < self._until - 0.5 * tick:
            return True
        if not self._rate or self._rng.random() >= self._rate * tick:
            return False
        self._until = t + self._length
        return self._length > 0.5 * tick


class PoseSensor:
    """Object poses at the cameras' rate, with latency, noise, outliers and drop-outs.

    Args:
        universe: its noise, latency, interval, drop-outs, freezes and outliers of poses are used.
        rng: source of randomness.
    """

    def __init__(self, universe: Universe, rng: np.random.Generator) -> None:
        self._universe, self._rng = universe, rng
        self._position_bias = universe.position_noise[1] * rng.standard_normal(3)
        self._rotation_bias = universe.rotation_noise[1] * rng.standard_normal(3)
        self._interval = max(1.0 / CAMERA_RATE, universe.pose_interval)
        self._trigger = rng.uniform(0.0, self._interval)
        self._frozen_until = 0.0
        self._under_way: deque[PoseReading] = deque()

    def read(self, t: float, position: Array, quaternion: Array) -> list[PoseReading]:
        """Measures the object if a trigger is due, and returns the poses that have arrived.

        Args:
            t: present time [s].
            position: true, world frame [m], (3,).
            quaternion: true, world from object, wxyz, (4,).
        """
        if t >= self._trigger:
            self._trigger += self._interval
            reading = self._measure(t, position, quaternion) if self._seen(t) else None
            if reading is not None:
                self._under_way.append(reading)
        latency = PIPELINE_LATENCY + self._universe.pose_latency
        arrived = []
        while self._under_way and self._under_way[0].t + latency <= t + 1e-9:
            arrived.append(self._under_way.popleft())
        return arrived

    def _seen(self, t: float) -> bool:
        """Whether this trigger gives a pose."""
        universe, rng = self._universe, self._rng
        if t < self._frozen_until:
            return False
        if rng.random() < universe.pose_freeze * self._interval:
            self._frozen_until = t + FREEZE_SECONDS
            return False
        return bool(rng.random() >= universe.pose_dropout)

    def _measure(self, t: float, position: Array, quaternion: Array) -> PoseReading | None:
        """The pose that is measured at `t` [s]; None if none is."""
        universe, rng = self._universe, self._rng
        position_noise, rotation_noise = universe.position_noise[0], universe.rotation_noise[0]
        # The declared deviations contain the noise, but neither bias nor outliers.
        sigma_position = float(np.hypot(POSITION_SIGMA, position_noise))
        sigma_rotation = float(np.hypot(ROTATION_SIGMA, rotation_noise))
        if rng.random() < universe.pose_outlier:
            position = position + rng.uniform(-OUTLIER_DISTANCE, OUTLIER_DISTANCE, 3)
            quaternion = rotations.random_quaternion(rng)
        position = position + self._position_bias + position_noise * rng.standard_normal(3)
        error = rotations.exp(self._rotation_bias + rotation_noise * rng.standard_normal(3))
        turned = rotations.multiply(error, quaternion)
        return PoseReading(t, position, turned, sigma_position, sigma_rotation)
