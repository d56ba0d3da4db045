"""A hand of Dynamixel servos on a serial bus."""

from contextlib import suppress

import numpy as np

from inhand.hardware.backend import HandBackend
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bring_up import BringUp
from inhand.hardware.dynamixel.bus import BRING_UP_PATIENCE, TICK_PATIENCE, Bus
from inhand.hardware.dynamixel.commanding import Commanding
from inhand.hardware.dynamixel.condition import Condition
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.line_clock import LineClock
from inhand.hardware.dynamixel.servo_watchdog import ServoWatchdog
from inhand.hardware.dynamixel.state_reader import Measuring
from inhand.hardware.dynamixel.turns import Counts, Turns
from inhand.hardware.errors import BusError, ServoError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState, Targets

WATCHDOG = 0.1
"""[s], as long as ten ticks."""
_ATTEMPTS = 3
"""At finding out where the servos stand, where time does not press."""
START_TIME = 2.0
"""Within which a servo must answer after a reboot [s]."""


class ServoHand(HandBackend):
    """The hand's servos, each in the mode where it follows positions with a bounded torque.

    Args:
        hand: which servos there are, and how they sit.
        port: device file of the bus.
        baud: bits a second.
        patience: how long a servo may take to begin a reply in `read` [s].
        watchdog: the servos stop by themselves when nothing was said for so long while torque
            is on [s], in steps of 20 ms; 0 for never.
        readonly: whether to send nothing that changes a servo.
        gains: register values of proportional, integral and derivative gain; None leaves them.
        torque_share: share of each actuator's torque limit that the servos may use.
        anywhere: whether joints may stand anywhere, as their zeros are being looked for.
        clock: of all times here; CLOCK_MONOTONIC if not given.

    Attributes:
        bus: that they are on.
        condition: their voltages and temperatures.

    Raises:
        DescriptionError: the hand has a servo of unknown model.
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
    ) -> None:
        self.hand = hand
        self.bus = Bus(port, baud, readonly=readonly, clock=clock)
        self._patience = patience
        self._group = ServoGroup(hand, self.bus)
        self._watchdog = ServoWatchdog(self._group, watchdog)
        self.condition = Condition(self._group, torque_share)
        self._bring_up = BringUp(self._group, self.condition, gains, readonly=readonly)
        self._measuring = Measuring(self._group)
        self._roll = self._measuring.roll
        self._turns = Turns(hand, self._group.units, anywhere=anywhere)
        self._commanding = Commanding(self._group, self._turns)
        self._readonly = readonly
        self._pulling = False

    @property
    def problem(self) -> str:
        silent = self._roll.silent
        return self._group.no_answer(silent) if silent else self.condition.problem

    def connect(self) -> None:
        """Opens the bus, finds every servo and sets what it needs; torque stays as it is.

        Raises:
            BusError: a servo is absent, of another model, or cannot be set up; or its joint stands
                far outside its range, in whatever turn.
        """
        self.bus.open()
        self.bus.patience = BRING_UP_PATIENCE
        self._watchdog.forget()
        self._roll.reset()
        try:
            self._bring_up.check_models()
            if self._bring_up.watched():
                # An earlier owner's silence has stopped them; they stay where they stand.
                positions = self._everywhere()
                self._watchdog.end()
                self._commanding.pin(positions)
            self._bring_up.set_up()
            positions = self._everywhere()
            self._turns.settle(positions)
            if not self._readonly:
                self._require_plausible(positions)
        except BusError:
            self.bus.close()
            raise
        self.bus.patience = self._patience

    def read(self, deadline: float | None = None) -> JointState:
        """Measures all servos: one request, at most one more to those whose answer was lost.

        Servos that said nothing the last time are asked after the others, and not in every read, so
        that they cost little time and no other servo's measurement.

        Args:
            deadline: when to give up at the latest [s].

        Raises:
            ServoError: a servo reports a hardware error; it carries what was measured, of that
                servo too.
            BusError: no servo answered, or some have stopped by themselves.
        """
        self._watchdog.check(self._roll.asked, deadline)
        self._watchdog.check_doubted(self._roll.asked, deadline)
        t = self.bus.clock.now()
        try:
            measured, came, ill = self._measuring.read(deadline)
        except BusError:
            self._watchdog.doubt(self._group.ids)
            raise
        condition = self.condition
        if not self._pulling:
            # A servo that started anew since counts from another turn; goals are none yet.
            self._turns.settle(measured["position"].astype(np.int64), came)
        state = self._group.units.measured(measured)
        state[0] -= self._turns.angle
        if came.all():
            condition.poll(self._patience / 2, deadline)
        else:
            self._watchdog.doubt(self._roll.silent)
            state[:, ~came] = np.nan
        if ill:
            # What is wrong may be the encoder.
            state[:, self._turns.far(state[0]) & np.isin(self._group.ids, ill)] = np.nan
        state.setflags(write=False)
        position, velocity, current = state
        joints = JointState(
            t, position, velocity, current, condition.temperature, condition.voltage
        )
        if ill:
            raise ServoError(self._group.diagnose(ill, deadline), joints)
        return joints

    def write(self, targets: Targets) -> Targets:
        """Commands all servos; what is returned is inside the limits, rounded as servos count.

        A joint that got torque outside its range is never sent further out than it was before.

        Raises:
            BusError: a target is not finite, the servos have stopped by themselves, or the port is
                gone.
        """
        # What a failed read left in doubt is the next read's to find out: a servo that does not
        # answer must not keep targets from the others.
        self._watchdog.check(self._roll.asked)
        if not np.isfinite(targets.position).all():
            rows = zip(self._group.ids, targets.position, strict=True)
            wrong = self._group.names(id for id, x in rows if not np.isfinite(x))
            raise BusError(f"target of servo {wrong} is no number; nothing was sent")
        return self._commanding.send(targets)

    def set_torque(self, on: bool) -> None:
        """Switches torque; before it goes on, every goal is set to where the servo stands.

        The servos' watchdog, tripped or not, ends here; with torque it is armed anew.

        Raises:
            BusError: a servo did not answer, or did not switch, or its joint stands where it
                cannot. Torque goes off at all others.
        """
        if not on:
            if left := self.relax():
                raise BusError(left)
            return
        group, torque = self._group, registers.TORQUE_ENABLE
        self._watchdog.end()
        positions = self._everywhere()
        self._turns.settle(positions)
        self._require_plausible(positions)
        self._commanding.pin(positions)
        self._pulling = True
        try:
            group.write_all(torque, [1] * len(group.ids))
            if wrong := group.other_than(torque, 1):
                raise BusError(f"torque did not go on at servo {group.names(wrong)}")
            self._watchdog.arm()
        except BusError:
            with suppress(BusError):
                self.relax()
            raise

    def relax(self, deadline: float | None = None) -> str:
        """Switches torque off and reads it back, once; needs no bring-up and no healthy servo.

        Opens the bus if it is closed, or anew if it was lost.

        Args:
            deadline: when to give up reading back at the latest [s, CLOCK_MONOTONIC].

        Returns:
            At which servos torque was not read back as off; empty if it is off at all.

        Raises:
            BusError: the port is gone, or only to be read.
        """
        group, bus = self._group, self.bus
        self._pulling = False
        off = [0] * len(group.ids)
        if not bus.is_open:
            bus.open()
        bus.patience = self._patience
        try:
            group.write_all(registers.TORQUE_ENABLE, off)
        except BusError:
            # What is open may be the remains of a device that was plugged in anew since.
            bus.open()
            group.write_all(registers.TORQUE_ENABLE, off)
        self._watchdog.end()
        return group.may_pull(deadline)

    def reboot(self) -> list[str]:
        """Starts servos with a hardware error anew, and sets them up again; torque is off then.

        Opens the bus if it is closed, as a hand in such a state cannot be connected.

        Returns:
            Names of the servos that were started.

        Raises:
            BusError: a servo did not come back, or has its error again.
        """
        if not self.bus.is_open:
            self.bus.open()
        group, error = self._group, registers.HARDWARE_ERROR
        self._pulling = False
        self._watchdog.end()
        group.write_all(registers.TORQUE_ENABLE, [0] * len(group.ids))
        found = group.ask(group.ids, error, 3).numbers(error)
        ill = tuple(id for id, value in found.items() if value)
        for id in ill:
            self.bus.reboot(id)
        until = self.bus.clock.now() + START_TIME
        while not group.ask(ill, error, 2).complete:
            if self.bus.clock.now() > until:
                raise BusError(f"servo {group.names(ill)} did not come back after its reboot")
        self._bring_up.set_up()
        return [group.names([id]) for id in ill]

    def close(self) -> None:
        self.bus.close()

    def _everywhere(self) -> Counts:
        """Where all servos stand, as their registers have it, (n_actuators,)."""
        group = self._group
        for _ in range(_ATTEMPTS):
            measured, came, ill = self._measuring.read()
            if ill:
                raise ServoError(group.diagnose(ill))
            if came.all():
                return measured["position"].astype(np.int64)
        raise BusError(f"{group.no_answer(self._roll.silent)}; check power, cable, id and baud")

    def _require_plausible(self, positions: Counts) -> None:
        if problem := self._turns.problem(self._turns.angles(positions)):
            raise BusError(problem)
