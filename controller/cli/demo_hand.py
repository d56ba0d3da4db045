"""The demonstration's hand: brought into a mode, and the block put into it."""

from collections.abc import Callable

import numpy as np

from inhand.controller.client.connection import Message
from inhand.controller.runtime.timed_hand import TimedHand
from inhand.errors import InhandError

_HOMING = 1.5
"""Time for the hand to reach the rest pose, where an object can be put into it [s]."""

_SETTLING = 1.0
"""How long the block takes to come to rest, and to be seen, where it was put [s]."""

_SETTLE_TIMEOUT = 3.0

_RESTING = 0.02
"""Speed below which the block rests [m/s]."""


class SetbackError(InhandError):
    """Something went wrong that a new beginning may mend."""


class StoppedError(InhandError):
    """Somebody else has stopped the hand; the demonstration does not undo that."""


def make_holding(hand: TimedHand) -> None:
    """Brings the hand into the mode `holding` from any other, also out of a fault that is over.

    Raises:
        StoppedError: it is in an emergency stop.
    """
    wait(hand, _joints_are_read)
    mode = hand.status()["mode"]
    if mode == "estop":
        raise StoppedError("the emergency stop was pressed; clear it when all is well")
    if mode in ("ready", "running", "manual"):
        hand.call("hold")
    elif mode != "holding":
        if mode != "off":
            hand.call("clear")
        hand.call("enable")
        hand.call("home")
        hand.sleep(_HOMING)


def place(hand: TimedHand) -> None:
    """Puts the block into the hand, and waits until it is seen to rest there.

    Raises:
        SetbackError: it is not.
    """
    hand.call("home")
    hand.sleep(_HOMING)
    hand.place()
    hand.sleep(_SETTLING)
    if not wait(hand, _block_at_rest):
        raise SetbackError("the block does not stay in the hand")


def _joints_are_read(status: Message) -> bool:
    joints = status.get("joints")
    return joints is not None and joints["age"] < 0.1


def block_in_hand(status: Message) -> bool:
    """Whether the object was seen in the hand just now."""
    pose = status["object"]["pose"]
    return bool(status["object"]["in_hand"] and pose is not None and pose["age"] < 0.2)


def _block_at_rest(status: Message) -> bool:
    if not block_in_hand(status):
        return False
    return float(np.linalg.norm(status["object"]["pose"]["linear_velocity"])) < _RESTING


def wait(hand: TimedHand, what: Callable[[Message], bool]) -> bool:
    """Whether the daemon's status came to be so in time."""
    deadline = hand.now() + _SETTLE_TIMEOUT
    while hand.now() < deadline:
        if what(hand.status()):
            return True
        hand.sleep(0.1)
    return False
