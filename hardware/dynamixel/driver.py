"""A hand of Dynamixel servos on a serial bus."""

import time

import numpy as np

from inhand.hardware.backend import HandBackend
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bring_up import BringUp
from inhand.hardware.dynamixel.bus import BRING_UP_PATIENCE, TICK_PATIENCE, Bus
from inhand.hardware.dynamixel.condition import Condition
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.requests import SyncWrite
from inhand.hardware.dynamixel.servo_watchdog import ServoWatchdog
from inhand.hardware.dynamixel.state_reader import Measuring
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array, JointState, Targets

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
    ) -> None:
        self.hand = hand
        self.bus = Bus(port, baud, readonly=readonly)
        self._patience = patience
        self._group = ServoGroup(hand, self.bus)
        self._watchdog = ServoWatchdog(self._group, watchdog)
        self.condition = Condition(self._group, torque_share)
        self._bring_up = BringUp(self._group, self.condition, gains, readonly=readonly)
        self._measuring = Measuring(self._group)
        self._roll = self._measuring.roll
        self._goals = SyncWrite(registers.GOAL_POSITION, self._group.ids)

    @property
    def problem(self) -> str:
        silent = self._roll.silent
        return self._group.no_answer(silent) if silent else self.condition.problem

    def connect(self) -> None:
        """Opens the bus, finds every servo and sets what it needs; torque stays as it is.

        Raises:
            BusError: a servo is absent, of another model, or cannot be set up.
        """
        self.bus.open()
        self.bus.patience = BRING_UP_PATIENCE
        self._watchdog.forget()
        self._roll.reset()
        try:
            self._bring_up.check_models()
            if self._bring_up.watched():
                # An earlier owner's silence has stopped them; they stay where they stand.
                position = self._everywhere()
                self._watchdog.end()
                self._send_targets(Targets(time.monotonic(), position))
            self._bring_up.set_up()
        except BusError:
            self.bus.close()
            raise
        self.bus.patience = self._patience

    def read(self, deadline: float | None = None) -> JointState:
        """Measures all servos: one request, at most one more to those whose answer was lost.

        Servos that said nothing the last time are asked after the others, and not in every read, so
        that they cost little time and no other servo's measurement.

        Args:
            deadline: when to give up at the latest [s, CLOCK_MONOTONIC].

        Raises:
            BusError: no servo answered, one reports a hardware error, or some have stopped by
                themselves.
        """
        self._watchdog.check(self._roll.asked, deadline)
        self._watchdog.check_doubted(self._roll.asked, deadline)
        t = time.monotonic()
        try:
            measured, came = self._measuring.read(deadline)
        except BusError:
            self._watchdog.doubt(self._group.ids)
            raise
        condition = self.condition
        state = self._group.units.measured(measured)
        if came.all():
            condition.poll(self._patience / 2, deadline)
        else:
            self._watchdog.doubt(self._roll.silent)
            state[:, ~came] = np.nan
        state.setflags(write=False)
        position, velocity, current = state
        return JointState(t, position, velocity, current, condition.temperature, condition.voltage)

    def write(self, targets: Targets) -> Targets:
        """Commands all servos; what is returned is inside the limits, rounded as servos count.

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
        return self._send_targets(targets)

    def set_torque(self, on: bool) -> None:
        """Switches torque; before it goes on, every goal is set to where the servo stands.

        The servos' watchdog, tripped or not, ends here; with torque it is armed anew.

        Raises:
            BusError: a servo did not answer, or did not switch. Torque goes off at all others.
        """
        group, torque = self._group, registers.TORQUE_ENABLE
        self._watchdog.end()
        if on:
            self._send_targets(Targets(time.monotonic(), self._everywhere()))
        group.write_all(torque, [int(on)] * len(group.ids))
        # A servo that is known to be silent is told, but not waited for.
        replies = group.ask(self._roll.asked, torque, 3)
        group.require(replies, torque.address)
        wrong = [id for id, state in replies.numbers(torque).items() if state != int(on)]
        state = "on" if on else "off"
        if wrong:
            raise BusError(f"torque did not go {state} at servo {group.names(wrong)}")
        if self._roll.silent:
            raise BusError(f"{group.no_answer(self._roll.silent)} when torque was to go {state}")
        if on:
            self._watchdog.arm()

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
        self._watchdog.end()
        group.write_all(registers.TORQUE_ENABLE, [0] * len(group.ids))
        found = group.ask(group.ids, error, 3).numbers(error)
        ill = tuple(id for id, value in found.items() if value)
        for id in ill:
            self.bus.reboot(id)
        until = time.monotonic() + START_TIME
        while not group.ask(ill, error, 2).complete:
            if time.monotonic() > until:
                raise BusError(f"servo {group.names(ill)} did not come back after its reboot")
        self._bring_up.set_up()
        return [group.names([id]) for id in ill]

    def close(self) -> None:
        self.bus.close()

    def _everywhere(self) -> Array:
        """Where all servos stand [rad], (n_actuators,)."""
        for _ in range(_ATTEMPTS):
            measured, came = self._measuring.read()
            if came.all():
                return self._group.units.angles(measured["position"])
        group = self._group
        raise BusError(f"{group.no_answer(self._roll.silent)}; check power, cable, id and baud")

    def _send_targets(self, targets: Targets) -> Targets:
        inside = np.minimum(np.maximum(targets.position, self.hand.lower), self.hand.upper)
        counts = self._group.units.position_counts(inside)
        self.bus.tell(self._goals.packet(counts))
        sent = self._group.units.angles(counts)
        sent.setflags(write=False)
        return Targets(targets.t, sent)
