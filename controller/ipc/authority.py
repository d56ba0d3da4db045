"""Which program commands the hand: one at a time, while the hand has torque."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inhand.controller.core.requests import (
    AnyRequest,
    Arm,
    Control,
    Disable,
    Enable,
    Goal,
    Goals,
    Home,
    Joints,
    LoadPolicy,
    Manual,
    RandomGoals,
    Shutdown,
    Trajectory,
)
from inhand.controller.safety.modes import Mode

_MOVES = (Enable, Home, Arm, Goal, Goals, RandomGoals, Manual, Joints, Trajectory)

_NEEDS_CONTROL = (*_MOVES, Disable, LoadPolicy, Shutdown)
"""Requests that one program at a time may make. Stops and `clear` are for all who may command."""

GIVES_CONTROL = _MOVES
"""Requests after which their sender is in control."""

_CONTROLLED = (Mode.HOLDING, Mode.READY, Mode.RUNNING, Mode.MANUAL)
"""Modes in which a program can be in control."""


@dataclass(frozen=True)
class Sender:
    """A program that sends requests; all its connections together.

    Attributes:
        key: process id, or the name of a key.
        name: for people.
    """

    key: int | str
    name: str


def local(process: int, user: int) -> Sender:
    """A program on this machine.

    Args:
        process: its process id.
        user: its user id.
    """
    try:
        command = Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        command = "ended"
    return Sender(process, f"program {process} ({command}, user {user})")


class Authority:
    """The program that is in control; used by the thread of the tick.

    A program is in control from its request that gives the hand torque or moves it, until the hand
    has no torque, it is stopped, the program has no connection any more, or another takes over.

    Args:
        connected: returns whether a program still has a connection.

    Attributes:
        holder: the program in control, if there is one.
    """

    def __init__(self, connected: Callable[[Sender], bool] = lambda sender: True) -> None:
        self.holder: Sender | None = None
        self._connected = connected
        self._replaced: dict[int | str, str] = {}

    def update(self, mode: Mode) -> None:
        """Ends control that is over; called once a tick, and before each request."""
        if mode not in _CONTROLLED:
            self.holder = None
            self._replaced.clear()
        elif self.holder is not None and not self._connected(self.holder):
            self.holder = None

    def refusal(self, sender: Sender | None, request: AnyRequest) -> str:
        """Why this sender may not make this request; empty if there is no reason."""
        if sender is None or not isinstance(request, _NEEDS_CONTROL):
            return ""
        kind = request.__struct_config__.tag
        if self.holder is not None and self.holder.key != sender.key:
            text = f"{self.holder.name} is in control, this is {sender.name}"
        elif sender.key in self._replaced:
            text = f"{self._replaced[sender.key]} took control from {sender.name}"
        else:
            return ""
        return f"{kind}: {text}; the request `control` (`inhand control`) takes over"

    def note(self, sender: Sender | None, request: AnyRequest) -> None:
        """A request was carried out."""
        if sender is not None and isinstance(request, GIVES_CONTROL):
            self.holder = sender

    def change(self, sender: Sender | None, request: Control) -> None:
        """Takes or releases control."""
        if sender is None:
            return
        if request.action == "release":
            if self.holder is not None and self.holder.key == sender.key:
                self.holder = None
            return
        if self.holder is not None and self.holder.key != sender.key:
            self._replaced[self.holder.key] = sender.name
        self._replaced.pop(sender.key, None)
        self.holder = sender
