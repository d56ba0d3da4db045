"""What a robot measures of its world: late, noisy, and sometimes not at all."""

import numpy as np
from numpy.typing import NDArray

from controller.observation import observe
from hardware.kinematics import fingertip_positions
from perception import rotations
from training.environment import BatchEnvironment

MAX_CAMERA_AGE = 0.08
"""Age of a healthy pose [s]: exposure, detection and half a frame; drawn for each episode."""

FREEZE_SECONDS = 1.0
"""How long poses stay away once they freeze."""

BELIEVED = 0.1
"""Share of wild poses that get past the filter."""

WILD_DISTANCE = 0.1
"""How far off a wild pose may be along each axis [m]; its orientation is any."""


class Sensors:
    """Joint readings and poses of a batch of worlds, as their universes spoil them.

    A pose that is missing, or wild and so rejected by the filter, is replaced by the last one,
    whose age grows; a few wild ones are believed, for a step. Latency is modelled to first
    order: a reading is what the present velocity says it was that long ago.

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
        # Columns: joint, position and rotation noise a step, joint latency, pose latency,
        # probability of a missing pose, probability a step that poses freeze, camera age,
        # probability of a wild pose that is believed.
        self._levels = np.zeros((n, 9))
        self._position = np.zeros((n, 3))
        self._quaternion = np.tile(rotations.IDENTITY, (n, 1))
        self._age = np.zeros(n)
        self._frozen = np.zeros(n)
        self.reset(np.arange(n))

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Draws this episode's errors; to be called after the worlds' own reset."""
        worlds, rng = self._worlds, self._rng
        rate = worlds.path.policy_rate
        for i in ids:
            universe = worlds.variation.universes[i]
            self._levels[i] = (
                universe.joint_noise[0],
                universe.position_noise[0],
                universe.rotation_noise[0],
                universe.joint_latency,
                universe.pose_latency,
                universe.pose_dropout + (1.0 - BELIEVED) * universe.pose_outlier,
                universe.pose_freeze / rate,
                rng.uniform(0.0, MAX_CAMERA_AGE),
                BELIEVED * universe.pose_outlier,
            )
            self._joint_bias[i] = universe.joint_noise[1]
            self._position_bias[i] = universe.position_noise[1]
            self._rotation_bias[i] = universe.rotation_noise[1]
        for bias in (self._joint_bias, self._position_bias, self._rotation_bias):
            bias[ids] *= rng.standard_normal((len(ids), bias.shape[1]))
        self._frozen[ids] = 0.0
        self._measure_poses(ids)

    def _measure_poses(self, ids: NDArray[np.int64]) -> None:
        worlds, rng, levels = self._worlds, self._rng, self._levels[ids]
        position, rotation, latency = levels[:, 1, None], levels[:, 2, None], levels[:, 4, None]
        velocity = worlds.object_velocity[ids]
        n = len(ids)
        self._position[ids] = (
            worlds.object_position[ids]
            - latency * velocity[:, :3]
            + self._position_bias[ids]
            + position * rng.standard_normal((n, 3))
        )
        late = rotations.exp(-latency * velocity[:, 3:])
        error = rotations.exp(self._rotation_bias[ids] + rotation * rng.standard_normal((n, 3)))
        now = rotations.normalize(worlds.object_quaternion[ids])
        self._quaternion[ids] = rotations.multiply(error, rotations.multiply(now, late))
        self._age[ids] = levels[:, 4] + levels[:, 7]

    def _inject_poses(self, ids: NDArray[np.int64]) -> None:
        """Puts wild poses in the place of these worlds' true ones."""
        n = len(ids)
        self._position[ids] += self._rng.uniform(-WILD_DISTANCE, WILD_DISTANCE, (n, 3))
        self._quaternion[ids] = rotations.random_quaternion(self._rng, (n,))

    def observe(self) -> NDArray[np.float32]:
        """Measures every world once a policy step, (n, observation_size)."""
        worlds, rng, levels = self._worlds, self._rng, self._levels
        dt = 1.0 / worlds.path.policy_rate
        n = worlds.size
        self._frozen = np.maximum(0.0, self._frozen - dt)
        self._frozen[rng.random(n) < levels[:, 6]] = FREEZE_SECONDS
        self._age += dt
        seen = (self._frozen == 0.0) & (rng.random(n) >= levels[:, 5])
        self._measure_poses(np.flatnonzero(seen))
        self._inject_poses(np.flatnonzero(seen & (rng.random(n) < levels[:, 8])))
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
            object_position=self._position,
            object_quaternion=self._quaternion,
            goal_quaternion=worlds.goal,
            pose_age=self._age,
        )
