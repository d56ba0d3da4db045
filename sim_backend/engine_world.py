"""What the worlds of all engines share: servos, pushes, time, resets and the drop rule."""

from abc import ABC, abstractmethod

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.pushes import Pushes
from inhand.sim_backend.servo_dynamics import Mask, Servos


class EngineWorld(ABC):
    """One hand and one object in one universe, in some physics engine.

    Arrays have the hand's joint or actuator order; quaternions are wxyz. With equal seeds and
    equal calls, two worlds give equal results.

    Args:
        hand: the nominal hand.
        target: the nominal object.
        universe: deviations from nominal.
        seed: of orientations and pushes.
        timestep: length of one physics step [s].

    Attributes:
        timestep: length of one physics step [s].
    """

    def __init__(
        self,
        hand: Hand,
        target: ObjectDescription,
        universe: Universe,
        seed: int,
        timestep: float,
    ) -> None:
        self.hand, self.target, self.universe = hand, target, universe
        self.timestep = timestep
        self._rng = np.random.default_rng(seed)
        self._servos = Servos(hand, universe, timestep, self._rng.spawn(1)[0])
        self._pushes = Pushes(universe, target.mass, self._rng)
        self._driven = list(hand.driven_joint)
        self._steps = 0

    @property
    def time(self) -> float:
        """Simulated time since the world was created [s]; a reset does not change it."""
        return self._steps * self.timestep

    def reset(self, object_quaternion: Array | None = None) -> None:
        """Puts the hand into its rest pose and the object onto it.

        Args:
            object_quaternion: world from object, wxyz, (4,); random if None.
        """
        self._put_hand(self.hand.joint_angles(self.hand.rest))
        self._servos.reset(self.hand.rest)
        self.place_object(object_quaternion)

    def place_object(self, quaternion: Array | None = None) -> None:
        """Puts the object at its start position with zero velocity; the hand does not change.

        Args:
            quaternion: world from object, wxyz, (4,); random if None.
        """
        if quaternion is None:
            quaternion = rotations.random_quaternion(self._rng)
        self._put_object(rotations.normalize(np.asarray(quaternion, np.float64)))

    @abstractmethod
    def _put_hand(self, angles: Array) -> None:
        """Puts the joints at these angles [rad], (n_joints,), or at their limits, at rest."""

    @abstractmethod
    def _put_object(self, quaternion: Array) -> None:
        """Puts the object at its start position at rest; `quaternion` is unit, wxyz, (4,)."""

    @abstractmethod
    def step(self, targets: Array, torque_on: Mask) -> None:
        """Advances one physics step.

        Args:
            targets: commanded servo angles [rad], (n_actuators,).
            torque_on: servos with torque, (n_actuators,).
        """

    @abstractmethod
    def encoders(self) -> tuple[Array, Array, Array]:
        """Measurements of the servos: position [rad], velocity [rad/s], current [A].

        Each is (n_actuators,). The current is the servo's torque over its torque constant.
        """

    @abstractmethod
    def joint_angles(self) -> Array:
        """True joint angles [rad], (n_joints,)."""

    @abstractmethod
    def object_pose(self) -> tuple[Array, Array]:
        """Centre of the shape, world frame [m], (3,), and world from object, wxyz, (4,)."""

    def dropped(self) -> bool:
        """Whether the object has left the workspace of the hand."""
        position, _ = self.object_pose()
        space = self.hand.workspace
        away = float(np.linalg.norm(position - np.array(space.center)))
        return away > space.radius or bool(position[2] < space.drop_height)

    def close(self) -> None:  # noqa: B027  (most engines have nothing to release)
        """Releases the engine; the world cannot be used afterwards."""
