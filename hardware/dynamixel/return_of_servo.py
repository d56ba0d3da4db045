"""Brings back a servo that has restarted while the others have torque."""

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bring_up import BringUp
from inhand.hardware.dynamixel.commanding import Commanding
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.replies import Mask
from inhand.hardware.dynamixel.servo_watchdog import ServoWatchdog
from inhand.hardware.dynamixel.turns import Counts, Turns
from inhand.hardware.errors import BusError

PAUSE = 0.2
"""Time between two attempts [s]."""
LARGEST_COUNT = 3
"""Restarts of one servo from which it is brought back, as long as torque is on."""


class ReturnOfServo:
    """Verifies all settings of a restarted servo, and gives it torque at its present position.

    Args:
        group: the servos.
        bring_up: verifies the settings.
        watchdog: has detected the restart.
        turns: offsets by whole turns of the servos.
        commanding: moves the servo slowly back to its target.
    """

    def __init__(
        self,
        group: ServoGroup,
        bring_up: BringUp,
        watchdog: ServoWatchdog,
        turns: Turns,
        commanding: Commanding,
    ) -> None:
        self._group, self._bring_up, self._watchdog = group, bring_up, watchdog
        self._turns, self._commanding = turns, commanding
        self._returned: dict[int, int] = {}
        self._not_before = 0.0

    def reset(self) -> None:
        """Forgets earlier restarts: torque was switched on."""
        self._returned.clear()
        self._not_before = 0.0

    def attempt(self, positions: Counts, came: Mask) -> str:
        """Tries to bring back one restarted servo.

        Args:
            positions: register values of the positions just measured [counts], (n_actuators,).
            came: whether each servo was measured, (n_actuators,).

        Returns:
            Message with the restarted servos, and what became of them.
        """
        group, restarted = self._group, sorted(self._watchdog.restarted)
        said = f"servo {group.names(restarted)} has restarted and lost its torque"
        now = group.bus.clock.now()
        if now < self._not_before:
            return f"{said}; its voltage dropped, or its cable is loose"
        self._not_before = now + PAUSE
        for id in restarted:
            at = group.ids.index(id)
            if came[at] and self._returned.get(id, 0) < LARGEST_COUNT:
                problem = self._bring_back(at, int(positions[at]))
                return f"{said}; {problem or 'it was verified and has torque again'}"
        return f"{said}; its voltage dropped, or its cable is loose"

    def _bring_back(self, at: int, position: int) -> str:
        """Returns why it cannot be done; empty if the servo has torque again."""
        group, torque = self._group, registers.TORQUE_ENABLE
        id = group.ids[at]
        angle = self._turns.angles(np.full(len(group.ids), position))
        if self._turns.far(angle)[at]:
            return "its joint stands outside its range"
        try:
            self._bring_up.verify((id,), write=True)
            self._commanding.pin_one(at, position)
            group.bus.sync_write(torque.address, torque.size, {id: torque.pack(1)})
            replies = group.ask((id,), torque, 2)
            group.require(replies, torque.address)
            if replies.numbers(torque)[id] != 1:
                return "it does not take torque"
            self._watchdog.arm_again(id)
        except BusError as error:
            return str(error)
        self._returned[id] = self._returned.get(id, 0) + 1
        return ""
