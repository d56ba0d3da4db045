"""What the controller needs of a hand, real or simulated."""

from abc import ABC, abstractmethod

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState, Targets


class HandBackend(ABC):
    """A hand that can be read and commanded once a tick.

    `hand` is known before `connect`. The loop lives in the controller: a backend never
    sleeps for pacing, and `write` returns what was really sent.
    """

    hand: Hand

    @property
    def problem(self) -> str:
        """What is wrong with a part of the hand although it can be read; empty if nothing is."""
        return ""

    @abstractmethod
    def connect(self) -> None:
        """Opens the device and checks that it is the described hand; torque stays as it is.

        Raises:
            BusError: the hand is absent or is not the one described.
        """

    @abstractmethod
    def read(self, deadline: float | None = None) -> JointState:
        """Measures all servos; NaN stands for one that did not answer, never an older value.

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
        """Switches torque. Goals are pinned to the present position before it goes on."""

    def reboot(self) -> list[str]:
        """Starts devices that have shut themselves down anew; returns their names. Torque is off.

        Raises:
            BusError: one did not come back.
        """
        return []

    @abstractmethod
    def close(self) -> None:
        """Releases the device. Safe to call twice."""
