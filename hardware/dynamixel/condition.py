"""Voltage and temperature of the servos, read in turn; and the bound on their torque."""

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.replies import Replies
from inhand.hardware.errors import BusError
from inhand.hardware.records import Array, frozen_array

POLL_EVERY = 10
"""In one of so many reads, the next servo is asked for its voltage and temperature."""
_ATTEMPTS = 3
"""At setting the bound on torque: no servo confirms a synchronous write, which noise may damage."""


class Condition:
    """Voltages, temperatures and torque bounds of the servos.

    Hot servos are derated by the daemon, which draws their targets nearer; the bound stays as set.

    Args:
        group: the servos.
        torque_share: share of each actuator's torque limit that they may use.

    Attributes:
        temperature: [°C], (n_actuators,); NaN where it was not read yet.
        voltage: at the servos' inputs [V], (n_actuators,); NaN where it was not read yet.
        problem: which servos have too little or too much voltage, and what to do; empty if none.
    """

    def __init__(self, group: ServoGroup, torque_share: float) -> None:
        n = len(group.ids)
        self.temperature: Array = frozen_array(np.full(n, np.nan))
        self.voltage: Array = frozen_array(np.full(n, np.nan))
        self.problem = ""
        self._group, self._torque_share = group, torque_share
        self._reads = 0
        self._range = np.array([model.voltage for model in group.units.models])

    def bound_torque(self) -> None:
        """Writes every servo's bound on its torque, and reads it back.

        Raises:
            BusError: a servo did not take it.
        """
        group, models = self._group, self._group.units.models
        goals = group.units.torque_goals(self._torque_share)
        for register in {model.torque_register for model in models}:
            values = {
                id: goal
                for id, goal, model in zip(group.ids, goals, models, strict=True)
                if model.torque_register == register
            }
            rows = {id: register.pack(goal) for id, goal in values.items()}
            for _ in range(_ATTEMPTS):
                group.bus.sync_write(register.address, register.size, rows)
                found = group.read_all(register)
                if not (refused := [id for id, goal in values.items() if found[id] != goal]):
                    break
            else:
                raise BusError(
                    f"servo {group.names(refused)} did not take the bound on its torque (register "
                    f"{register.address}); is its own limit (register 36 or 38) smaller? Raise "
                    "that, or lower torque_share under [bus] of the configuration"
                )

    def look_at_all(self) -> None:
        """Reads all servos at once, where time does not press."""
        group = self._group
        self._take(group.bus.sync_read(*registers.CONDITION, group.ids, attempts=2))

    def poll(self, patience: float, deadline: float | None) -> None:
        """Looks at the servo whose turn it is, if it is time."""
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
        # NaN, a voltage that is not read yet, is neither below nor above.
        less, more = self.voltage < low, self.voltage > high
        self.problem = ""
        if less.any() or more.any():
            wrong = np.flatnonzero(less | more)
            at = int(wrong[0])
            names = self._group.names(self._group.ids[i] for i in wrong)
            remedy = (
                "the supply is too weak, or its cable too long or thin"
                if less.any()
                else "the supply gives too much"
            )
            self.problem = (
                f"servo {names}: {self.voltage[at]:.1f} V at the input, {low[at]:.1f} to "
                f"{high[at]:.1f} V are allowed; {remedy}"
            )
