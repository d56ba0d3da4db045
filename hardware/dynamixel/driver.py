"""A hand of Dynamixel servos on a serial bus."""

from contextlib import suppress
from math import isfinite

import numpy as np

from inhand.hardware.backend import HandBackend
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bring_up import BringUp
from inhand.hardware.dynamixel.bus import BRING_UP_PATIENCE, TICK_PATIENCE, Bus
from inhand.hardware.dynamixel.commanding import Commanding
from inhand.hardware.dynamixel.condition import Condition
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.hand_check import check_servos
from inhand.hardware.dynamixel.line_clock import LineClock
from inhand.hardware.dynamixel.reply_timing import patience_for
from inhand.hardware.dynamixel.restart import restart_faulty
from inhand.hardware.dynamixel.return_of_servo import ReturnOfServo
from inhand.hardware.dynamixel.servo_watchdog import ServoWatchdog
from inhand.hardware.dynamixel.state_reader import StateReader
from inhand.hardware.dynamixel.turns import Counts, Turns
from inhand.hardware.dynamixel.user_search import UserSearch
from inhand.hardware.errors import BusCongestedError, BusError, ServoError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState, Targets

WATCHDOG = 0.1
"""Default timeout of the servos' bus watchdog [s]: ten ticks."""
_ATTEMPTS = 3
"""Attempts to read all positions outside of ticks."""


class ServoHand(HandBackend):
    """The hand's servos, each in position control with a torque limit.

    Args:
        hand: its servos, with their signs and zeros.
        port: device file of the bus.
        baud: baud rate [bit/s].
        patience: longest time until a servo begins its reply in `read` [s].
        watchdog: timeout of the servos' bus watchdog while torque is on: without a packet for
            that long, the servos stop [s], in steps of 20 ms; 0 switches it off.
        readonly: whether to send nothing that changes a servo.
        gains: register values of proportional, integral and derivative gain; None leaves them.
        torque_share: usable share of each actuator's torque limit.
        anywhere: whether to accept joints outside their ranges, as calibration of zeros needs it.
        clock: time source; CLOCK_MONOTONIC if not given.
        period: time between two reads; 0 if any is all right [s].

    Attributes:
        bus: the bus of the servos.
        condition: voltages and temperatures of the servos.

    Raises:
        DescriptionError: see `check_servos`.
    """

    def __init__(
        self,
        hand: Hand,
        port: str,
        baud: int,
        patience: float = TICK_PATIENCE,
        *,
        watchdog: float = WATCHDOG,
        readonly: bool = False,
        gains: tuple[int, int, int] | None = None,
        torque_share: float = 1.0,
        anywhere: bool = False,
        clock: LineClock | None = None,
        period: float = 0.0,
    ) -> None:
        check_servos(hand, baud)
        self.hand = hand
        self.bus = Bus(port, baud, readonly=readonly, clock=clock)
        self._patience, self._period = patience, period
        self._usual_patience, self._poll_patience = patience, patience / 2
        self._group = ServoGroup(hand, self.bus)
        self._watchdog = ServoWatchdog(self._group, watchdog)
        self.condition = Condition(self._group)
        wanted = gains, torque_share
        self._bring_up = BringUp(self._group, self.condition, *wanted, readonly=readonly)
        self._state_reader = StateReader(self._group)
        self._poll_list = self._state_reader.poll_list
        self._turns = Turns(hand, self._group.units, anywhere=anywhere)
        self._commanding = Commanding(self._group, self._turns)
        self._return = ReturnOfServo(
            self._group, self._bring_up, self._watchdog, self._turns, self._commanding
        )
        self._readonly = readonly
        self._pulling = False
        self._users = UserSearch(self.bus)

    @property
    def problem(self) -> str:
        silent = self._poll_list.silent
        problem = self._group.no_answer(silent) if silent else self.condition.problem
        return "; ".join(one for one in (self._users.problem, problem) if one)

    def connect(self) -> None:
        """Opens the bus, finds every servo and sets it up; torque stays as it is.

        Raises:
            BusError: a servo is absent, of another model, or cannot be set up; or its joint is far
                outside its range in every turn of the servo.
        """
        self.bus.open()
        self.bus.patience = BRING_UP_PATIENCE
        self._watchdog.forget()
        self._poll_list.reset()
        try:
            self._bring_up.check_models()
            self.bus.delays.forget()
            if self._bring_up.watched():
                # The previous program ended without switching torque off: the goals are set to
                # the present positions, so that the servos do not move.
                positions = self._everywhere()
                self._watchdog.end()
                self._commanding.pin(positions)
            self._bring_up.set_up()
            positions = self._everywhere()
            self._turns.settle(positions)
            if not self._readonly:
                self._turns.require_plausible(positions)
            delay, usual = self.bus.delays.usual, self._usual_patience
            self._patience, self._poll_patience = patience_for(delay, self._period, usual)
        except BusError:
            self.bus.close()
            raise
        self.bus.patience = self._patience

    def read(self, deadline: float | None = None) -> JointState:
        """Measures all servos: one request, and at most one retry for lost answers.

        Servos that did not answer the last time are polled last, and not in every read.

        Args:
            deadline: latest time to stop waiting [s].

        Raises:
            ServoError: a servo reports a hardware error, or has restarted and has no torque; the
                error carries the measurement, including that servo's.
            BusError: no servo answered, or a bus watchdog has tripped.
        """
        self._watchdog.check(self._poll_list.asked, deadline)
        self._watchdog.check_marked(self._poll_list.asked, deadline)
        t = self.bus.clock.now()
        try:
            measured, came, faulty = self._state_reader.read(deadline)
        except BusError as error:
            self._watchdog.mark(self._group.ids)
            raise self._users.explained(error) from error
        condition = self.condition
        self._users.watch()
        if not self._pulling:
            # A servo that has restarted may count from another turn; there is no goal to keep yet.
            self._turns.settle(measured["position"].astype(np.int64), came)
        elif self._watchdog.restarted:
            back = np.isin(self._group.ids, list(self._watchdog.restarted))
            self._turns.settle(measured["position"].astype(np.int64), back & came)
        state = self._group.units.measured(measured)
        state[0] -= self._turns.angle
        if all(came.tolist()):
            condition.poll(self._poll_patience, deadline)
        else:
            self._watchdog.mark(self._poll_list.silent)
            state[:, ~came] = np.nan
        if faulty:
            # The hardware error may be one of the encoder: positions out of range are not used.
            state[:, self._turns.far(state[0]) & np.isin(self._group.ids, faulty)] = np.nan
        state.setflags(write=False)
        position, velocity, current = state
        joints = JointState(
            t, position, velocity, current, condition.temperature, condition.voltage
        )
        if faulty:
            raise ServoError(self._group.diagnose(faulty, deadline), joints)
        if self._watchdog.restarted:
            raise ServoError(self._return.attempt(measured["position"], came), joints)
        return joints

    def write(self, targets: Targets) -> Targets:
        """Commands all servos; returns the targets as sent: clamped, and rounded to counts.

        A joint that was outside its range when torque went on is never sent further out.

        Raises:
            BusError: a target is not finite, a bus watchdog has tripped, or the port was lost.
        """
        # Servos that did not answer are checked in the next read: a silent servo must not delay
        # the targets of the others.
        self._watchdog.check(self._poll_list.asked)
        if not all(map(isfinite, targets.position.tolist())):
            rows = zip(self._group.ids, targets.position, strict=True)
            wrong = self._group.names(id for id, x in rows if not isfinite(x))
            raise BusError(f"target of servo {wrong} is not a finite number; nothing was sent")
        return self._commanding.send(targets)

    def set_torque(self, on: bool) -> None:
        """Switches torque; before it goes on, every goal is set to the present position.

        All settings are read back first, and torque goes on only if they are the wanted ones.
        The servos' bus watchdog is switched off, and with torque on armed again.

        Raises:
            BusError: a servo did not answer or did not switch, or its joint is far outside its
                range. Torque goes off at all servos that can be reached.
        """
        if not on:
            if left := self.relax():
                raise BusError(left)
            return
        try:
            self._switch_on()
        except BusError:
            with suppress(BusError):
                self.relax()
            raise

    def relax(self, deadline: float | None = None) -> str:
        """Switches torque off and reads it back, once.

        Works before bring-up and with servos that report hardware errors. Opens the bus if it is
        closed, and opens it again if it was lost.

        Args:
            deadline: latest time to stop reading back [s, CLOCK_MONOTONIC].

        Returns:
            The servos whose torque was not read back as off; empty if torque is off at all.

        Raises:
            BusError: the port was lost, or was opened read-only.
        """
        group, bus = self._group, self.bus
        self._pulling = False
        off = [0] * len(group.ids)
        if not bus.is_open:
            # Torque off is sent even if another program uses the port.
            bus.open(alone=False)
        bus.patience = self._patience
        try:
            self._write_off(off)
            self._watchdog.end()
            return group.torque_not_off(deadline)
        except BusCongestedError as error:
            return f"torque could not be confirmed on any servo, which may still pull: {error}"

    def _write_off(self, off: list[int]) -> None:
        try:
            self._group.write_all(registers.TORQUE_ENABLE, off)
        except BusError:
            # The open file may belong to a device that was unplugged and plugged in again.
            self.bus.open(alone=False)
            self._group.write_all(registers.TORQUE_ENABLE, off)

    def reboot(self) -> list[str]:
        """Reboots servos with a hardware error, and sets them up again; torque is off afterwards.

        Opens the bus if it is closed, as `connect` refuses a hand with hardware errors.

        Returns:
            Names of the servos that were rebooted.

        Raises:
            BusError: a servo did not answer after its reboot, or has its error again.
        """
        if not self.bus.is_open:
            self.bus.open()
        self._pulling = False
        self._watchdog.end()
        names = restart_faulty(self._group)
        self._bring_up.set_up()
        return names

    def close(self) -> None:
        self.bus.close()

    def _switch_on(self) -> None:
        group, torque = self._group, registers.TORQUE_ENABLE
        self._watchdog.end()
        # The joints may still fall: their positions are read as late as possible.
        self._bring_up.verify(group.ids, write=True)
        positions = self._everywhere()
        self._turns.settle(positions)
        self._turns.require_plausible(positions)
        self._commanding.pin(positions)
        self._pulling = True
        group.write_all(torque, [1] * len(group.ids))
        if wrong := group.other_than(torque, 1):
            raise BusError(f"torque did not go on at servo {group.names(wrong)}")
        self._watchdog.arm()
        self._return.reset()

    def _everywhere(self) -> Counts:
        """Present positions of all servos as register values [counts], (n_actuators,)."""
        group = self._group
        for _ in range(_ATTEMPTS):
            measured, came, faulty = self._state_reader.read()
            if faulty:
                raise ServoError(group.diagnose(faulty))
            if came.all():
                return measured["position"].astype(np.int64)
        raise BusError(
            f"{group.no_answer(self._poll_list.silent)}; check power, cable, id and baud"
        )
