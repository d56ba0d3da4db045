"""One world in MuJoCo with the interface of `sim_backend.world.World`, for evaluation and tests."""

from dataclasses import replace

import msgspec
import mujoco
import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.engine_world import EngineWorld
from inhand.sim_backend.pybullet_universe import varied_hand
from inhand.sim_backend.servo_dynamics import Mask
from inhand.sim_backend.stiction import Stiction
from inhand.training.mujoco_worlds.model import OBJECT, build_spec
from inhand.training.mujoco_worlds.universe import model_fields


def universe_model(hand: Hand, target: ObjectDescription, universe: Universe) -> mujoco.MjModel:
    """The model of one universe, changed with `model_fields` as in training."""
    if target.shape != "box":
        # A mesh cannot be resized in a compiled model.
        length, width, height = (universe.object_size * extent for extent in target.size)
        target = replace(target, size=(length, width, height))
        universe = msgspec.structs.replace(universe, object_size=1.0)
    model = build_spec(hand, target).compile()
    for name, value in model_fields(model, hand, universe).items():
        owner, _, field = name.rpartition(".")
        if np.ndim(value):
            getattr(model.opt if owner else model, field)[:] = value
        else:
            setattr(model.opt, field, value.item())
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


class MujocoWorld(EngineWorld):
    """One hand and one object in MuJoCo, in one universe.

    Arrays have the hand's joint or actuator order; quaternions are wxyz. With equal seeds and
    equal calls, two worlds give equal results.

    Args:
        hand: the nominal hand.
        target: the nominal object.
        universe: deviations from nominal.
        seed: of orientations and pushes.

    Attributes:
        timestep: length of one physics step [s].
    """

    def __init__(
        self, hand: Hand, target: ObjectDescription, universe: Universe, seed: int
    ) -> None:
        super().__init__(hand, target, universe, seed, universe.mujoco.timestep)
        self.model = universe_model(hand, target, universe)
        self.data = mujoco.MjData(self.model)
        self._push = self.data.xfrc_applied[self.model.body(OBJECT).id, :3]
        self._limits = self.model.jnt_range[: hand.n_joints].T
        self._stiction = Stiction(varied_hand(hand, universe), universe)
        self._friction = self.model.dof_frictionloss[: hand.n_joints]
        self.reset()

    def _put_hand(self, angles: Array) -> None:
        mujoco.mj_resetData(self.model, self.data)
        # In this universe the rest pose may be outside a joint limit.
        self.data.qpos[: self.hand.n_joints] = np.clip(angles, *self._limits)

    def _put_object(self, quaternion: Array) -> None:
        at = self.hand.n_joints
        self.data.qpos[at : at + 3] = self.hand.workspace.object_start
        self.data.qpos[at + 3 : at + 7] = quaternion
        self.data.qvel[at : at + 6] = 0.0

    def step(self, targets: Array, torque_on: Mask) -> None:
        """Advances one physics step.

        Args:
            targets: commanded servo angles [rad], (n_actuators,).
            torque_on: servos with torque, (n_actuators,).
        """
        angles = self.data.qpos[self._driven]
        # The model's actuators act from the joint's angle: their target is that plus the stretch.
        self.data.ctrl[:] = angles + self._servos.advance(targets, torque_on, angles)
        if self._stiction.acts:
            self._friction[:] = self._stiction.friction(self.data.qvel[: self.hand.n_joints])
        self._push[:] = self._pushes.force(self.time)
        mujoco.mj_step(self.model, self.data)
        self._steps += 1

    def encoders(self) -> tuple[Array, Array, Array]:
        """Measurements of the servos: position [rad], velocity [rad/s], current [A].

        Each is (n_actuators,). The current is the servo's torque over its torque constant.
        """
        position = self._servos.encoders(self.data.qpos[self._driven])
        current = self.data.actuator_force / self._servos.torque_per_ampere
        return position, self.data.qvel[self._driven], current

    def joint_angles(self) -> Array:
        """True joint angles [rad], (n_joints,)."""
        angles: Array = self.data.qpos[: self.hand.n_joints].copy()
        return angles

    def object_pose(self) -> tuple[Array, Array]:
        """Centre of the shape, world frame [m], (3,), and world from object, wxyz, (4,)."""
        at = self.hand.n_joints
        pose = self.data.qpos[at : at + 7].copy()
        return pose[:3], rotations.normalize(pose[3:])
