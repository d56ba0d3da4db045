"""Guided motion: a person moves joints with torque off; the encoders show which ones moved."""

import sys
from dataclasses import dataclass

import numpy as np

from inhand.controller.errors import CalibrationError
from inhand.controller.system.clock import Clock
from inhand.hardware.backend import HandBackend
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import Array

STILL = 0.02
"""A joint counts as held still if its readings differ by less than this [rad]."""
READINGS, PERIOD = 10, 0.02
"""How many readings are averaged for a joint that is held, and the time between two [s]."""
MOVED = 0.1
"""Smallest change of angle that counts as moved [rad]."""
MEANT = 2.0
"""The intended joint must move at least this many times as far as any other."""
_PROBE = 0.1
"""Joint rotation from which the direction of motion is computed [rad]."""


@dataclass(frozen=True)
class Encoders:
    """Reads raw encoder angles from the encoders' centres, without sign and zero of the hand file.

    Attributes:
        backend: connected, without torque.
        clock: between readings.
    """

    backend: HandBackend
    clock: Clock

    def held(self) -> Array:
        """Mean over a short while [rad], (n_actuators,).

        Raises:
            CalibrationError: a joint moves, or does not answer.
            BusError: the hand cannot be read.
        """
        hand, rows = self.backend.hand, []
        for _ in range(READINGS):
            rows.append(self.backend.read().position)
            self.clock.sleep_until(self.clock.now() + PERIOD)
        readings = np.array(rows)
        if silent := np.flatnonzero(~np.isfinite(readings).all(axis=0)).tolist():
            names = ", ".join(hand.actuator_names[i] for i in silent)
            raise CalibrationError(f"no steady answer from {names}; inhand doctor says why")
        moving = np.flatnonzero(np.ptp(readings, axis=0) > STILL).tolist()
        if moving:
            raise CalibrationError(f"{hand.actuator_names[moving[0]]} moves; hold the hand still")
        servos = [actuator.on_bus for actuator in hand.actuators]
        sign = np.array([servo.sign for servo in servos])
        zero = np.array([servo.zero for servo in servos])
        centred: Array = sign * (readings.mean(axis=0) - zero)
        return centred


def wait_for_enter(prompt: str) -> None:
    """Asks a person to do something and press Enter.

    Raises:
        CalibrationError: input has ended, or the person typed `q`.
    """
    print(prompt, end=" ", flush=True)
    line = sys.stdin.readline()
    if not line or line.strip() == "q":
        raise CalibrationError("cancelled; nothing was written")


def confirm() -> None:
    """Asks whether the hand may move.

    Raises:
        CalibrationError: it may not.
    """
    question = "Is the object out of the hand, and everybody clear of it? Then type yes:"
    print(question, end=" ", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise CalibrationError("not confirmed; nothing was moved")


def hold(encoders: Encoders, prompt: str) -> Array:
    """Asks until the joints are held still; the encoders then [rad], (n_actuators,)."""
    while True:
        wait_for_enter(prompt)
        try:
            return encoders.held()
        except CalibrationError as error:
            print(f"  {error}; again")


def require_moved_joint(hand: Hand, meant: int, before: Array, after: Array) -> None:
    """Checks that exactly one joint moved, and that it is the intended one.

    Raises:
        CalibrationError: says which servo moved instead, and what to do.
    """
    way = np.abs(after - before)
    most = int(way.argmax())
    name, servo = hand.actuator_names[meant], hand.actuators[meant].on_bus.id
    if way[most] < MOVED:
        raise CalibrationError(
            f"no encoder moved when {name} was to be moved: is servo {servo}'s horn loose, or was "
            "another joint moved, which no servo holds?"
        )
    others = np.delete(way, meant)
    if most == meant and way[meant] > MEANT * others.max(initial=0.0):
        return
    other = most if most != meant else int(np.where(np.arange(len(way)) == meant, 0, way).argmax())
    if most == meant or way[meant] > MOVED:
        raise CalibrationError(
            f"{name} and {hand.actuator_names[other]} moved together; move {name} alone"
        )
    raise CalibrationError(
        f"servo {hand.actuators[other].on_bus.id} moved, which is {hand.actuator_names[other]} in "
        f"the hand file, when {name} (servo {servo}) was to be moved: are their ids swapped? Give "
        "each its own with `inhand set-id`, by way of an id that is free"
    )


def direction(hand: Hand, at: int) -> str:
    """Direction in which the tip beyond a joint moves when the joint's angle grows, in words."""
    pose = np.array(hand.rest)
    first = hand.driven_joint[at]
    link = _far_link(hand, first)
    tip = np.array(hand.links[link].tip or (0.0, 0.0, 0.03))

    def place(angle: float) -> Array:
        turned = pose.copy()
        turned[at] += angle
        turns, origins = link_poses(hand, hand.joint_angles(turned))
        spot: Array = origins[link] + turns[link] @ tip
        return spot

    way = place(_PROBE) - place(-_PROBE)
    axis = int(np.abs(way).argmax())
    words = (("towards -x", "towards +x"), ("towards -y", "towards +y"), ("down", "up"))
    return f"{hand.links[link].name} goes {words[axis][int(way[axis] > 0)]}"


def _far_link(hand: Hand, link: int) -> int:
    """The fingertip that a link carries, or the last link of its chain."""
    carried = np.flatnonzero(hand.moved_by[:, link]).tolist()
    return next(i for i in carried if i not in hand.parents)
