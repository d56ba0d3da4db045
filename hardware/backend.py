"""Interface of a hand for the controller, real or simulated."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState, Targets

RETRY = 0.02
"""Time between two attempts at what must come about [s]."""


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

    @property
    def parts(self) -> "Sequence[HandBackend]":
        """Hands that are lost and found each by itself; this one alone, if it is one."""
        return (self,)

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
            deadline: when to give up at the latest [s].

        Raises:
            ServoError: a servo reports a hardware error; it carries what was measured.
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

    def relax(self, deadline: float | None = None) -> str:
        """Switches torque off and reads it back, once; needs no bring-up and no healthy servo.

        Opens the device if it is closed.

        Args:
            deadline: when to give up reading back at the latest [s, CLOCK_MONOTONIC].

        Returns:
            Where torque was not read back as off; empty if it is off everywhere.

        Raises:
            BusError: nothing could be sent.
        """
        self.set_torque(False)
        return ""

    def reboot(self) -> list[str]:
        """Reboots devices that have shut down; returns their names. Torque is off afterwards.

        Raises:
            BusError: a device did not answer after its reboot.
        """
        return []

    @abstractmethod
    def close(self) -> None:
        """Releases the device. Safe to call twice."""


def switch_torque_off(backend: HandBackend, patience: float) -> str:
    """Switches torque off again and again, until it is read back as off everywhere.

    Args:
        backend: the hand, connected or not.
        patience: for that [s].

    Returns:
        Where torque may still be on; empty if it is off everywhere.
    """
    end = time.monotonic() + patience
    while True:
        try:
            left = backend.relax()
        except BusError as error:
            left = str(error)
        if not left or time.monotonic() > end:
            return left
        time.sleep(RETRY)
