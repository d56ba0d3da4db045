"""Who pressed the emergency stop; nobody else but an operator may end it."""

import os
from dataclasses import dataclass

from inhand.controller.ipc.connection import Connection

OPERATE = "operate"
"""Role of a network key that may end every emergency stop."""


@dataclass(frozen=True)
class Person:
    """Who sends requests.

    Attributes:
        name: a user of this machine, or a key.
        operator: whether every emergency stop may be ended: root, the daemon's own user, and keys
            with the role `operate`.
    """

    name: str
    operator: bool


def person(connection: Connection | None, *, gateway: bool) -> Person:
    """Who is at the other end of a connection.

    Args:
        connection: to the command socket; None if it is closed.
        gateway: whether it comes from the gateway, which names role and key of its client.
    """
    if connection is None:
        return Person("somebody", False)
    if gateway:
        role, _, key = connection.session.identity.decode(errors="replace").partition(" ")
        return Person(f"key {key}", role == OPERATE)
    return Person(f"user {connection.user}", connection.user in (0, os.getuid()))


class StopOwner:
    """The program that pressed the emergency stop first."""

    def __init__(self) -> None:
        self._owner: Person | None = None

    def press(self, who: Person, *, stopped: bool) -> None:
        """Somebody presses; `stopped` says whether the hand is in an emergency stop already."""
        if not stopped or self._owner is None:
            self._owner = who

    def refusal(self, who: Person, *, stopped: bool) -> str:
        """Why this person may not end the emergency stop; empty if there is no reason."""
        owner = self._owner
        if not stopped or owner is None or who.operator or owner.name == who.name:
            return ""
        return (
            f"clear: {owner.name} pressed the emergency stop, this is {who.name}; only they, the "
            "daemon's user, root, or a key with the role operate may clear it"
        )
