"""`inhand calibrate joints`: zero and sign of each servo on its joint, from guided poses."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import tyro

from inhand.controller.calibration.bus_command import BusCommand
from inhand.controller.calibration.guided_motion import (
    MOVED,
    Encoders,
    direction,
    hold,
    require_moved_joint,
    wait_for_enter,
)
from inhand.controller.config.config import load_config
from inhand.controller.errors import CalibrationError
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.controller.system.open_hand import open_hand, seated_hand
from inhand.files import back_up, write_whole
from inhand.hardware.identification.encoder_offsets import (
    Ends,
    SeatedServo,
    load_seating,
    seat,
    seating_text,
)
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.records import Array

PATIENCE = 0.1
"""Reply timeout [s]."""
BEYOND = 0.1
"""Tolerance outside the joint's range before its zero counts as wrong [rad]."""


@dataclass(frozen=True)
class Joints(BusCommand):
    """Find zero, sign and range of each joint: you move it to its ends, torque is off.

    With `--check` it writes nothing. It checks that moving a joint moves its own encoder in the
    right direction: this finds swapped ids, reversed signs and shifted zeros before a policy runs.

    Example: inhand calibrate joints --config inhandd.toml --out my-joints.toml

    Attributes:
        out: File to write, to be named under [bus] joints; the old file is kept beside it.
        joints: Names of the actuators; all if not given. The entries of the others stay.
        check: Check what is configured, and write nothing.
    """

    out: Path | None = None
    joints: tuple[str, ...] = ()
    check: bool = False
    clock: tyro.conf.Suppress[Clock] = field(default_factory=MonotonicClock)

    def run(self) -> int:
        """Guides, and writes or checks; 1 if a check found something."""
        config = load_config(self.config)
        hand = load_hand(config.hand)
        if self.check == (self.out is not None):
            raise CalibrationError("calibrate joints: give either --out FILE or --check")
        at = hand.find_actuators(self.joints)
        old = load_seating(self.out, hand) if self.out and self.out.exists() else {}
        print("Torque goes off: support what may fall. Type q and Enter to cancel.")
        wait_for_enter("Press Enter to begin.")
        baud, joints = self.baud or config.bus.baud, config.bus.joints if self.check else ""
        bus = msgspec.structs.replace(config.bus, baud=baud, joints=joints)
        backend = open_hand(hand, bus, self.port or None, patience=PATIENCE, anywhere=True)
        backend.connect()
        try:
            backend.set_torque(False)
            encoders = Encoders(backend, self.clock)
            if self.check:
                return _check(seated_hand(hand, bus), encoders, at)
            found = {hand.actuator_names[i]: _ends(hand, encoders, i) for i in at}
        finally:
            backend.close()
        assert self.out is not None
        servos = old | found
        if kept := back_up(self.out):
            print(f"what was in {self.out} is in {kept}")
        order = [name for name in hand.actuator_names if name in servos]
        write_whole(self.out, seating_text(hand, {name: servos[name] for name in order}))
        print(_table(hand, found))
        print(f"wrote {self.out}; name it under [bus] joints")
        return 0


def _ends(hand: Hand, encoders: Encoders, at: int) -> SeatedServo:
    """Zero, sign and range of one joint, which a person moves to both its ends."""
    name, where = hand.actuator_names[at], direction(hand, at)
    low = hold(encoders, f"{name}: to its lower end (not: {where}), then Enter.")
    high = hold(encoders, f"{name}: to its upper end ({where}), then Enter.")
    require_moved_joint(hand, at, low, high)
    return seat(hand, at, Ends(float(low[at]), float(high[at])))


def _check(hand: Hand, encoders: Encoders, at: list[int]) -> int:
    """Checks that each joint's own encoder follows when a person moves it up; 1 if one does not."""
    problems = []
    for i in at:
        name = hand.actuator_names[i]
        before = hold(encoders, f"{name}: to its middle, then Enter.")
        after = hold(
            encoders, f"{name}: a third of the way to its upper end ({direction(hand, i)}), Enter."
        )
        problem = _problem(hand, i, before, after)
        print(f"  {problem or 'good'}")
        if problem:
            problems.append(problem)
    print(f"{len(at) - len(problems)} of {len(at)} joints are as they should be")
    return int(bool(problems))


def _problem(hand: Hand, at: int, before: Array, after: Array) -> str:
    """What is wrong with a joint that was moved up; empty if nothing is."""
    try:
        require_moved_joint(hand, at, before, after)
    except CalibrationError as error:
        return str(error)
    name, servo = hand.actuator_names[at], hand.actuators[at].on_bus
    angles = servo.zero + servo.sign * np.array([before[at], after[at]])
    if angles[1] - angles[0] < MOVED / 2:
        return f"{name} is reversed: its sign is {servo.sign} and must be {-servo.sign}"
    low, high = float(hand.lower[at]), float(hand.upper[at])
    if angles.min() < low - BEYOND or angles.max() > high + BEYOND:
        return (
            f"{name} stands at {angles[1]:+.2f} rad, outside {low:.2f} to {high:.2f}: its zero is "
            "off; inhand calibrate joints finds it"
        )
    return ""


def _table(hand: Hand, found: dict[str, SeatedServo]) -> str:
    """Sign, zero and range of each servo, beside those of the hand file."""
    lines = []
    for name, servo in found.items():
        at = hand.actuator_names.index(name)
        of_file = hand.actuators[at].on_bus
        low, high = float(hand.lower[at]), float(hand.upper[at])
        lines.append(
            f"{name:6} sign {servo.sign:+d} (file {of_file.sign:+d})  zero {servo.zero:+.3f} "
            f"(file {of_file.zero:+.3f})  moved {servo.range[0]:+.3f} to {servo.range[1]:+.3f} "
            f"(file {low:+.3f} to {high:+.3f})"
        )
    return "\n".join(lines)
