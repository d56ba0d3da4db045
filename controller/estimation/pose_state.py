"""Error-state Kalman filter on position x SO(3) with velocities: records, and one step forward.

Pure functions of states and measurements. The error is (position, rotation, linear velocity,
angular velocity), all in the world frame, with the true orientation exp(rotation) times the
estimated one (Solà, "Quaternion kinematics for the error-state Kalman filter", section 7,
"global angular errors").

Velocities are Ornstein-Uhlenbeck processes: without measurements they decay within a fraction of a
second, like those of an object in a hand. So a prediction through an occlusion comes to rest, and
the uncertainty of velocity stays bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, exp, expm1, sin

import numpy as np

from inhand.perception import rotations
from inhand.perception.rotations import Array

_UNTURNED = np.eye(3)


@dataclass(frozen=True, slots=True)
class MotionModel:
    """Motion model of the object.

    The defaults are from a block that a policy turns in MuJoCo: 1.6 rad/s about each axis on
    average and 3 when it turns fastest, with a correlation time of 0.06 s. A somewhat longer decay
    time gives the same accuracy there and also follows smooth motion.

    Attributes:
        linear_speed: standard deviation of a velocity component [m/s].
        angular_speed: standard deviation of an angular velocity component [rad/s].
        decay_time: time in which a velocity falls to 1/e [s].
    """

    linear_speed: float = 0.15
    angular_speed: float = 4.0
    decay_time: float = 0.1


HELD = MotionModel(linear_speed=0.12, angular_speed=3.5, decay_time=0.05)
"""Motion relative to the hand, where the hand's motion is known."""


@dataclass(frozen=True, slots=True)
class PoseCandidate:
    """A pose that explains a measurement.

    Attributes:
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        covariance: of position and world rotation, (6, 6) [m, rad].
        cameras: how many cameras agree on it.
        sensitivity: error of the pose by k errors of the cameras' calibration, in standard
            deviations, (6, k); `covariance` contains it. None if none is declared.
    """

    position: Array
    quaternion: Array
    covariance: Array
    cameras: int = 1
    sensitivity: Array | None = None


@dataclass(frozen=True, slots=True)
class PoseMeasurement:
    """A measurement at one instant.

    Attributes:
        t: when it was true [s].
        candidates: one of them is the object's pose; best first.
        seen_by: names of the cameras that saw it; empty for a pose from elsewhere.
    """

    t: float
    candidates: tuple[PoseCandidate, ...]
    seen_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the latest measurement of a camera was accepted."""

    camera: str
    t: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class PoseState:
    """The filter's estimate at one instant.

    Attributes:
        t: [s].
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        linear_velocity: world frame [m/s], (3,).
        angular_velocity: world frame [rad/s], (3,).
        covariance: of the error state, (12, 12).
        measured: time of the last accepted measurement [s].
        refused: measurements rejected since then, oldest first.
        accepted: accepted measurements since the start.
        rejected: rejected measurements since the start.
        recoveries: re-initialisations after consistent rejections.
        shared: covariance of the error state with the errors of the cameras' calibration, (12, k);
            None if none is declared.
        verdicts: the latest one of each camera.
    """

    t: float
    position: Array
    quaternion: Array
    linear_velocity: Array
    angular_velocity: Array
    covariance: Array
    measured: float
    refused: tuple[PoseMeasurement, ...] = ()
    accepted: int = 1
    rejected: int = 0
    recoveries: int = 0
    shared: Array | None = None
    verdicts: tuple[Verdict, ...] = ()


def initial(measurement: PoseMeasurement, motion: MotionModel) -> PoseState:
    """The estimate from a first measurement: at rest, with the model's velocity covariance."""
    best = measurement.candidates[0]
    covariance = np.zeros((12, 12))
    covariance[:6, :6] = best.covariance
    covariance[6:9, 6:9] = motion.linear_speed**2 * np.eye(3)
    covariance[9:, 9:] = motion.angular_speed**2 * np.eye(3)
    shared = None
    if best.sensitivity is not None:
        shared = np.zeros((12, best.sensitivity.shape[1]))
        shared[:6] = -best.sensitivity
    return PoseState(
        t=measurement.t,
        position=best.position,
        quaternion=best.quaternion,
        linear_velocity=np.zeros(3),
        angular_velocity=np.zeros(3),
        covariance=covariance,
        measured=measurement.t,
        shared=shared,
    )


def propagate(
    state: PoseState, t: float, motion: MotionModel, carried: Array | None = None
) -> PoseState:
    """Predicts the estimate at a later time `t` [s].

    Args:
        state: the estimate; its velocities are relative to the hand.
        t: when [s].
        motion: motion model relative to the hand.
        carried: shift of the object's centre [m] and world rotation vector [rad] by which the hand
            moves it in that time, (6,); None for a hand at rest.
    """
    dt = t - state.t
    if dt <= 0:
        return state
    position, quaternion = state.position, state.quaternion.tolist()
    linear, angular = state.linear_velocity, state.angular_velocity
    # Plain floats where there are three of them: this runs every tick, and a call of numpy
    # costs more than the arithmetic.
    rotation = _UNTURNED
    if carried is not None:
        # The hand's rotation turns position error and velocities too.
        along = _Turn(*carried[3:].tolist())
        rotation = along.matrix()
        position = position + carried[:3]
        quaternion = rotations.product(along.quaternion, quaternion)
        linear, angular = rotation @ linear, rotation @ angular
    kept = exp(-dt / motion.decay_time)
    reach = -motion.decay_time * expm1(-dt / motion.decay_time)
    x, y, z = angular.tolist()
    turn = _Turn(reach * x, reach * y, reach * z)
    turned, veered = turn.matrix_and_left_jacobian() @ rotation
    step = np.zeros((12, 12))
    step[:3, :3] = rotation
    step[3:6, 3:6] = turned
    step[:3, 6:9] = reach * rotation
    step[3:6, 9:] = reach * veered
    step[6:9, 6:9] = step[9:, 9:] = kept * rotation
    covariance = step @ state.covariance @ step.T + _noise(dt, motion)
    return PoseState(
        t=t,
        position=position + reach * linear,
        quaternion=_unit(rotations.product(turn.quaternion, quaternion)),
        linear_velocity=kept * linear,
        angular_velocity=kept * angular,
        covariance=0.5 * (covariance + covariance.T),
        measured=state.measured,
        refused=state.refused,
        accepted=state.accepted,
        rejected=state.rejected,
        recoveries=state.recoveries,
        shared=None if state.shared is None else step @ state.shared,
        verdicts=state.verdicts,
    )


class _Turn:
    """Rotation matrix, quaternion and left Jacobian of a rotation vector (x, y, z) [rad]."""

    def __init__(self, x: float, y: float, z: float) -> None:
        self._vector = x, y, z
        square = x * x + y * y + z * z
        # Rodrigues, and the left Jacobian of SO(3); their series where the angle is small.
        if square > 1e-8:
            angle = square**0.5
            self._sine, self._versine = sin(angle) / angle, (1 - cos(angle)) / square
            self._third = (1 - self._sine) / square
            half, whole = sin(angle / 2) / angle, cos(angle / 2)
        else:
            self._sine, self._versine, self._third, half, whole = 1.0, 0.5, 1 / 6, 0.5, 1.0
        self._square = square
        self.quaternion = (whole, half * x, half * y, half * z)

    def matrix(self) -> Array:
        """Rotation matrix, (3, 3)."""
        return np.array(self._series(self._sine, self._versine)).reshape(3, 3)

    def matrix_and_left_jacobian(self) -> Array:
        """Rotation matrix and left Jacobian of SO(3), (2, 3, 3)."""
        both = self._series(self._sine, self._versine) + self._series(self._versine, self._third)
        return np.array(both).reshape(2, 3, 3)

    def _series(self, once: float, twice: float) -> list[float]:
        """I + once · [v]× + twice · [v]×², row by row; [v]× is the cross-product matrix."""
        x, y, z = self._vector
        rest = 1.0 - twice * self._square
        xy, xz, yz = twice * x * y, twice * x * z, twice * y * z
        x1, y1, z1 = once * x, once * y, once * z
        return [
            *(rest + twice * x * x, xy - z1, xz + y1),
            *(xy + z1, rest + twice * y * y, yz - x1),
            *(xz - y1, yz + x1, rest + twice * z * z),
        ]


def left_jacobian(vector: Array) -> Array:
    """Left Jacobian of SO(3) at a rotation vector [rad], (3,); (3, 3)."""
    jacobian: Array = _Turn(*vector.tolist()).matrix_and_left_jacobian()[1]
    return jacobian


def _unit(quaternion: Sequence[float]) -> Array:
    """The quaternion, wxyz, normalized to unit length."""
    w, x, y, z = quaternion
    length = (w * w + x * x + y * y + z * z) ** 0.5
    return np.array([w / length, x / length, y / length, z / length])


@cache
def _noise_shapes(motion: MotionModel) -> Array:
    """Places of three factors in the covariance: pose, pose with velocity, velocity, (3, 144)."""
    variance = np.diag(np.repeat([motion.linear_speed**2, motion.angular_speed**2], 3))
    places = [[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]
    return np.array([np.kron(place, variance).ravel() for place in places])


def _noise(dt: float, motion: MotionModel) -> Array:
    """Process noise over `dt` [s], exact for the velocity model, (12, 12)."""
    x = dt / motion.decay_time
    # Per unit of velocity variance; the closed form of the first cancels for small x.
    pose = 2 * x + 4 * expm1(-x) - expm1(-2 * x) if x > 0.01 else x**3 * (2 / 3 - x / 2)
    pose *= motion.decay_time**2
    mixed = expm1(-x) ** 2 * motion.decay_time
    speed = -expm1(-2 * x)
    added: Array = (np.array([pose, mixed, speed]) @ _noise_shapes(motion)).reshape(12, 12)
    return added
