"""Interfaces of the parts that the core uses."""

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from inhand.controller.errors import PolicyError
from inhand.controller.policy.action import ActionPath
from inhand.controller.policy.monitor import Monitor
from inhand.hardware.records import Array, JointState
from inhand.perception.records import ConfirmedPose, FilterHealth, ObjectPose, Sighting

Consumed_contra = TypeVar("Consumed_contra", contravariant=True)


class PoseSource(Protocol[Consumed_contra]):
    """Fuses measurements into a pose; implemented by `estimation.fusion.PoseFilter`."""

    def update(self, *measurements: Consumed_contra) -> object:
        """Takes the measurements since the last tick."""
        ...

    def note_joints(self, joints: JointState) -> None:
        """Takes the measured joint state; calls are in order of time."""
        ...

    def predict(self, t: float) -> ObjectPose | None:
        """The estimated pose at time `t` [s]; None if no pose was measured yet."""
        ...

    def sightings(self) -> tuple[Sighting, ...]:
        """Where the measurements of the last update showed the object, accepted or not."""
        ...

    @property
    def health(self) -> FilterHealth:
        """Counts and problems of the measurements; the same object while nothing changes."""
        ...

    def confirmed(self, since: float) -> tuple[ConfirmedPose, ...]:
        """Estimates at the capture times of accepted measurements later than `since` [s]."""
        ...

    def reset(self) -> None:
        """Resets the estimator to its initial state."""
        ...


class PolicyRunner(Protocol):
    """A policy that was checked against the hand; it keeps its own recurrent state."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def path(self) -> ActionPath: ...

    @property
    def observation_version(self) -> int:
        """Version of the layout of its observations."""
        ...

    @property
    def world_names(self) -> tuple[str, ...]:
        """Names of what it estimates of its world; empty if it estimates nothing."""
        ...

    @property
    def world(self) -> Array | None:
        """The last estimates: means, then logarithms of standard deviations; None before any."""
        ...

    @property
    def monitor(self) -> Monitor | None:
        """Says when hand or object behave unlike anything in its training; None without one."""
        ...

    def reset(self) -> None:
        """Clears the recurrent state, and what its monitor has measured."""
        ...

    def act(self, observation: NDArray[np.float32]) -> Array:
        """One policy step; (n_actuators,) in [-1, 1].

        Raises:
            PolicyError: the output is not a valid action.
        """
        ...


def require_rate(policy: PolicyRunner, tick_rate: int) -> None:
    """Raises PolicyError if the policy was made for another tick rate [ticks/s]."""
    if policy.path.tick_rate != tick_rate:
        raise PolicyError(
            f"policy {policy.name}: made for {policy.path.tick_rate} ticks/s, this daemon runs "
            f"{tick_rate}; set tick_rate = {policy.path.tick_rate} in the configuration"
        )
