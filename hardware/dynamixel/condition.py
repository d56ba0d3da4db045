"""Voltage and temperature of the servos, read one servo at a time."""

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.replies import Replies
from inhand.hardware.records import Array, frozen_array

POLL_EVERY = 10
"""Every tenth read also reads the voltage and temperature of one servo, in turn."""


class Condition:
    """Voltages and temperatures of the servos.

    The daemon derates hot servos: it moves their targets closer to their positions. The torque
    limit in the register stays the same.

    Args:
        group: the servos.

    Attributes:
        temperature: [°C], (n_actuators,); NaN: not read yet.
        voltage: input voltage of the servos [V], (n_actuators,); NaN: not read yet.
        problem: servos with too low or too high voltage, and the remedy; empty if none.
    """

    def __init__(self, group: ServoGroup) -> None:
        n = len(group.ids)
        self.temperature: Array = frozen_array(np.full(n, np.nan))
        self.voltage: Array = frozen_array(np.full(n, np.nan))
        self.problem = ""
        self._group = group
        self._reads = 0
        self._range = np.array([model.voltage for model in group.units.models])

    def look_at_all(self) -> None:
        """Reads all servos at once; for bring-up, where no tick waits."""
        group = self._group
        self._take(group.bus.sync_read(*registers.CONDITION, group.ids, attempts=2))

    def poll(self, patience: float, deadline: float | None) -> None:
        """Reads the next servo, in one of `POLL_EVERY` calls.

        Args:
            patience: longest time to wait for its reply [s].
            deadline: latest time to stop waiting [s].
        """
        self._reads += 1
        turn, rest = divmod(self._reads, POLL_EVERY)
        id = self._group.ids[turn % len(self._group.ids)]
        if rest:
            return
        until = self._group.bus.clock.now() + patience
        until = until if deadline is None else min(until, deadline)
        self._take(self._group.bus.sync_read(*registers.CONDITION, (id,), deadline=until))

    def _take(self, replies: Replies) -> None:
        temperature, voltage = self.temperature.copy(), self.voltage.copy()
        for id, came, row in zip(replies.ids, replies.came.tolist(), replies.data, strict=True):
            if came:
                at, data = self._group.ids.index(id), row.tobytes()
                volts = registers.INPUT_VOLTAGE.unpack(data[:2])
                voltage[at] = registers.VOLTAGE_UNIT * volts
                temperature[at] = registers.TEMPERATURE.unpack(data[2:])
        self.temperature, self.voltage = frozen_array(temperature), frozen_array(voltage)
        self._judge_voltage()

    def _judge_voltage(self) -> None:
        low, high = self._range.T
        # NaN (not read yet) compares false with both limits.
        less, more = self.voltage < low, self.voltage > high
        self.problem = ""
        if less.any() or more.any():
            wrong = np.flatnonzero(less | more)
            at = int(wrong[0])
            names = self._group.names(self._group.ids[i] for i in wrong)
            remedy = (
                "the supply is too weak, or its cable too long or thin"
                if less.any()
                else "the voltage of the supply is too high"
            )
            self.problem = (
                f"servo {names}: {self.voltage[at]:.1f} V at the input; allowed are {low[at]:.1f} "
                f"to {high[at]:.1f} V; {remedy}"
            )
