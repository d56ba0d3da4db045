"""A hand of Dynamixel servos on a serial bus."""

import logging
import time
from collections.abc import Iterable

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


class ServoHand(HandBackend):
    """The hand's servos in current-based position mode.

    Args:
        hand: which servos there are, and how they sit.
        port: device file of the bus.
        baud: bits a second.
        patience: how long a servo may take to begin a reply in `read` [s].

    Raises:
        DescriptionError: the hand has a servo of unknown model.
    """

    def __init__(self, hand: Hand, port: str, baud: int, patience: float = TICK_PATIENCE) -> None:
        self.hand = hand
        self._patience = patience
        self._bus = Bus(port, baud)
        self._units = Units(hand)
        self._ids = [actuator.servo.id for actuator in hand.actuators]
        self._name = {a.servo.id: f"{a.servo.id} ({a.name})" for a in hand.actuators}

    def connect(self) -> None:
        """Opens the bus, finds every servo and sets what it needs; torque stays as it is.

        Raises:
            BusError: a servo is absent, of another model, or cannot be set up.
        """
        self._bus.open()
        self._bus.patience = BRING_UP_PATIENCE
        try:
            self._check_models()
            self._set_up()
        except BusError:
            self._bus.close()
            raise
        self._bus.patience = self._patience

    def read(self) -> JointState:
        """Measures all servos, with one request and at most one more for those that were silent.

        Raises:
            BusError: a servo did not answer, or reports a hardware error.
        """
        t = time.monotonic()
        replies = self._gather(*registers.MEASURED, attempts=2)
        raw = np.empty((3, len(self._ids)))
        measured = (
            registers.PRESENT_CURRENT,
            registers.PRESENT_VELOCITY,
            registers.PRESENT_POSITION,
        )
        base = registers.MEASURED[0]
        for column, id in enumerate(self._ids):
            data = replies[id].data
            for row, register in enumerate(measured):
                start = register.address - base
                raw[row, column] = register.unpack(data[start : start + register.size])
        return JointState(
            t=t,
            position=frozen_array(self._units.angles(raw[2])),
            velocity=frozen_array(self._units.velocities(raw[1])),
            current=frozen_array(self._units.currents(raw[0])),
        )

    def write(self, targets: Targets) -> Targets:
        """Commands all servos; what is returned is rounded as the servos count."""
        counts = self._units.position_counts(targets.position)
        self._write_all(registers.GOAL_POSITION, counts)
        sent: Array = self._units.angles(np.array(counts, dtype=np.float64))
        return Targets(targets.t, frozen_array(sent))

    def set_torque(self, on: bool) -> None:
        """Switches torque; before it goes on, every goal is set to where the servo stands.

        Raises:
            BusError: a servo did not answer, or did not switch.
        """
        if on:
            self.write(Targets(time.monotonic(), self.read().position))
        self._write_all(registers.TORQUE_ENABLE, [int(on)] * len(self._ids))
        wrong = self._other_than(registers.TORQUE_ENABLE, int(on))
        if wrong:
            state = "on" if on else "off"
            raise BusError(f"torque did not go {state} at servo {self._names(wrong)}")

    def close(self) -> None:
        self._bus.close()

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
        """Sets operating mode and delay of replies where they differ, and bounds the torque."""
        wanted = (
            (registers.OPERATING_MODE, registers.CURRENT_BASED_POSITION),
            (registers.RETURN_DELAY, 0),
        )
        for register, value in wanted:
            other = self._other_than(register, value)
            for id in other:
                self._bus.write(id, register.address, register.pack(value))
            refused = self._other_than(register, value) if other else []
            if refused:
                raise BusError(
                    f"register {register.address} of servo {self._names(refused)} could not be "
                    "set; it is locked while torque is on: switch the hand's power off and on"
                )
            if other:
                log.info("set register %d of servo %s", register.address, self._names(other))
        self._write_all(registers.GOAL_CURRENT, self._units.current_goals())

    def _other_than(self, register: Register, value: int) -> list[int]:
        """Servos whose register has another value."""
        return [id for id, now in self._read_all(register).items() if now != value]

    def _write_all(self, register: Register, values: Iterable[int]) -> None:
        rows = {id: register.pack(value) for id, value in zip(self._ids, values, strict=True)}
        self._bus.sync_write(register.address, register.size, rows)

    def _read_all(self, register: Register) -> dict[int, int]:
        replies = self._gather(register.address, register.size, attempts=_ATTEMPTS)
        return {id: register.unpack(reply.data) for id, reply in replies.items()}

    def _gather(self, address: int, length: int, attempts: int) -> dict[int, Packet]:
        """The replies of all servos, or an error that names the ones that are in trouble."""
        replies: dict[int, Packet] = {}
        silent = self._ids
        for _ in range(attempts):
            replies |= self._bus.sync_read(address, length, silent)
            silent = [id for id in self._ids if id not in replies]
            if not silent:
                break
        if silent:
            raise BusError(
                f"no answer from servo {self._names(silent)} on {self._bus.port}; check power, "
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
        replies = self._bus.sync_read(error.address, error.size, alarmed)
        causes = [
            f"servo {self._names([id])}: {registers.hardware_error(error.unpack(reply.data))}"
            for id, reply in replies.items()
        ]
        listed = "; ".join(causes) or f"servo {self._names(alarmed)}: hardware error"
        return f"{listed}; remove the cause, then reboot the servo"

    def _names(self, ids: Iterable[int]) -> str:
        return ", ".join(self._name[id] for id in ids)
