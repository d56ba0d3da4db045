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
from inhand.sim_backend.pushes import Pushes
from inhand.sim_backend.pybullet_universe import mounting, varied_hand, varied_object
from inhand.sim_backend.servo_dynamics import Mask, Servos
from inhand.sim_backend.stiction import Stiction


class World:
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
        self.hand, self.target, self.universe = hand, target, universe
        self.timestep = universe.pybullet.timestep
        self._rng = np.random.default_rng(seed)
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
        self._servos = Servos(hand, universe, self.timestep, self._rng.spawn(1)[0])
        self._pushes = Pushes(universe, target.mass, self._rng)
        self._joints = list(range(hand.n_joints))
        self._driven = list(hand.driven_joint)
        self._steps = 0
        self._torque = np.zeros(hand.n_actuators)
        self.reset()

    def _surface(self, mass: float) -> Surface:
        """Contact parameters of an object of this mass [kg]."""
        universe = self.universe
        softness, rebound = universe.contact_softness, universe.contact_rebound
        damping = corner_damping(softness, rebound, mass, self.timestep) if softness else 0.0
        return Surface(universe.torsional_friction, softness, damping)

    @property
    def time(self) -> float:
        """Simulated time since the world was created [s]; a reset does not change it."""
        return self._steps * self.timestep

    def reset(self, object_quaternion: Array | None = None) -> None:
        """Puts the hand into its rest pose and the object onto it.

        Args:
            object_quaternion: world from object, wxyz, (4,); random if None.
        """
        rest = self.hand.joint_angles(self.hand.rest)
        for joint, link in enumerate(self._varied.links):
            # In this universe the rest pose may be outside a joint limit.
            angle = min(max(float(rest[joint]), link.range[0]), link.range[1])
            pybullet.resetJointState(self.hand_body, joint, angle, 0.0, physicsClientId=self.client)
        self._servos.reset(self.hand.rest)
        self._torque = np.zeros(self.hand.n_actuators)
        self.place_object(object_quaternion)
        self._read_joints()

    def place_object(self, quaternion: Array | None = None) -> None:
        """Puts the object at its start position with zero velocity; the hand does not change.

        Args:
            quaternion: world from object, wxyz, (4,); random if None.
        """
        if quaternion is None:
            quaternion = rotations.random_quaternion(self._rng)
        w, x, y, z = rotations.normalize(np.asarray(quaternion, dtype=np.float64)).tolist()
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

    def dropped(self) -> bool:
        """Whether the object has left the workspace of the hand."""
        position, _ = self.object_pose()
        space = self.hand.workspace
        away = float(np.linalg.norm(position - np.array(space.center)))
        return away > space.radius or bool(position[2] < space.drop_height)

    def close(self) -> None:
        """Ends PyBullet's client; the world cannot be used afterwards."""
        pybullet.disconnect(physicsClientId=self.client)
