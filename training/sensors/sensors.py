"""Sensors of a batch of worlds: latency, noise, drop-outs and outliers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inhand.controller.policy.observation import observe
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.draws import NAMES
from inhand.training.sensors.carrying import Carrying
from inhand.training.sensors.tracking import (
    POSITION_DEVIATION,
    ROTATION_DEVIATION,
    TrackedPoses,
)

CAMERA_RATE = (12.0, 20.0)
"""Range of the frame rate [Hz], drawn for each episode."""

PIPELINE_LATENCY = (0.02, 0.05)
"""Range of the delay from trigger to pose in a world without `pose_latency` [s], drawn for each
episode."""

FREEZE_SECONDS = 1.0
"""Duration without poses once they freeze [s]."""

ACCEPTED_OUTLIERS = 0.1
"""Share of outliers that pass the pose filter's outlier gate."""

OUTLIER_DISTANCE = 0.1
"""Largest error of an outlier along each axis [m]; its orientation is uniform."""


INJECTED = 0.1
"""Probability at strength 1 that a random pose replaces the estimate for a step. DeXtreme injects
up to 0.3 (arXiv:2210.13702), so that a policy does not rely on single poses."""

INJECTION = NAMES.index("pose_injection")


LEVELS, LATENCY, BIASES, INTERVAL = slice(0, 7), 7, slice(8, 11), 11
"""Columns of `errors_of`."""


def errors_of(universes: Sequence[Universe], rate: float) -> Array:
    """Sizes of the errors of measurement in some universes, (k, 12).

    Columns: joint, position and rotation noise a step, joint latency, probability of a missing
    pose, probability a step that poses freeze, probability of an outlier that is accepted;
    latency of poses; joint, position and rotation bias of an episode; interval of poses.

    Args:
        universes: k of them.
        rate: policy steps a second [Hz].
    """
    rows = [
        (
            one.joint_noise[0],
            one.position_noise[0],
            one.rotation_noise[0],
            one.joint_latency,
            one.pose_dropout + (1.0 - ACCEPTED_OUTLIERS) * one.pose_outlier,
            one.pose_freeze / rate,
            ACCEPTED_OUTLIERS * one.pose_outlier,
            one.pose_latency,
            one.joint_noise[1],
            one.position_noise[1],
            one.rotation_noise[1],
            one.pose_interval,
        )
        for one in universes
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 12)


def declared(errors: Array) -> Array:
    """Deviations of position [m] and rotation [rad] that the robot declares, (2, k).

    They contain noise, but neither bias nor outliers.

    Args:
        errors: of `errors_of`, (k, 12).
    """
    nominal = np.array([[POSITION_DEVIATION], [ROTATION_DEVIATION]])
    deviations: Array = np.hypot(nominal, errors[:, 1:3].T)
    return deviations


class Sensors:
    """Joint readings and poses of a batch of worlds, with the errors of their universes.

    If a pose is missing, or is an outlier that the filter rejects, the filter predicts from the
    poses before and the pose's age grows. A few outliers are accepted until the next frame. Joint
    latency is modelled to first order: the reading is extrapolated back with the present velocity.

    Args:
        worlds: what is measured.
        seed: of noise and drop-outs.
        version: of the layout of the observations.

    Attributes:
        believed: estimated orientations of the last observation, world from object, (n, 4) wxyz.
    """

    def __init__(self, worlds: BatchOfWorlds, seed: int, version: int = 1) -> None:
        self._worlds, self._version = worlds, version
        self._rng = np.random.default_rng(seed)
        n, actuators = worlds.size, worlds.hand.n_actuators
        self._joint_bias = np.zeros((n, actuators))
        self._position_bias = np.zeros((n, 3))
        self._rotation_bias = np.zeros((n, 3))
        self._levels = np.zeros((n, 7))
        self._poses = TrackedPoses(n, 1.0 / worlds.policy_rate)
        self._frozen = np.zeros(n)
        self._carrying = Carrying(worlds.hand, worlds.target)
        self._joints = np.tile(worlds.hand.rest, (n, 1))
        self._place = np.zeros((n, 3))
        self._began = np.ones(n, dtype=np.bool_)
        self.believed = np.tile(rotations.IDENTITY, (n, 1))
        self.reset(np.arange(n))

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Draws the errors of a new episode. Call it after the worlds' own reset."""
        worlds, rng, poses = self._worlds, self._rng, self._poses
        errors = errors_of([worlds.universes[i] for i in ids], worlds.policy_rate)
        self._levels[ids] = errors[:, LEVELS]
        poses.deviation[:, ids] = declared(errors)
        biases = self._joint_bias, self._position_bias, self._rotation_bias
        for bias, size in zip(biases, errors[:, BIASES].T, strict=True):
            bias[ids] = size[:, None]
            bias[ids] *= rng.standard_normal((len(ids), bias.shape[1]))
        self._frozen[ids] = 0.0
        self._began[ids] = True
        shortest = np.maximum(1.0 / rng.uniform(*CAMERA_RATE, len(ids)), errors[:, INTERVAL])
        poses.rate[ids] = 1.0 / shortest
        poses.latency[ids] = errors[:, LATENCY] + rng.uniform(*PIPELINE_LATENCY, len(ids))
        where = worlds.object_position[ids], rotations.normalize(worlds.object_quaternion[ids])
        poses.reset(ids, rng, where, self._spoiled(ids, *where))

    def _spoiled(
        self, ids: NDArray[np.int64], position: Array, quaternion: Array
    ) -> tuple[Array, Array]:
        """Poses of these worlds with the episode's bias and fresh noise, (k, 3) and (k, 4)."""
        rng, levels, shape = self._rng, self._levels[ids], (len(ids), 3)
        moved = self._position_bias[ids] + levels[:, 1, None] * rng.standard_normal(shape)
        turned = self._rotation_bias[ids] + levels[:, 2, None] * rng.standard_normal(shape)
        return position + moved, rotations.multiply(rotations.exp(turned), quaternion)

    def _look(self, joints: Array) -> None:
        """Processes the frames that have arrived since the last step.

        Args:
            joints: measured at present [rad], (n, n_actuators).
        """
        worlds, rng, levels = self._worlds, self._rng, self._levels
        n = worlds.size
        self._frozen = np.maximum(0.0, self._frozen - 1.0 / worlds.policy_rate)
        self._frozen[rng.random(n) < levels[:, 5]] = FREEZE_SECONDS
        quaternion = rotations.normalize(worlds.object_quaternion)
        carried = self._carrying.motion(self._joints, joints, self._place, self.believed)
        carried[self._began] = 0.0
        self._joints, self._began[:] = joints, False
        ids, *pose = self._poses.advance(worlds.object_position, quaternion, carried)
        position, quaternion = self._spoiled(ids, *pose)
        chance = rng.random(len(ids))
        wild = np.flatnonzero(chance < levels[ids, 6])
        position[wild] += rng.uniform(-OUTLIER_DISTANCE, OUTLIER_DISTANCE, (len(wild), 3))
        quaternion[wild] = rotations.random_quaternion(rng, (len(wild),))
        seen = (self._frozen[ids] == 0.0) & (chance < 1.0 - levels[ids, 4])
        self._poses.accept(ids[seen], position[seen], quaternion[seen])

    def privileged(self) -> NDArray[np.float32]:
        """What is hidden from the robot in its measurements, (n, k), in units of about 1.

        Biases of joints, position and rotation, latency and interval of the poses, and the error
        of the last estimated rotation.
        """
        true = rotations.normalize(self._worlds.object_quaternion)
        error = rotations.log(rotations.multiply(true, rotations.conjugate(self.believed)))
        poses = self._poses
        parts = [
            self._joint_bias / 0.02,
            self._position_bias / 0.005,
            self._rotation_bias / 0.05,
            poses.latency[:, None] / 0.1,
            1.0 / (0.1 * poses.rate[:, None]),
            error / 0.2,
        ]
        return np.concatenate(parts, -1, dtype=np.float32)

    def _injected(self) -> Array:
        """Probability of a random pose in place of the estimate in a step, (n,)."""
        share: Array = INJECTED * self._worlds.strengths[:, INJECTION]
        return share

    def observe(self) -> NDArray[np.float32]:
        """Measures every world, (n, observation_size). Call it once a policy step."""
        worlds, rng, levels = self._worlds, self._rng, self._levels
        joints = (
            worlds.joint_position
            - levels[:, 3, None] * worlds.joint_velocity
            + self._joint_bias
            + levels[:, 0, None] * rng.standard_normal(self._joint_bias.shape)
        )
        self._look(joints)
        position, quaternion, age = self._poses.predict()
        self._place, self.believed = position, quaternion
        injected = np.flatnonzero(rng.random(worlds.size) < self._injected())
        if len(injected):
            position, quaternion = position.copy(), quaternion.copy()
            far = rng.uniform(-OUTLIER_DISTANCE, OUTLIER_DISTANCE, (len(injected), 3))
            position[injected] += far
            quaternion[injected] = rotations.random_quaternion(rng, (len(injected),))
        turning = self._poses.turning()
        return observe(
            worlds.hand,
            worlds.target,
            joint_position=joints,
            sent_target=worlds.sent_target,
            fingertips=fingertip_positions(worlds.hand, joints),
            object_position=position,
            object_quaternion=quaternion,
            goal_quaternion=worlds.goal,
            pose_age=age,
            object_angular_velocity=turning,
            goal_tolerance=worlds.tolerance,
            version=self._version,
        )
