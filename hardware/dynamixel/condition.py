"""Voltage and temperature of the servos: looked at in turn, told, and acted on."""

import logging

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.replies import Replies
from inhand.hardware.records import Array, frozen_array

log = logging.getLogger(__name__)

POLL_EVERY = 10
"""Reads between two looks at one servo, in turn."""
WARM, HOT, LEAST_SHARE = 60.0, 70.0, 0.4
"""Temperatures between which torque is taken back, and the share that is left [°C]; XC330 servos
give up at 70 °C, XM430 ones at 80 °C."""


class Condition:
    """How the servos are.

    Args:
        group: the servos.
        torque_share: share of each actuator's torque limit that they may use when cool.
        readonly: whether to take no torque back.

    Attributes:
        temperature: [°C], (n_actuators,); NaN where it was not read yet.
        voltage: at the servos' inputs [V], (n_actuators,); NaN where it was not read yet.
        problem: which servos have too little or too much voltage, and what to do; empty if none.
    """

    def __init__(self, group: ServoGroup, torque_share: float, *, readonly: bool) -> None:
        n = len(group.ids)
        self.temperature: Array = frozen_array(np.full(n, np.nan))
        self.voltage: Array = frozen_array(np.full(n, np.nan))
        self.problem = ""
        self._group, self._torque_share, self._readonly = group, torque_share, readonly
        self._reads = 0
        self._shares = np.ones(n)
        self._range = np.array([model.voltage for model in group.units.models])

    def bound_torque(self) -> None:
        """Writes every servo's bound on its torque, as for a cool one."""
        group, models = self._group, self._group.units.models
        goals = group.units.torque_goals(self._torque_share)
        for register in {model.torque_register for model in models}:
            rows = {
                id: register.pack(goal)
                for id, goal, model in zip(group.ids, goals, models, strict=True)
                if model.torque_register == register
            }
            group.bus.sync_write(register.address, register.size, rows)
        self._shares[:] = 1.0

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
        self._derate()

    def _judge_voltage(self) -> None:
        low, high = self._range.T
        # What is not known yet is neither.
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

    def _derate(self) -> None:
        """Leaves hot servos less torque, before they protect themselves by letting go."""
        shares = np.interp(self.temperature, (WARM, HOT), (1.0, LEAST_SHARE))
        # What is not known is no reason.
        other = np.abs(shares - self._shares) >= 0.05
        if self._readonly or not other.any():
            return
        group = self._group
        for at in np.flatnonzero(other).tolist():
            id, share = group.ids[at], float(shares[at])
            log.warning(
                "servo %s is at %.0f °C: %.0f %% of its torque is left",
                group.names([id]),
                self.temperature[at],
                100 * share,
            )
            self._shares[at] = share
            register = group.units.models[at].torque_register
            goal = group.units.torque_goals(share * self._torque_share)[at]
            group.bus.sync_write(register.address, register.size, {id: register.pack(goal)})
