"""`inhand doctor --move`: moves each joint a little and checks that it, and only it, follows."""

import numpy as np

from inhand.controller.calibration.excitation import Exciter
from inhand.controller.config.sections import BusConfig
from inhand.controller.errors import CalibrationError
from inhand.controller.safety.safety import Limits
from inhand.controller.system.clock import Clock
from inhand.controller.system.open_hand import open_hand, torque
from inhand.hardware.findings import Finding
from inhand.hardware.model.hand import Hand

NUDGE = 0.12
"""Test motion of each joint [rad]."""
FOLLOWED, ALONG = 0.5, 0.4
"""Shares of the test motion: the least that the joint must move, the most that another may."""
PATIENCE = 0.1
"""Reply timeout [s]."""


def check_motion(hand: Hand, bus: BusConfig, port: str, clock: Clock) -> list[Finding]:
    """Goes slowly to the rest pose, then moves one joint after another there and back.

    Args:
        hand: that is moved.
        bus: settings of its bus.
        port: instead of the configured ones; empty for those.
        clock: paces the motion.

    Raises:
        BusError: the hand cannot be read or commanded.
    """
    backend = open_hand(hand, bus, port or None, patience=PATIENCE)
    backend.connect()
    try:
        with torque(backend):
            exciter = Exciter(backend, clock, bus.torque_share)
            try:
                exciter.visit(backend.hand.rest)
            except CalibrationError as error:
                remedy = "free the joint, take the object out; then run it anew"
                return [Finding("motion", "bad", str(error), remedy)]
            found = [_nudge(exciter, backend.hand, at) for at in range(hand.n_actuators)]
    finally:
        backend.close()
    good = Finding("motion", "good", f"{hand.n_actuators} joints follow, each alone")
    return [one for one in found if one is not None] or [good]


def _nudge(exciter: Exciter, hand: Hand, at: int) -> Finding | None:
    """What is wrong with one joint's motion; nothing if it is as it should be."""
    limits, pose = Limits.of(hand), np.array(hand.rest)
    up = limits.upper[at] - pose[at] > NUDGE
    way = NUDGE if up else -NUDGE
    pose[at] += way
    name = hand.actuator_names[at]
    try:
        after = exciter.visit(pose)
        before = exciter.visit(hand.rest)
    except CalibrationError as error:
        return Finding(f"motion {name}", "bad", str(error), "free the joint, or replace its servo")
    moved = after - before
    others = np.where(np.arange(len(moved)) == at, 0.0, np.abs(moved))
    other = int(others.argmax())
    if not moved[at] / way > FOLLOWED:
        return Finding(
            f"motion {name}",
            "bad",
            f"told to go {way:+.2f} rad, it went {moved[at]:+.2f}"
            + (f", and {hand.actuator_names[other]} {moved[other]:+.2f}" if others[other] else ""),
            "is it stuck, its horn loose, or its drive mode reversed? inhand calibrate joints "
            "--check shows swapped ids",
        )
    if others[other] > ALONG * NUDGE:
        return Finding(
            f"motion {name}",
            "bad",
            f"{hand.actuator_names[other]} went {moved[other]:+.2f} rad along with it",
            "do they touch, or pull at one cable?",
        )
    return None
