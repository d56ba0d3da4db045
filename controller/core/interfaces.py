"""What the core needs of the parts that it is given."""

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from inhand.controller.errors import PolicyError
from inhand.controller.policy.action import ActionPath
from inhand.hardware.records import Array, JointState
from inhand.perception.records import ObjectPose

Consumed_contra = TypeVar("Consumed_contra", contravariant=True)


class PoseSource(Protocol[Consumed_contra]):
    """Fuses measurements into a pose; `estimation.fusion.PoseFilter` is the real one."""

    def update(self, *measurements: Consumed_contra) -> object:
        """Takes what was measured since the last tick."""
        ...

    def note_joints(self, joints: JointState) -> None:
        """Takes what the servos measured, in order of time."""
        ...

    def predict(self, t: float) -> ObjectPose | None:
        """The pose at an instant [s]; None if none was ever measured."""
        ...

    def reset(self) -> None:
        """Forgets everything."""
        ...


class PolicyRunner(Protocol):
    """A policy that was checked against the hand; it carries its own recurrent state."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def path(self) -> ActionPath: ...

    def reset(self) -> None:
        """Forgets what it learned about this universe."""
        ...

    def act(self, observation: NDArray[np.float32]) -> Array:
        """One policy step; (n_actuators,) in [-1, 1].

        Raises:
            PolicyError: the result is no action.
        """
        ...


def require_rate(policy: PolicyRunner, tick_rate: int) -> None:
    """Raises PolicyError if a policy was not made for this many ticks a second."""
    if policy.path.tick_rate != tick_rate:
        raise PolicyError(
            f"policy {policy.name}: made for {policy.path.tick_rate} ticks/s, this daemon runs "
            f"{tick_rate}; set tick_rate = {policy.path.tick_rate} in the configuration"
        )
