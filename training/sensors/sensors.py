"""Sensors of a batch of worlds: latency, noise, drop-outs and outliers."""

import numpy as np
from numpy.typing import NDArray

from inhand.controller.policy.observation import observe
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.tracking import TrackedPoses

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


class Sensors:
    """Joint readings and poses of a batch of worlds, with the errors of their universes.

    If a pose is missing, or is an outlier that the filter rejects, the filter predicts from the
    poses before and the pose's age grows. A few outliers are accepted until the next frame. Joint
    latency is modelled to first order: the reading is extrapolated back with the present velocity.

    Args:
        worlds: what is measured.
        seed: of noise and drop-outs.
    """

    def __init__(self, worlds: BatchEnvironment, seed: int) -> None:
        self._worlds = worlds
        self._rng = np.random.default_rng(seed)
        n, actuators = worlds.size, worlds.hand.n_actuators
        self._joint_bias = np.zeros((n, actuators))
        self._position_bias = np.zeros((n, 3))
        self._rotation_bias = np.zeros((n, 3))
        # Columns: joint, position and rotation noise a step, joint latency, probability of a
        # missing pose, probability a step that poses freeze, probability of an outlier that is
        # accepted.
        self._levels = np.zeros((n, 7))
        self._poses = TrackedPoses(n, 1.0 / worlds.path.policy_rate)
        self._frozen = np.zeros(n)
        self.reset(np.arange(n))

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Draws the errors of a new episode. Call it after the worlds' own reset."""
        worlds, rng = self._worlds, self._rng
        rate = worlds.path.policy_rate
        for i in ids:
            universe = worlds.variation.universes[i]
            self._levels[i] = (
                universe.joint_noise[0],
                universe.position_noise[0],
                universe.rotation_noise[0],
                universe.joint_latency,
                universe.pose_dropout + (1.0 - ACCEPTED_OUTLIERS) * universe.pose_outlier,
                universe.pose_freeze / rate,
                ACCEPTED_OUTLIERS * universe.pose_outlier,
            )
            self._poses.latency[i] = universe.pose_latency
            self._joint_bias[i] = universe.joint_noise[1]
            self._position_bias[i] = universe.position_noise[1]
            self._rotation_bias[i] = universe.rotation_noise[1]
        for bias in (self._joint_bias, self._position_bias, self._rotation_bias):
            bias[ids] *= rng.standard_normal((len(ids), bias.shape[1]))
        self._frozen[ids] = 0.0
        interval = np.array([worlds.variation.universes[i].pose_interval for i in ids])
        shortest = np.maximum(1.0 / rng.uniform(*CAMERA_RATE, len(ids)), interval)
        self._poses.rate[ids] = 1.0 / shortest
        self._poses.latency[ids] += rng.uniform(*PIPELINE_LATENCY, len(ids))
        where = worlds.object_position[ids], rotations.normalize(worlds.object_quaternion[ids])
        self._poses.reset(ids, rng, where, self._spoiled(ids, *where))

    def _spoiled(
        self, ids: NDArray[np.int64], position: Array, quaternion: Array
    ) -> tuple[Array, Array]:
        """Poses of these worlds with the episode's bias and fresh noise, (k, 3) and (k, 4)."""
        rng, levels, shape = self._rng, self._levels[ids], (len(ids), 3)
        moved = self._position_bias[ids] + levels[:, 1, None] * rng.standard_normal(shape)
        turned = self._rotation_bias[ids] + levels[:, 2, None] * rng.standard_normal(shape)
        return position + moved, rotations.multiply(rotations.exp(turned), quaternion)

    def _look(self) -> None:
        """Processes the frames that have arrived since the last step."""
        worlds, rng, levels = self._worlds, self._rng, self._levels
        n = worlds.size
        self._frozen = np.maximum(0.0, self._frozen - 1.0 / worlds.path.policy_rate)
        self._frozen[rng.random(n) < levels[:, 5]] = FREEZE_SECONDS
        quaternion = rotations.normalize(worlds.object_quaternion)
        ids, *pose = self._poses.advance(worlds.object_position, quaternion)
        position, quaternion = self._spoiled(ids, *pose)
        chance = rng.random(len(ids))
        wild = np.flatnonzero(chance < levels[ids, 6])
        position[wild] += rng.uniform(-OUTLIER_DISTANCE, OUTLIER_DISTANCE, (len(wild), 3))
        quaternion[wild] = rotations.random_quaternion(rng, (len(wild),))
        seen = (self._frozen[ids] == 0.0) & (chance < 1.0 - levels[ids, 4])
        self._poses.accept(ids[seen], position[seen], quaternion[seen])

    def observe(self) -> NDArray[np.float32]:
        """Measures every world, (n, observation_size). Call it once a policy step."""
        worlds, rng, levels = self._worlds, self._rng, self._levels
        self._look()
        position, quaternion, age = self._poses.predict()
        joints = (
            worlds.joint_position
            - levels[:, 3, None] * worlds.joint_velocity
            + self._joint_bias
            + levels[:, 0, None] * rng.standard_normal(self._joint_bias.shape)
        )
        return observe(
            worlds.hand,
            worlds.target,
            joint_position=joints,
            sent_target=worlds.state.motion.position,
            fingertips=fingertip_positions(worlds.hand, joints),
            object_position=position,
            object_quaternion=quaternion,
            goal_quaternion=worlds.goal,
            pose_age=age,
        )
