"""One world in Drake, with the interface of `inhand.sim_backend.world.World`."""

import numpy as np
from pydrake.multibody.math import SpatialVelocity

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe, UniverseError
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.drake.friction import JointFriction
from inhand.sim_backend.drake.plant import build
from inhand.sim_backend.drake.surfaces import rubber
from inhand.sim_backend.engine_world import EngineWorld
from inhand.sim_backend.pybullet_universe import mounting, varied_hand, varied_object
from inhand.sim_backend.servo_dynamics import Mask

FINGERTIP = 0.01
"""Radius of a fingertip without a shape [m]."""


class DrakeWorld(EngineWorld):
    """One hand and one object in Drake, in one universe.

    Arrays have the hand's joint or actuator order; quaternions are wxyz. With equal seeds and
    equal calls, two worlds give equal results.

    Args:
        hand: the nominal hand.
        target: the nominal object.
        universe: deviations from nominal.
        seed: of orientations and pushes.

    Attributes:
        timestep: length of one physics step [s].
        plant: Drake's multibody plant.
        inspector: Drake's inspector of the geometry.

    Raises:
        UniverseError: Drake does not support this universe.
    """

    def __init__(
        self, hand: Hand, target: ObjectDescription, universe: Universe, seed: int
    ) -> None:
        _require_known(universe)
        super().__init__(hand, target, universe, seed, universe.drake.timestep)
        self._varied = varied_hand(hand, universe)
        sizes = [shape.size[0] for tip in hand.fingertips for shape in hand.links[tip].shapes[:1]]
        radius = min(sizes, default=FINGERTIP)
        self._model = build(
            self._varied,
            mounting(hand, universe),
            varied_object(target, universe),
            np.array(universe.center_of_mass),
            rubber(universe, radius),
            universe.drake,
        )
        self.plant = plant = self._model.plant
        self.inspector = self._model.scene.model_inspector()
        plant.mutable_gravity_field().set_gravity_vector(universe.gravity)
        self._root = self._model.diagram.CreateDefaultContext()
        self._context = plant.GetMyMutableContextFromRoot(self._root)
        force = np.zeros(plant.num_velocities())
        self._force = plant.get_applied_generalized_force_input_port().FixValue(
            self._context, force
        )
        self._friction = JointFriction(self._varied, universe, self.timestep)
        self._center = np.array(universe.center_of_mass)
        self._object_at = self._model.object.floating_positions_start()
        self._object_speeds = self._model.object.floating_velocities_start_in_v()
        self._limits = np.array([link.range for link in self._varied.links]).T
        self._torque = np.zeros(hand.n_actuators)
        self.reset()

    def _put_hand(self, angles: Array) -> None:
        positions = self.plant.GetPositions(self._context).copy()
        # In this universe the rest pose may be outside a joint limit.
        positions[self._model.joints] = np.clip(angles, *self._limits)
        self.plant.SetPositions(self._context, positions)
        self.plant.SetVelocities(self._context, np.zeros(self.plant.num_velocities()))
        self._friction.reset(positions[self._model.joints])
        self._torque = np.zeros(self.hand.n_actuators)

    def _put_object(self, quaternion: Array) -> None:
        at = self._object_at
        positions = self.plant.GetPositions(self._context).copy()
        positions[at : at + 4] = quaternion
        positions[at + 4 : at + 7] = self.hand.workspace.object_start
        self.plant.SetPositions(self._context, positions)
        self.set_object_velocity(np.zeros(3), np.zeros(3))
        self._read()

    def set_object_velocity(self, linear: Array, angular: Array) -> None:
        """Sets linear [m/s] and angular velocity [rad/s] of the object, world frame, each (3,)."""
        velocity = SpatialVelocity(angular, linear)
        self.plant.SetFreeBodySpatialVelocity(self._context, self._model.object, velocity)

    def step(self, targets: Array, torque_on: Mask) -> None:
        """Advances one physics step.

        Args:
            targets: commanded servo angles [rad], (n_actuators,).
            torque_on: servos with torque, (n_actuators,).
        """
        stretch = self._servos.advance(targets, torque_on, self._angles[self._driven])
        limit = self._varied.torque_limit
        self._torque = np.clip(self._varied.gain * stretch, -limit, limit)
        force = np.zeros(self.plant.num_velocities())
        speeds = np.array(self._model.speeds)
        force[speeds] = self._friction.torque(self._angles, self._speeds)
        force[speeds[self._driven]] += self._torque
        push = self._pushes.force(self.time)
        if push.any():
            at = self._object_speeds
            _, quaternion = self.object_pose()
            arm = rotations.rotate(quaternion, self._center)
            force[at : at + 3], force[at + 3 : at + 6] = np.cross(arm, push), push
        self._force.GetMutableData().set_value(force)
        following = self._model.diagram.EvalUniquePeriodicDiscreteUpdate(self._root)
        self._root.SetDiscreteState(following)
        self._steps += 1
        self._read()

    def _read(self) -> None:
        self._angles = self.plant.GetPositions(self._context)[self._model.joints]
        self._speeds = self.plant.GetVelocities(self._context)[self._model.speeds]

    def encoders(self) -> tuple[Array, Array, Array]:
        """Measurements of the servos: position [rad], velocity [rad/s], current [A].

        Each is (n_actuators,). The current is the servo's torque over its torque constant.
        """
        position = self._servos.encoders(self._angles[self._driven])
        velocity = self._speeds[self._driven]
        return position, velocity, self._torque / self._servos.torque_per_ampere

    def joint_angles(self) -> Array:
        """True joint angles [rad], (n_joints,)."""
        angles: Array = self._angles.copy()
        return angles

    def object_pose(self) -> tuple[Array, Array]:
        """Centre of the shape, world frame [m], (3,), and world from object, wxyz, (4,)."""
        at = self._object_at
        pose = self.plant.GetPositions(self._context)[at : at + 7]
        return pose[4:7].copy(), rotations.normalize(pose[:4])


def _require_known(universe: Universe) -> None:
    """Checks that Drake supports the universe.

    Raises:
        UniverseError: Drake does not; with the remedy.
    """
    if universe.torsional_friction:
        raise UniverseError(
            "universe: Drake has no torsional_friction, as it follows from the contact patch; "
            "leave it out, or use engine pybullet or mujoco"
        )
    if universe.contact_rebound and universe.drake.solver == "sap":
        raise UniverseError(
            "universe: Drake's solver sap has no contact_rebound; leave it out, or set "
            "[drake] solver to lagged or similar"
        )
