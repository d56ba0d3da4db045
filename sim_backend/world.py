"""The simulated hand with an object in PyBullet, driven by servo models."""

import numpy as np
import pybullet

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.bodies import Surface, add_hand, add_object, set_friction
from inhand.sim_backend.contact import corner_damping
from inhand.sim_backend.engine_world import EngineWorld
from inhand.sim_backend.pybullet_universe import mounting, varied_hand, varied_object
from inhand.sim_backend.servo_dynamics import Mask
from inhand.sim_backend.stiction import Stiction


class World(EngineWorld):
    """One hand and one object in one universe, with its own PyBullet client.

    Arrays have the hand's joint or actuator order; quaternions are wxyz. With equal seeds and
    equal calls, two worlds give equal results.

    Args:
        hand: the nominal hand.
        target: the nominal object.
        universe: deviations from nominal.
        seed: of orientations and pushes.
        gui: whether to open PyBullet's window.

    Attributes:
        timestep: length of one physics step [s].
        client: PyBullet's client.
        hand_body: PyBullet's id of the hand; its joints have the hand's order.
        object_body: PyBullet's id of the object; its pose in PyBullet is that of the centre of
            mass.
    """

    def __init__(
        self,
        hand: Hand,
        target: ObjectDescription,
        universe: Universe,
        seed: int,
        gui: bool = False,
    ) -> None:
        super().__init__(hand, target, universe, seed, universe.pybullet.timestep)
        self.client: int = pybullet.connect(pybullet.GUI if gui else pybullet.DIRECT)
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=self.timestep,
            numSolverIterations=universe.pybullet.iterations,
            numSubSteps=0,
            enableFileCaching=0,
            deterministicOverlappingPairs=1,
            physicsClientId=self.client,
        )
        pybullet.setGravity(*universe.gravity, physicsClientId=self.client)
        self._varied = varied_hand(hand, universe)
        self._center = np.array(universe.center_of_mass)
        self.hand_body = add_hand(self.client, self._varied, *mounting(hand, universe))
        varied = varied_object(target, universe)
        self.object_body = add_object(self.client, varied, self._center, self._surface(varied.mass))
        self._stiction = Stiction(self._varied, universe)
        self._joints = list(range(hand.n_joints))
        self._torque = np.zeros(hand.n_actuators)
        self.reset()

    def _surface(self, mass: float) -> Surface:
        """Contact parameters of an object of this mass [kg]."""
        universe = self.universe
        softness, rebound = universe.contact_softness, universe.contact_rebound
        damping = corner_damping(softness, rebound, mass, self.timestep) if softness else 0.0
        return Surface(universe.torsional_friction, softness, damping)

    def _put_hand(self, angles: Array) -> None:
        for joint, link in enumerate(self._varied.links):
            # In this universe the rest pose may be outside a joint limit.
            angle = min(max(float(angles[joint]), link.range[0]), link.range[1])
            pybullet.resetJointState(self.hand_body, joint, angle, 0.0, physicsClientId=self.client)
        self._torque = np.zeros(self.hand.n_actuators)
        self._read_joints()

    def _put_object(self, quaternion: Array) -> None:
        w, x, y, z = quaternion.tolist()
        start = np.array(self.hand.workspace.object_start)
        center = start + rotations.rotate(np.array([w, x, y, z]), self._center)
        pybullet.resetBasePositionAndOrientation(
            self.object_body, center.tolist(), [x, y, z, w], physicsClientId=self.client
        )
        pybullet.resetBaseVelocity(
            self.object_body, [0, 0, 0], [0, 0, 0], physicsClientId=self.client
        )

    def step(self, targets: Array, torque_on: Mask) -> None:
        """Advances one physics step.

        Args:
            targets: commanded servo angles [rad], (n_actuators,).
            torque_on: servos with torque, (n_actuators,).
        """
        stretch = self._servos.advance(targets, torque_on, self._angles[self._driven])
        limit = self._varied.torque_limit
        self._torque = np.clip(self._varied.gain * stretch, -limit, limit)
        pybullet.setJointMotorControlArray(
            self.hand_body,
            self._driven,
            pybullet.TORQUE_CONTROL,
            forces=self._torque.tolist(),
            physicsClientId=self.client,
        )
        if self._stiction.acts:
            set_friction(self.client, self.hand_body, self._stiction.friction(self._speeds))
        force = self._pushes.force(self.time)
        if force.any():
            position, _ = pybullet.getBasePositionAndOrientation(
                self.object_body, physicsClientId=self.client
            )
            pybullet.applyExternalForce(
                self.object_body,
                -1,
                force.tolist(),
                position,
                pybullet.WORLD_FRAME,
                physicsClientId=self.client,
            )
        pybullet.stepSimulation(physicsClientId=self.client)
        self._steps += 1
        self._read_joints()

    def _read_joints(self) -> None:
        states = pybullet.getJointStates(self.hand_body, self._joints, physicsClientId=self.client)
        self._angles = np.array([state[0] for state in states])
        self._speeds = np.array([state[1] for state in states])

    def encoders(self) -> tuple[Array, Array, Array]:
        """Measurements of the servos: position [rad], velocity [rad/s], current [A].

        Each is (n_actuators,). The current is the servo's torque over its torque constant.
        """
        position = self._servos.encoders(self._angles[self._driven])
        velocity = self._speeds[self._driven]
        return position, velocity, self._torque / self._servos.torque_per_ampere

    def joint_angles(self) -> Array:
        """True joint angles [rad], (n_joints,)."""
        return self._angles.copy()

    def object_pose(self) -> tuple[Array, Array]:
        """Centre of the shape, world frame [m], (3,), and world from object, wxyz, (4,)."""
        center, (x, y, z, w) = pybullet.getBasePositionAndOrientation(
            self.object_body, physicsClientId=self.client
        )
        quaternion = np.array([w, x, y, z])
        return np.array(center) - rotations.rotate(quaternion, self._center), quaternion

    def close(self) -> None:
        """Ends PyBullet's client."""
        pybullet.disconnect(physicsClientId=self.client)
