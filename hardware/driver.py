"""A hand of Dynamixel servos on a serial bus."""

import logging
import time
from collections.abc import Iterable
from math import ceil

import numpy as np

from hardware import registers
from hardware.backend import HandBackend
from hardware.bus import BRING_UP_PATIENCE, TICK_PATIENCE, Bus
from hardware.errors import BusError
from hardware.hand import Hand
from hardware.protocol import ALERT, Packet
from hardware.records import Array, JointState, Targets, frozen_array
from hardware.registers import Register, Units

log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""At bring-up, where time does not press."""


WATCHDOG = 0.1
"""[s], as long as ten ticks."""
WATCHDOG_CHECK = 1.0
"""Time between two looks at whether all servos still have theirs [s]: a rebooted one has not."""
WARM, HOT, LEAST_SHARE = 60.0, 70.0, 0.4
"""Temperatures between which torque is taken back, and the share that is left [°C]; XC330 servos
give up at 70 °C, XM430 ones at 80 °C."""
START_TIME = 2.0
"""Within which a servo must answer after a reboot [s]."""

_MEASURED = np.dtype([("current", "<i2"), ("velocity", "<i4"), ("position", "<i4")])
"""How the measured registers lie side by side."""


_POLL_EVERY = 5
"""Reads between two looks at one servo's voltage and temperature, in turn."""


class ReplyLengths:
    """How much more to ask for than is needed, so that every reply shows what it answers.

    A reply that comes late or twice is of another length than the one that is waited for, and
    does not count. Neighbouring requests differ; after a failure, so do six in a row.
    """

    def __init__(self) -> None:
        self._odd, self._cautious = 0, 0

    def next(self) -> int:
        """Bytes to ask for beyond what is needed."""
        if self._cautious:
            self._cautious -= 1
            return 2 + self._cautious
        self._odd = 1 - self._odd
        return self._odd

    def failed(self) -> None:
        """Replies to the last request may still be on their way."""
        self._cautious = self._cautious or 6


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
        temperature: of the servos [°C], (n_actuators,); NaN where it was not read yet.
        voltage: at the servos' inputs [V], (n_actuators,); NaN where it was not read yet.

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
        self._patience, self._readonly = patience, readonly
        self._units = Units(hand)
        self._ids = [actuator.servo.id for actuator in hand.actuators]
        self._name = {a.servo.id: f"{a.servo.id} ({a.name})" for a in hand.actuators}
        self._watchdog_steps = min(ceil(watchdog / registers.WATCHDOG_UNIT - 1e-6), 127)
        self._armed, self._stopped = False, ""
        self._look_again = 0.0
        self._gains, self._torque_share = gains, torque_share
        self._doubted = False
        self._lengths = ReplyLengths()
        self.temperature: Array = np.full(len(self._ids), np.nan)
        self.voltage: Array = np.full(len(self._ids), np.nan)
        self._reads = 0
        self._shares = np.ones(len(self._ids))

    def connect(self) -> None:
        """Opens the bus, finds every servo and sets what it needs; torque stays as it is.

        Raises:
            BusError: a servo is absent, of another model, or cannot be set up.
        """
        self.bus.open()
        self.bus.patience = BRING_UP_PATIENCE
        try:
            self._check_models()
            self._release_watchdog()
            self._set_up()
        except BusError:
            self.bus.close()
            raise
        self.bus.patience = self._patience

    def read(self, deadline: float | None = None) -> JointState:
        """Measures all servos, with one request and at most one more for those that were silent.

        Args:
            deadline: when to give up at the latest [s, CLOCK_MONOTONIC].

        Raises:
            BusError: a servo did not answer, reports a hardware error, or has stopped by itself.
        """
        self._check_watchdog(deadline, self._doubted)
        t = time.monotonic()
        address, needed = registers.MEASURED
        try:
            replies = self._gather(address, needed + self._lengths.next(), 2, deadline)
        except BusError:
            self._lengths.failed()
            # A servo that was silent may have started anew, without torque.
            self._doubted = True
            raise
        self._poll_condition(deadline)
        rows = b"".join([replies[id].data[:needed] for id in self._ids])
        measured = np.frombuffer(rows, _MEASURED)
        return JointState(
            t=t,
            position=frozen_array(self._units.angles(measured["position"])),
            velocity=frozen_array(self._units.velocities(measured["velocity"])),
            current=frozen_array(self._units.currents(measured["current"])),
        )

    def write(self, targets: Targets) -> Targets:
        """Commands all servos; what is returned is inside the limits, rounded as servos count.

        Raises:
            BusError: a target is not finite, the servos have stopped by themselves, or the port is
                gone.
        """
        # What a failed read left in doubt is the next read's to find out: a servo that does not
        # answer must not keep targets from the others.
        self._check_watchdog()
        if not np.isfinite(targets.position).all():
            wrong = [id for id, x in zip(self._ids, targets.position, strict=True) if x - x != 0]
            raise BusError(f"target of servo {self._names(wrong)} is no number; nothing was sent")
        return self._send_targets(targets)

    def set_torque(self, on: bool) -> None:
        """Switches torque; before it goes on, every goal is set to where the servo stands.

        The servos' watchdog, tripped or not, ends here; with torque it is armed anew.

        Raises:
            BusError: a servo did not answer, or did not switch.
        """
        self._armed, self._doubted, self._stopped = False, False, ""
        self._write_all(registers.BUS_WATCHDOG, [0] * len(self._ids))
        if on:
            self._send_targets(Targets(time.monotonic(), self.read().position))
        self._write_all(registers.TORQUE_ENABLE, [int(on)] * len(self._ids))
        wrong = self._other_than(registers.TORQUE_ENABLE, int(on))
        if wrong:
            state = "on" if on else "off"
            raise BusError(f"torque did not go {state} at servo {self._names(wrong)}")
        if on and self._watchdog_steps:
            self._arm_watchdog()

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
        self._armed, self._doubted, self._stopped = False, False, ""
        self._write_all(registers.BUS_WATCHDOG, [0] * len(self._ids))
        self._write_all(registers.TORQUE_ENABLE, [0] * len(self._ids))
        error = registers.HARDWARE_ERROR
        ill = [
            id
            for id, reply in self.bus.sync_read(
                error.address, error.size, self._ids, attempts=_ATTEMPTS
            ).items()
            if error.unpack(reply.data)
        ]
        for id in ill:
            self.bus.reboot(id)
        until = time.monotonic() + START_TIME
        while len(self.bus.sync_read(error.address, error.size, ill, attempts=2)) < len(ill):
            if time.monotonic() > until:
                raise BusError(f"servo {self._names(ill)} did not come back after its reboot")
        self._set_up()
        return [self._name[id] for id in ill]

    def close(self) -> None:
        self.bus.close()

    def _send_targets(self, targets: Targets) -> Targets:
        inside = np.clip(targets.position, self.hand.lower, self.hand.upper)
        counts = self._units.position_counts(inside)
        self._write_all(registers.GOAL_POSITION, counts)
        sent: Array = self._units.angles(np.array(counts, dtype=np.float64))
        return Targets(targets.t, frozen_array(sent))

    def _arm_watchdog(self) -> None:
        self._write_all(registers.BUS_WATCHDOG, [self._watchdog_steps] * len(self._ids))
        wrong = self._other_than(registers.BUS_WATCHDOG, self._watchdog_steps)
        if wrong:
            raise BusError(
                f"servo {self._names(wrong)} did not arm its bus watchdog; is its firmware older "
                "than 38?"
            )
        self._armed, self._look_again = True, time.monotonic() + WATCHDOG_CHECK

    def _check_watchdog(self, deadline: float | None = None, doubted: bool = False) -> None:
        """Finds out, after a silence and once in a while, whether servos pull no more."""
        now = time.monotonic()
        # The servos' clock runs from the end of the packet, and a little differently.
        longest = 0.8 * self._watchdog_steps * registers.WATCHDOG_UNIT
        doubtful = doubted or now - self.bus.last_sent > longest or now > self._look_again
        if self._armed and doubtful:
            self._stopped = self._why_stopped(deadline)
            self._look_again, self._doubted = now + WATCHDOG_CHECK, False
            self._armed = not self._stopped
        if self._stopped:
            raise BusError(f"{self._stopped}; switch torque off and on")

    def _why_stopped(self, deadline: float | None) -> str:
        """What happened to servos whose watchdog is no longer armed; empty if all are."""
        register = registers.BUS_WATCHDOG
        replies = self._gather(register.address, register.size, 2, deadline)
        found = {id: register.unpack(reply.data) for id, reply in replies.items()}
        # A servo that starts anew forgets its watchdog, and its torque.
        rebooted = [id for id, steps in found.items() if steps == 0]
        if rebooted:
            return f"servo {self._names(rebooted)} has started anew, without torque"
        if any(steps != self._watchdog_steps for steps in found.values()):
            return "the servos have stopped by themselves, as nothing was said to them in time"
        return ""

    def _release_watchdog(self) -> None:
        """Frees servos that an earlier owner's silence has stopped; they stay where they stand."""
        self._armed, self._doubted, self._stopped = False, False, ""
        left = self._other_than(registers.BUS_WATCHDOG, 0)
        if not left:
            return
        if self._readonly:
            log.warning("bus watchdog of servo %s is armed or tripped", self._names(left))
            return
        position = self.read().position
        self._write_all(registers.BUS_WATCHDOG, [0] * len(self._ids))
        self._send_targets(Targets(time.monotonic(), position))

    def _check_models(self) -> None:
        numbers = self._read_all(registers.MODEL_NUMBER)
        for actuator, model in zip(self.hand.actuators, self._units.models, strict=True):
            servo = actuator.servo
            if numbers[servo.id] != model.number:
                raise BusError(
                    f"servo {self._names([servo.id])} is of model number {numbers[servo.id]}, but "
                    f"hand {self.hand.name} has a {servo.model} ({model.number}) there; is the "
                    "right hand plugged in?"
                )

    def _set_up(self) -> None:
        """Sets operating mode, delay of replies and gains where they differ; bounds the torque."""
        models = dict(zip(self._ids, self._units.models, strict=True))
        without = [id for id, model in models.items() if not model.current_control]
        if without:
            log.warning(
                "servo %s cannot bound its current; its PWM is bounded instead, and what it "
                "reports as current is its load",
                self._names(without),
            )
        wanted = [
            (registers.OPERATING_MODE, {id: m.operating_mode for id, m in models.items()}),
            (registers.RETURN_DELAY, dict.fromkeys(self._ids, 0)),
        ]
        if self._gains:
            of_gains = registers.POSITION_P, registers.POSITION_I, registers.POSITION_D
            wanted += [
                (register, dict.fromkeys(self._ids, gain))
                for register, gain in zip(of_gains, self._gains, strict=True)
            ]
        for register, values in wanted:
            other = self._differing(register, values)
            if other and self._readonly:
                log.warning("register %d of servo %s differs", register.address, self._names(other))
                continue
            for id in other:
                self.bus.write(id, register.address, register.pack(values[id]))
            refused = self._differing(register, values) if other else []
            if refused:
                raise BusError(
                    f"register {register.address} of servo {self._names(refused)} could not be "
                    "set; it is locked while torque is on: switch the hand's power off and on"
                )
            if other:
                log.info("set register %d of servo %s", register.address, self._names(other))
        if self._readonly:
            return
        goals = dict(zip(self._ids, self._units.torque_goals(self._torque_share), strict=True))
        for register in sorted({m.torque_register for m in models.values()}, key=_address):
            rows = {
                id: register.pack(goals[id])
                for id, model in models.items()
                if model.torque_register == register
            }
            self.bus.sync_write(register.address, register.size, rows)
        self._shares[:] = 1.0

    def _poll_condition(self, deadline: float | None) -> None:
        """Looks at voltage and temperature of the servo whose turn it is, if it is time."""
        self._reads += 1
        turn, rest = divmod(self._reads, _POLL_EVERY)
        if rest:
            return
        at = turn % len(self._ids)
        until = time.monotonic() + self._patience / 2
        until = until if deadline is None else min(until, deadline)
        data = self.bus.read(self._ids[at], *registers.CONDITION, deadline=until)
        if len(data) == registers.CONDITION[1]:
            self.voltage[at] = registers.VOLTAGE_UNIT * registers.INPUT_VOLTAGE.unpack(data[:2])
            self.temperature[at] = registers.TEMPERATURE.unpack(data[2:])
            self._derate(at)

    def _derate(self, at: int) -> None:
        """Leaves a hot servo less torque, before it protects itself by letting go."""
        share = float(np.interp(self.temperature[at], (WARM, HOT), (1.0, LEAST_SHARE)))
        if self._readonly or abs(share - self._shares[at]) < 0.05:
            return
        log.warning(
            "servo %s is at %.0f °C: %.0f %% of its torque is left",
            self._name[self._ids[at]],
            self.temperature[at],
            100 * share,
        )
        self._shares[at] = share
        register = self._units.models[at].torque_register
        goal = self._units.torque_goals(share * self._torque_share)[at]
        row = {self._ids[at]: register.pack(goal)}
        self.bus.sync_write(register.address, register.size, row)

    def _differing(self, register: Register, values: dict[int, int]) -> list[int]:
        """Servos whose register has another value than they should."""
        return [id for id, now in self._read_all(register).items() if now != values[id]]

    def _other_than(self, register: Register, value: int) -> list[int]:
        """Servos whose register has another value."""
        return self._differing(register, dict.fromkeys(self._ids, value))

    def _write_all(self, register: Register, values: Iterable[int]) -> None:
        rows = {id: register.pack(value) for id, value in zip(self._ids, values, strict=True)}
        self.bus.sync_write(register.address, register.size, rows)

    def _read_all(self, register: Register) -> dict[int, int]:
        replies = self._gather(register.address, register.size, attempts=_ATTEMPTS)
        return {id: register.unpack(reply.data) for id, reply in replies.items()}

    def _gather(
        self, address: int, length: int, attempts: int, deadline: float | None = None
    ) -> dict[int, Packet]:
        """The replies of all servos, or an error that names the ones that are in trouble."""
        replies = self.bus.sync_read(
            address, length, self._ids, attempts=attempts, deadline=deadline
        )
        silent = [id for id in self._ids if id not in replies]
        if silent:
            raise BusError(
                f"no answer from servo {self._names(silent)} on {self.bus.port}; check power, "
                "cable, id and baud"
            )
        alarmed = [id for id, reply in replies.items() if reply.error & ALERT]
        if alarmed and address != registers.HARDWARE_ERROR.address:
            raise BusError(self._diagnose(alarmed))
        refused = [id for id, reply in replies.items() if reply.error & ~ALERT]
        if refused:
            raise BusError(
                f"servo {self._names(refused)} refused to read {length} bytes at {address}"
            )
        return replies

    def _diagnose(self, alarmed: list[int]) -> str:
        error = registers.HARDWARE_ERROR
        replies = self.bus.sync_read(error.address, error.size, alarmed)
        causes = [
            f"servo {self._names([id])}: {registers.hardware_error(error.unpack(reply.data))}"
            for id, reply in replies.items()
        ]
        listed = "; ".join(causes) or f"servo {self._names(alarmed)}: hardware error"
        return f"{listed}; remove the cause, then reboot the servo"

    def _names(self, ids: Iterable[int]) -> str:
        return ", ".join(self._name[id] for id in ids)


def _address(register: Register) -> int:
    return register.address
