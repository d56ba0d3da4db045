"""The hand on the configured bus or buses, as the daemon and the calibrations open it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inhand.controller.config.sections import BusConfig
from inhand.hardware.backend import HandBackend, switch_torque_off
from inhand.hardware.dynamixel.bus import TICK_PATIENCE
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.line_clock import LineClock
from inhand.hardware.dynamixel.parallel import ParallelHand, by_port
from inhand.hardware.errors import BusError
from inhand.hardware.identification.encoder_offsets import load_seating, seated
from inhand.hardware.model.hand import Hand

TORQUE_OFF_TIME = 2.0
"""For torque to be read back as off [s]."""


def open_hand(
    hand: Hand,
    bus: BusConfig,
    port: str | None = None,
    *,
    readonly: bool = False,
    patience: float = TICK_PATIENCE,
    anywhere: bool = False,
    clock: LineClock | None = None,
    period: float = 0.0,
) -> HandBackend:
    """A hand that is not connected yet.

    Args:
        hand: its description.
        bus: its ports, and the settings of its servos.
        port: the one port of all servos, instead of the configured ones.
        readonly: whether to send nothing that changes a servo.
        patience: how long a servo may take to begin a reply [s].
        anywhere: whether joints may stand anywhere, as their zeros are being looked for.
        clock: of all times; CLOCK_MONOTONIC if not given.
        period: time between two reads; 0 if any is all right [s].

    Raises:
        DescriptionError: the file of the joints is malformed, or a port names a servo that the
            hand does not have.
    """
    hand = seated_hand(hand, bus)
    ports = {port: hand} if port else by_port(hand, bus.port, bus.others)
    parts = [
        ServoHand(
            part,
            name,
            bus.baud,
            patience,
            watchdog=bus.watchdog,
            readonly=readonly,
            gains=(bus.gains[0], bus.gains[1], bus.gains[2]) if bus.gains else None,
            torque_share=bus.torque_share,
            anywhere=anywhere,
            clock=clock,
            period=period,
        )
        for name, part in ports.items()
    ]
    return parts[0] if len(parts) == 1 else ParallelHand(hand, parts)


def seated_hand(hand: Hand, bus: BusConfig) -> Hand:
    """The hand with zeros, signs and ranges from `inhand calibrate joints`, if configured.

    Raises:
        DescriptionError: their file is missing, malformed, or of another hand.
    """
    return seated(hand, load_seating(Path(bus.joints), hand)) if bus.joints else hand


@contextmanager
def torque(backend: HandBackend) -> Iterator[None]:
    """Context with torque on, without a jump at the start; torque is off afterwards in any case.

    Raises:
        BusError: torque could not be switched.
    """
    try:
        backend.set_torque(True)
        yield
    except BaseException:
        # The first error is the one to report; a second one must not replace it.
        if left := switch_torque_off(backend, TORQUE_OFF_TIME):
            print(f"torque may still be on: {left}", file=sys.stderr)
        raise
    if left := switch_torque_off(backend, TORQUE_OFF_TIME):
        raise BusError(f"torque may still be on: {left}; switch the hand's power off")
