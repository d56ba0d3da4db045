"""Verbs of `inhand` that send one request; those about goals are in `goal_verbs`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from inhand.controller.cli.display import as_events, as_lines, as_status
from inhand.controller.cli.status_screen import watch
from inhand.controller.client.connection import Message
from inhand.controller.client.sync import Client
from inhand.result import print_json

Directory = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True)
class Verb:
    """Attributes:
    directory: Where the daemon's sockets are, instead of the usual place.
    key: File from `inhand keys generate`, to reach a daemon on another machine.
    json: Print the daemon's reply as JSON.
    """

    directory: Directory = None
    key: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    json: bool = False

    def run(self) -> int:
        """Sends the request that has the verb's name."""
        return self.send(type(self).__name__.lower())

    def send(self, type: str, **members: object) -> int:
        """Sends a request and prints the reply."""
        with Client(self.directory, key=self.key) as client:
            reply = client.call(type, **members)
        reply.pop("id"), reply.pop("ok")
        self.show(reply)
        return 0

    def show(self, reply: Message) -> None:
        """Prints a reply."""
        _print(reply, self.json, as_lines)


@dataclass(frozen=True)
class Status(Verb):
    """Show mode, object, goal and tick.

    Example: inhand status --watch

    Attributes:
        watch: Go on showing it until Ctrl-C; with --json a line a second.
    """

    watch: bool = False

    def run(self) -> int:
        if not self.watch:
            return super().run()
        with Client(self.directory, key=self.key) as client:
            return watch(client, json=self.json)

    def show(self, reply: Message) -> None:
        _print(reply, self.json, as_status)


@dataclass(frozen=True)
class Enable(Verb):
    """Switch torque on, holding the present position.

    Example: inhand enable
    """


@dataclass(frozen=True)
class Disable(Verb):
    """Switch torque off.

    Example: inhand disable
    """


@dataclass(frozen=True)
class Home(Verb):
    """Move slowly to the rest pose.

    Example: inhand home
    """


@dataclass(frozen=True)
class Place(Verb):
    """Put the object back into a simulated hand; it falls out of one without torque.

    Example: inhand place
    """

    def run(self) -> int:
        with Client(self.directory, key=self.key) as client:
            client.place()
        self.show({"in_hand": True})
        return 0


@dataclass(frozen=True)
class Arm(Verb):
    """Get ready for goals; needs the object in the hand.

    Example: inhand arm
    """


@dataclass(frozen=True)
class Disarm(Verb):
    """Leave the armed modes.

    Example: inhand disarm
    """


@dataclass(frozen=True)
class Cancel(Verb):
    """Forget all goals.

    Example: inhand cancel
    """


@dataclass(frozen=True)
class Hold(Verb):
    """Stop where the hand is.

    Example: inhand hold
    """


@dataclass(frozen=True)
class Estop(Verb):
    """Emergency stop; stays until cleared.

    Example: inhand estop
    """


@dataclass(frozen=True)
class Clear(Verb):
    """End a fault or an emergency stop; torque stays off.

    Example: inhand clear
    """


@dataclass(frozen=True)
class Control(Verb):
    """Take control from the program that commands the hand.

    This program ends at once, so that control is free for the next one that asks.

    Example: inhand control
    """


@dataclass(frozen=True)
class Shutdown(Verb):
    """End the daemon.

    Example: inhand shutdown
    """


@dataclass(frozen=True)
class LoadPolicy(Verb):
    """Load another policy from the daemon's directory, if its allow-list has it.

    Example: inhand load-policy block.onnx

    Attributes:
        policy: File name, or the start of its SHA-256.
    """

    policy: tyro.conf.Positional[str] = tyro.MISSING

    def run(self) -> int:
        return self.send("load_policy", policy=self.policy)


@dataclass(frozen=True)
class Record(Verb):
    """Write what the flight recorder has in memory, or record until stopped.

    Example: inhand record

    Attributes:
        action: `save` writes the last half minute; `start` and `stop` a recording of any length.
        images: Keep the cameras' pictures too, from now on until `stop`.
    """

    action: tyro.conf.Positional[Literal["save", "start", "stop"]] = "save"
    images: bool = False

    def run(self) -> int:
        return self.send("record", action=self.action, images=self.images or None)


@dataclass(frozen=True)
class Events(Verb):
    """List what happened.

    Example: inhand events --since 10

    Attributes:
        since: List only events with larger numbers.
    """

    since: int = 0

    def run(self) -> int:
        return self.send("events", since=self.since)

    def show(self, reply: Message) -> None:
        _print(reply, self.json, as_events)


def _print(reply: Message, json: bool, as_text: Callable[[Message], str]) -> None:
    if json:
        print_json(reply)
    else:
        print(as_text(reply))
