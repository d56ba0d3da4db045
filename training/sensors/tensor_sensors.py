"""`inhand.training.sensors.sensors.Sensors` for worlds whose state is in tensors on a device."""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inhand.training.mujoco_worlds import tensor_rotations as rotations
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.tensor_hand import TensorHand
from inhand.training.mujoco_worlds.tensor_observation import observe
from inhand.training.sensors.sensors import (
    BIASES,
    CAMERA_RATE,
    FREEZE_SECONDS,
    INJECTED,
    INJECTION,
    INTERVAL,
    LATENCY,
    LEVELS,
    OUTLIER_DISTANCE,
    PIPELINE_LATENCY,
    Sensors,
    declared,
    errors_of,
)
from inhand.training.sensors.tensor_carrying import TensorCarrying
from inhand.training.sensors.tensor_draws import Draws, TensorDraws
from inhand.training.sensors.tensor_tracking import TensorPoses

IDENTITY = (1.0, 0.0, 0.0, 0.0)
EVERY = slice(None)


class TensorSensors:
    """Joint readings and poses of a batch of worlds; see `Sensors`.

    What is drawn is drawn for all worlds, and masks tell where it counts, so that the host need
    not wait for the device. Sizes of the errors are copied there for worlds that begin anew.

    Args:
        worlds: what is measured; their arrays are tensors.
        seed: of noise and drop-outs.
        version: of the layout of the observations.
        draws: source of randomness in place of one with that seed.

    Attributes:
        believed: estimated orientations of the last observation, world from object, (n, 4) wxyz.
    """

    def __init__(
        self, worlds: BatchOfWorlds, seed: int, version: int = 1, draws: Draws | None = None
    ) -> None:
        self._worlds = cast(Any, worlds)  # whose arrays are tensors
        self._version = version
        n, actuators = worlds.size, worlds.hand.n_actuators
        like: Tensor = self._worlds.object_position
        self._draws = draws or TensorDraws(like, seed)
        self._hand = TensorHand(worlds.hand, like)
        self._carrying = TensorCarrying(worlds.hand, worlds.target, self._hand)
        self._poses = TensorPoses(n, 1.0 / worlds.policy_rate, like)
        self._symmetry = like.new_tensor(worlds.target.symmetry.tolist())
        self._center = like.new_tensor(worlds.hand.workspace.center)
        self._joint_bias = like.new_zeros((n, actuators))
        self._position_bias, self._rotation_bias = like.new_zeros((2, n, 3))
        self._levels = like.new_zeros((n, 7))
        # In double precision, so that as many policy steps fit into a freeze as in numpy.
        self._frozen = torch.zeros(n, dtype=torch.float64, device=like.device)
        self._joints = self._hand.rest.repeat(n, 1)
        self._place = like.new_zeros((n, 3))
        self._began = torch.ones(n, dtype=torch.bool, device=like.device)
        self.believed = like.new_tensor(IDENTITY).repeat(n, 1)
        self.reset(np.arange(n))

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Draws the errors of a new episode. Call it after the worlds' own reset."""
        if not len(ids):
            return
        worlds, draws, poses = self._worlds, self._draws, self._poses
        drawn = errors_of([worlds.universes[i] for i in ids], worlds.policy_rate)
        told = torch.from_numpy(np.concatenate([drawn, declared(drawn).T], -1))
        told = told.to(self._frozen.device)
        errors, deviations = told[:, :12], told[:, 12:]
        rows, k = torch.from_numpy(ids).to(told.device), len(ids)
        self._levels[rows] = errors[:, LEVELS].to(self._levels.dtype)
        poses.deviation[:, rows] = deviations.T
        biases = self._joint_bias, self._position_bias, self._rotation_bias
        for bias, size in zip(biases, errors[:, BIASES].to(self._levels.dtype).T, strict=True):
            bias[rows] = size[:, None] * draws.normal(k, bias.shape[1])
        self._frozen[rows] = 0.0
        self._began[rows] = True
        shortest = 1.0 / _between(CAMERA_RATE, draws.uniform(k).double())
        poses.rate[rows] = 1.0 / shortest.maximum(errors[:, INTERVAL])
        late = _between(PIPELINE_LATENCY, draws.uniform(k).double())
        poses.latency[rows] = errors[:, LATENCY] + late
        where = (
            worlds.object_position[rows],
            rotations.normalize(worlds.object_quaternion[rows]),
        )
        poses.reset(rows, draws, where, self._spoiled(*where, rows))

    def _spoiled(
        self, position: Tensor, quaternion: Tensor, rows: Tensor | slice = EVERY
    ) -> tuple[Tensor, Tensor]:
        """Poses of these worlds with the episode's bias and fresh noise, (k, 3) and (k, 4)."""
        draws, levels, k = self._draws, self._levels[rows], len(position)
        moved = self._position_bias[rows] + levels[:, 1, None] * draws.normal(k, 3)
        turned = self._rotation_bias[rows] + levels[:, 2, None] * draws.normal(k, 3)
        return position + moved, rotations.multiply(rotations.exp(turned), quaternion)

    def _random_pose(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Poses at random near these positions, (n, 3): positions, and quaternions, (n, 4)."""
        n = len(position)
        far = _between((-OUTLIER_DISTANCE, OUTLIER_DISTANCE), self._draws.uniform(n, 3))
        return position + far, rotations.normalize(self._draws.normal(n, 4))

    def _look(self, joints: Tensor) -> None:
        """Processes the frames that have arrived since the last step.

        Args:
            joints: measured at present [rad], (n, n_actuators).
        """
        worlds, draws, levels = self._worlds, self._draws, self._levels
        freezes = draws.uniform(worlds.size) < levels[:, 5]
        thawing = (self._frozen - 1.0 / worlds.policy_rate).clamp(min=0.0)
        self._frozen = torch.where(freezes, FREEZE_SECONDS, thawing)
        quaternion = rotations.normalize(worlds.object_quaternion)
        carried = self._carrying.motion(self._joints, joints, self._place, self.believed)
        carried = torch.where(self._began[:, None], 0.0, carried)
        self._joints = joints
        self._began = torch.zeros_like(self._began)
        fresh, *pose = self._poses.advance(worlds.object_position, quaternion, carried)
        position, quaternion = self._spoiled(*pose)
        chance = draws.uniform(worlds.size)
        wild = (chance < levels[:, 6])[:, None]
        other, turned = self._random_pose(position)
        seen = fresh & (self._frozen == 0.0) & (chance < 1.0 - levels[:, 4])
        self._poses.accept(
            seen, torch.where(wild, other, position), torch.where(wild, turned, quaternion)
        )

    def privileged(self) -> Tensor:
        """What is hidden from the robot in its measurements, (n, k); see `Sensors.privileged`."""
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
        return torch.cat([part.float() for part in parts], -1)

    def observe(self) -> Tensor:
        """Measures every world, (n, observation_size). Call it once a policy step."""
        worlds, draws, levels = self._worlds, self._draws, self._levels
        noise = levels[:, 0, None] * draws.normal(*self._joint_bias.shape)
        late = levels[:, 3, None] * worlds.joint_velocity
        joints = worlds.joint_position - late + self._joint_bias + noise
        self._look(joints)
        position, quaternion, age = self._poses.predict()
        self._place, self.believed = position, quaternion
        injected = worlds.strengths[:, INJECTION] * INJECTED
        chosen = (draws.uniform(worlds.size) < injected)[:, None]
        other, turned = self._random_pose(position)
        return observe(
            symmetry=self._symmetry,
            center=self._center,
            joint_position=joints,
            sent_target=worlds.sent_target,
            fingertips=self._hand.fingertips(joints),
            object_position=torch.where(chosen, other, position),
            object_quaternion=torch.where(chosen, turned, quaternion),
            goal_quaternion=worlds.goal,
            pose_age=age,
            object_angular_velocity=self._poses.turning(),
            goal_tolerance=worlds.tolerance,
            version=self._version,
        )


AnySensors = Sensors | TensorSensors


def sensors_of(worlds: BatchOfWorlds, seed: int, version: int = 1) -> AnySensors:
    """Sensors of worlds, where their arrays are; arguments as those of `Sensors`."""
    on_device = isinstance(worlds.goal, Tensor)
    return (TensorSensors if on_device else Sensors)(worlds, seed, version)


def _between(ends: tuple[float, float], share: Tensor) -> Tensor:
    """Numbers between two ends, from shares in [0, 1)."""
    low, high = ends
    return low + (high - low) * share
