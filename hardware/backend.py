"""Interface of a hand for the controller, real or simulated."""

from abc import ABC, abstractmethod

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState, Targets


class HandBackend(ABC):
    """A hand that can be read and commanded once a tick.

    `hand` is known before `connect`. The controller has the loop: a backend never sleeps to keep
    a rate. `write` returns the targets that were sent.
    """

    hand: Hand

    @property
    def problem(self) -> str:
        """Problem of a part of the hand while the hand can be read; empty if there is none."""
        return ""

    @abstractmethod
    def connect(self) -> None:
        """Opens the device and checks that it is the described hand; torque stays as it is.

        Raises:
            BusError: the hand is absent or is not the one described.
        """

    @abstractmethod
    def read(self, deadline: float | None = None) -> JointState:
        """Measures all servos; values of a servo that did not answer are NaN, never older ones.

        Args:
            deadline: when to give up at the latest [s, CLOCK_MONOTONIC].

        Raises:
            BusError: nothing could be measured.
        """

    @abstractmethod
    def write(self, targets: Targets) -> Targets:
        """Commands all servos and returns what was sent.

        Raises:
            BusError: the command could not be sent.
        """

    @abstractmethod
    def set_torque(self, on: bool) -> None:
        """Switches torque. Before it is switched on, goals are set to the present positions."""

    def reboot(self) -> list[str]:
        """Reboots devices that have shut down; returns their names. Torque is off afterwards.

        Raises:
            BusError: a device did not answer after its reboot.
        """
        return []

    @abstractmethod
    def close(self) -> None:
        """Releases the device. Safe to call twice."""
