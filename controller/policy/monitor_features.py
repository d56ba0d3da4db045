"""What the monitor looks at in each policy step: prediction errors of joints and object.

Everything is computed from the observation that the policy gets, over leading batch axes, so that
robot and training use the same code.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inhand.controller.policy.observation import MAX_POSE_AGE, observation_layout
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.perception import rotations

LAGS = 5
"""Targets of as many policy steps may still act on the joints: delays reach 0.08 s in training."""

REGRESSORS = LAGS + 3
"""Numbers from which the motion of a joint is predicted: targets, two motions and a constant."""

OBJECT = (
    "turn_squared",
    "turn_error",
    "turn_error_of_frame",
    "shift_squared",
    "shift_error_of_frame",
    "carried_squared",
    "carried_turn",
    "carried_error",
    "target_motion",
    "joint_motion",
    "pose_age",
    "pose_age_squared",
    "pose_late",
    "frame",
    "frame_age",
    "frame_interval",
    "frame_interval_squared",
    "turn_jump",
    "shift_jump",
    "position_squared",
    "nearest_tip",
    "tip_distance",
    "tips_near",
    "turning",
    "position_x",
    "position_y",
    "position_z",
)
"""Names of the features of the object and of its poses."""

_TURN, _SHIFT = 0.15, 0.005
"""Units of the object's turn [rad] and shift [m] in a step."""

_NEAR = 0.045
"""Distance from the object's centre within which a fingertip carries it [m]."""

_LATE = 0.15
"""Age of a late pose [s]."""


class _Seen(NamedTuple):
    """What is kept of an earlier step."""

    joints: Array
    targets: Array
    tips: Array
    position: Array
    quaternion: Array
    turning: Array
    age: Array
    since: Array


class StepFeatures:
    """Features of successive policy steps; knows the last few observations.

    Args:
        hand: whose observations they are.
        rate: policy steps a second [Hz].
        version: of the layout of the observations.
    """

    def __init__(self, hand: Hand, rate: float, version: int) -> None:
        self._center = np.array(hand.workspace.center)
        self._dt = 1.0 / rate
        self._parts: dict[str, tuple[int, int]] = {}
        at = 0
        for name, size, _ in observation_layout(hand, version):
            self._parts[name] = at, at + size
            at += size
        # Plain tuples, as a checkpoint holds no other records of the monitor.
        self._past: list[tuple[Array, ...]] = []

    def interrupt(self) -> None:
        """The next observation does not follow the last one after one policy step."""
        self._past = []

    def step(
        self, observation: NDArray[np.floating], goal: Array
    ) -> tuple[Array, Array, Array] | None:
        """Takes an observation.

        Args:
            observation: laid out as the version says, (..., n).
            goal: wanted orientation in it, world from object, (..., 4) wxyz.

        Returns:
            Motion of each joint since the last step [rad], (..., n_actuators); what it is predicted
            from, (..., n_actuators, REGRESSORS); and the features of the object,
            (..., len(OBJECT)). None until there are enough earlier observations.
        """
        now = self._read(observation, goal)
        past = [_Seen(*one) for one in self._past]
        if past:
            # Predictions make the age grow by a step; a frame makes it grow by less.
            frame = now.age < past[-1].age + 0.9 * self._dt
            now = now._replace(since=np.where(frame, 0.0, past[-1].since + self._dt))
        self._past = [*self._past[-(LAGS - 1) :], tuple(now)]
        if len(past) < LAGS:
            return None
        last = past[-1]
        joints = last.joints
        moved = now.joints - joints
        before, earlier = joints - past[-2].joints, past[-2].joints - past[-3].joints
        targets = [now.targets, *(one.targets for one in past[:0:-1])]
        pulls = [one - joints for one in targets]
        regressors = np.stack([*pulls, before, earlier, np.full_like(joints, 0.1)], axis=-1)
        return moved, regressors, self._of_object(now, last)

    def _read(self, observation: NDArray[np.floating], goal: Array) -> _Seen:
        seen = np.asarray(observation, dtype=np.float64)
        parts = {name: seen[..., slice(*ends)] for name, ends in self._parts.items()}
        position = parts["object_from_palm"] + self._center
        relative = parts["fingertip_from_object"]
        to_go = rotations.exp(parts["rotation_to_go_vector"])
        age = parts["pose_age"][..., 0]
        return _Seen(
            joints=parts["joint_position"],
            targets=parts["sent_target"],
            tips=relative.reshape(*relative.shape[:-1], -1, 3) + position[..., None, :],
            position=position,
            quaternion=rotations.multiply(rotations.conjugate(to_go), goal),
            turning=parts.get("object_angular_velocity", np.zeros_like(position)),
            age=age,
            since=np.zeros_like(age),
        )

    def _of_object(self, now: _Seen, last: _Seen) -> Array:
        dt = self._dt
        turn = rotations.log(
            rotations.multiply(now.quaternion, rotations.conjugate(last.quaternion))
        )
        shift = now.position - last.position
        error = _squared((turn - dt * last.turning) / _TURN)
        moved = _squared(shift / _SHIFT)
        frame = (now.since == 0.0).astype(np.float64)
        interval = np.minimum(last.since + dt, 2 * MAX_POSE_AGE) * frame
        arms = now.tips - now.position[..., None, :]
        distance = np.sqrt(np.einsum("...i,...i->...", arms, arms))
        weight = np.exp(-((distance / _NEAR) ** 4))
        motion = now.tips - last.tips - shift[..., None, :]
        levers = np.einsum("...n,...n->...", weight, distance**2) + 1e-5
        turned = np.einsum("...n,...ni->...i", weight, rotations.cross(arms, motion))
        carried = turned / levers[..., None]
        place = 50.0 * (now.position - self._center)
        found = np.empty((*now.age.shape, len(OBJECT)))
        moving = (
            _squared(turn / _TURN),
            error,
            error * frame,
            moved,
            moved * frame,
            _squared(carried / _TURN),
            np.einsum("...i,...i->...", carried, turn) / _TURN**2,
            _squared((turn - carried) / _TURN),
            _squared((now.targets - last.targets) / 0.1),
            _squared((now.joints - last.joints) / 0.1),
        )
        for column, value in enumerate(moving):
            found[..., column] = value
        # Single outliers must not decide a mean: linear up to about 10, 20 at most.
        bounded = len(moving)
        found[..., :bounded] = 20.0 * np.tanh(found[..., :bounded] / 20.0)
        still = (
            10.0 * now.age,
            (10.0 * now.age) ** 2,
            now.age > _LATE,
            frame,
            10.0 * now.age * frame,
            10.0 * interval,
            (10.0 * interval) ** 2,
            error > 10.0,
            moved > 10.0,
            _squared(place),
            50.0 * distance.min(-1),
            20.0 * distance.mean(-1),
            weight.sum(-1),
            dt * np.sqrt(_squared(now.turning)) / _TURN,
        )
        for column, value in enumerate(still, bounded):
            found[..., column] = value
        found[..., -3:] = place
        return found


def _squared(vector: Array) -> Array:
    return np.asarray(np.einsum("...i,...i->...", vector, vector))
