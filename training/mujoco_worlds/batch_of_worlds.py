"""What learning, sensors and measurements need of a batch of worlds, whatever steps its physics."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe, Vary
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription
from inhand.training.mujoco_worlds.automatic_ranges import AutomaticRanges, Precision
from inhand.training.mujoco_worlds.rewards import Rewards, Step, Values


class BatchOfWorlds(Protocol):
    """Hands that each hold an object, stepped together.

    `inhand.training.mujoco_worlds.environment.BatchEnvironment` is one, on the cores of one
    machine, with arrays of numpy. In
    `inhand.training.mujoco_worlds.tensor_environment.TensorEnvironment` each array is a tensor on
    the device of the worlds, but for the numbers of worlds (`ids`).

    The curriculum's settings (`goal_distance`, `universe_scale`, `vary`, `ranges`, `precision`,
    `settle_seconds`) take effect in each world at its next reset.

    Attributes:
        goal_distance: largest angle from the object to a new goal [rad].
        universe_scale: of the ranges of new universes, if `ranges` is None.
        vary: the kind of fields that new universes differ in.
        ranges: automatic ranges of the universes; None: ranges scaled by `universe_scale`.
        precision: curriculum of the tolerance; None: the same tolerance everywhere.
        settle_seconds: time from the start in which episodes do not count for either [s].
    """

    goal_distance: float
    universe_scale: float
    vary: Vary
    ranges: AutomaticRanges | None
    precision: Precision | None
    settle_seconds: float

    @property
    def hand(self) -> Hand:
        """The hand of all worlds."""
        ...

    @property
    def target(self) -> ObjectDescription:
        """The object of all worlds."""
        ...

    @property
    def size(self) -> int:
        """Number of worlds."""
        ...

    @property
    def rewards(self) -> Rewards:
        """Weights of the reward, and the rule of success."""
        ...

    @property
    def policy_rate(self) -> float:
        """Policy steps a second [Hz]."""
        ...

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 of hand file, object and model, on which learned weights depend."""
        ...

    @property
    def universes(self) -> list[Universe]:
        """The universe of each world."""
        ...

    @property
    def strengths(self) -> Array:
        """With which the universes were drawn, (size, axes of `draws.AXES`)."""
        ...

    @property
    def goal(self) -> Array:
        """Orientations to reach, world from object, (size, 4) wxyz."""
        ...

    @property
    def tolerance(self) -> Array:
        """Largest error of a goal that is reached [rad], (size,)."""
        ...

    @property
    def goals_reached(self) -> NDArray[np.int64]:
        """Goals reached in the present episode of each world, (size,)."""
        ...

    @property
    def sent_target(self) -> Array:
        """Targets last sent to the servos [rad], (size, n_actuators)."""
        ...

    @property
    def joint_position(self) -> Array:
        """Encoder readings [rad], (size, n_actuators)."""
        ...

    @property
    def joint_velocity(self) -> Array:
        """Velocities of the driven joints [rad/s], (size, n_actuators)."""
        ...

    @property
    def object_position(self) -> Array:
        """Centres of the objects, world frame [m], (size, 3)."""
        ...

    @property
    def object_quaternion(self) -> Array:
        """World from object, (size, 4) wxyz; about unit length, as the engine integrated it."""
        ...

    def harden(self, goal_distance: float, universe_scale: float) -> None:
        """Sets the distance of goals [rad] and the scale of universes, and resets all worlds."""
        ...

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Begins new episodes in these worlds, in new universes."""
        ...

    def count(self, ids: NDArray[np.int64]) -> None:
        """Counts the goals of the episodes that ended in these worlds; call it before `reset`."""
        ...

    def step(self, actions: Values) -> Step:
        """Advances every world by one policy step; the caller resets worlds with ended episodes.

        Args:
            actions: in [-1, 1], (size, n_actuators).
        """
        ...

    def observe(self) -> NDArray[np.float32]:
        """Observations without measurement errors, (size, observation_size)."""
        ...

    def privileged(self) -> NDArray[np.float32]:
        """What only a simulation can measure, (size, n)."""
        ...
