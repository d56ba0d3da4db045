"""Error-state Kalman filter on position x SO(3) with velocities: one step forward, one correction.

Pure functions of states and measurements. The error is (position, rotation, linear velocity,
angular velocity), all in the world frame, with the true orientation exp(rotation) times the
estimated one (Solà, "Quaternion kinematics for the error-state Kalman filter", section 7,
"global angular errors").

Velocities are Ornstein-Uhlenbeck processes: left alone they decay within a fraction of a second,
as those of an object in a hand do, so that a prediction through an occlusion comes to rest with a
bounded uncertainty of velocity instead of flying off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import cos, exp, expm1, sin

import numpy as np

from inhand.perception import rotations
from inhand.perception.rotations import Array

_UNTURNED = np.eye(3)


@dataclass(frozen=True, slots=True)
class MotionModel:
    """How the object moves when nothing is known.

    The defaults follow a block that a policy turns in MuJoCo: 1.6 rad/s about each axis on average
    and 3 where it turns fastest, correlated over 0.06 s; a somewhat longer memory costs nothing
    there and follows smooth motion too.

    Attributes:
        linear_speed: standard deviation of a velocity component [m/s].
        angular_speed: standard deviation of an angular velocity component [rad/s].
        decay_time: time in which a velocity falls to 1/e [s].
    """

    linear_speed: float = 0.15
    angular_speed: float = 4.0
    decay_time: float = 0.1


HELD = MotionModel(linear_speed=0.12, angular_speed=3.5, decay_time=0.05)
"""How it moves beside what the hand's surfaces do to it."""


@dataclass(frozen=True, slots=True)
class PoseCandidate:
    """A pose that explains a measurement.

    Attributes:
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        covariance: of position and world rotation, (6, 6) [m, rad].
        cameras: how many cameras agree on it.
    """

    position: Array
    quaternion: Array
    covariance: Array
    cameras: int = 1


@dataclass(frozen=True, slots=True)
class PoseMeasurement:
    """What was measured at one instant: the object is at one of the candidates, best first."""

    t: float
    candidates: tuple[PoseCandidate, ...]


@dataclass(frozen=True, slots=True)
class PoseState:
    """The filter's belief at one instant.

    Attributes:
        t: [s].
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        linear_velocity: world frame [m/s], (3,).
        angular_velocity: world frame [rad/s], (3,).
        covariance: of the error state, (12, 12).
        measured: time of the last accepted measurement [s].
        refused: measurements refused since then, oldest first.
        accepted: accepted measurements since the start.
        rejected: refused measurements since the start.
        recoveries: how often the belief was thrown away for what was measured instead.
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


def initial(measurement: PoseMeasurement, motion: MotionModel) -> PoseState:
    """The belief after a first measurement, at rest with the model's spread of velocities."""
    best = measurement.candidates[0]
    covariance = np.zeros((12, 12))
    covariance[:6, :6] = best.covariance
    covariance[6:9, 6:9] = motion.linear_speed**2 * np.eye(3)
    covariance[9:, 9:] = motion.angular_speed**2 * np.eye(3)
    return PoseState(
        t=measurement.t,
        position=best.position,
        quaternion=best.quaternion,
        linear_velocity=np.zeros(3),
        angular_velocity=np.zeros(3),
        covariance=covariance,
        measured=measurement.t,
    )


def propagate(
    state: PoseState, t: float, motion: MotionModel, carried: Array | None = None
) -> PoseState:
    """The belief at a later time `t` [s].

    Args:
        state: the belief; its velocities are relative to what carries the object.
        t: when [s].
        motion: how the object moves by itself.
        carried: shift of the object's centre [m] and world rotation vector [rad] by which it is
            moved along as a whole in that time, (6,); None for a hand that rests.
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
        # What is carried along turns, the error with it.
        along = _Turn(*carried[3:].tolist())
        rotation = along.matrix()
        position = position + carried[:3]
        quaternion = _product(along.quaternion, quaternion)
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
        quaternion=_unit(_product(turn.quaternion, quaternion)),
        linear_velocity=kept * linear,
        angular_velocity=kept * angular,
        covariance=0.5 * (covariance + covariance.T),
        measured=state.measured,
        refused=state.refused,
        accepted=state.accepted,
        rejected=state.rejected,
        recoveries=state.recoveries,
    )


class _Turn:
    """What a rotation vector (x, y, z) [rad] does."""

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
        """That, and the turn in the world by each component of the vector, (2, 3, 3)."""
        both = self._series(self._sine, self._versine) + self._series(self._versine, self._third)
        return np.array(both).reshape(2, 3, 3)

    def _series(self, once: float, twice: float) -> list[float]:
        """The identity, and the vector's cross product taken once and twice, with these shares."""
        x, y, z = self._vector
        rest = 1.0 - twice * self._square
        xy, xz, yz = twice * x * y, twice * x * z, twice * y * z
        x1, y1, z1 = once * x, once * y, once * z
        return [
            *(rest + twice * x * x, xy - z1, xz + y1),
            *(xy + z1, rest + twice * y * y, yz - x1),
            *(xz - y1, yz + x1, rest + twice * z * z),
        ]


def innovation(state: PoseState, candidate: PoseCandidate) -> tuple[Array, Array]:
    """What a candidate says that the belief does not.

    Returns:
        difference: candidate minus belief, position and world rotation, (6,) [m, rad].
        covariance: expected spread of the difference, (6, 6).
    """
    turn = rotations.multiply(candidate.quaternion, rotations.conjugate(state.quaternion))
    difference = np.concatenate([candidate.position - state.position, rotations.log(turn)])
    return difference, state.covariance[:6, :6] + candidate.covariance


def distance(state: PoseState, candidate: PoseCandidate) -> float:
    """Squared Mahalanobis distance of a candidate from the belief; chi-square, 6 degrees."""
    difference, covariance = innovation(state, candidate)
    return float(difference @ np.linalg.solve(covariance, difference))


def correct(state: PoseState, candidate: PoseCandidate) -> PoseState:
    """The belief after a candidate, of the same instant, has been believed."""
    difference, spread = innovation(state, candidate)
    gain = np.linalg.solve(spread, state.covariance[:6]).T
    error = gain @ difference
    # Joseph's form keeps the covariance positive whatever the rounding.
    left = np.eye(12)
    left[:, :6] -= gain
    covariance = left @ state.covariance @ left.T + gain @ candidate.covariance @ gain.T
    quaternion = rotations.multiply(rotations.exp(error[3:6]), state.quaternion)
    return replace(
        state,
        position=state.position + error[:3],
        quaternion=rotations.normalize(quaternion),
        linear_velocity=state.linear_velocity + error[6:9],
        angular_velocity=state.angular_velocity + error[9:],
        covariance=(covariance + covariance.T) / 2,
        measured=state.t,
        refused=(),
        accepted=state.accepted + 1,
    )


def _product(turn: Sequence[float], quaternion: Sequence[float]) -> Sequence[float]:
    """The orientation after a turn, all wxyz."""
    a, b, c, d = turn
    w, x, y, z = quaternion
    return (
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    )


def _unit(quaternion: Sequence[float]) -> Array:
    """The same orientation, wxyz, of unit length whatever the rounding."""
    w, x, y, z = quaternion
    length = (w * w + x * x + y * y + z * z) ** 0.5
    return np.array([w / length, x / length, y / length, z / length])


@cache
def _noise_shapes(motion: MotionModel) -> Array:
    """What each of three factors puts where: of pose, of pose with speed, of speed, (3, 144)."""
    variance = np.diag(np.repeat([motion.linear_speed**2, motion.angular_speed**2], 3))
    places = [[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]
    return np.array([np.kron(place, variance).ravel() for place in places])


def _noise(dt: float, motion: MotionModel) -> Array:
    """What random accelerations over `dt` [s] add, exactly for the velocity model, (12, 12)."""
    x = dt / motion.decay_time
    # Per unit of velocity variance; the closed form of the first cancels for small x.
    pose = 2 * x + 4 * expm1(-x) - expm1(-2 * x) if x > 0.01 else x**3 * (2 / 3 - x / 2)
    pose *= motion.decay_time**2
    mixed = expm1(-x) ** 2 * motion.decay_time
    speed = -expm1(-2 * x)
    added: Array = (np.array([pose, mixed, speed]) @ _noise_shapes(motion)).reshape(12, 12)
    return added
