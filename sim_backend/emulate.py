"""`inhand emulate`: the servos of a hand on a serial port, for any program that asks servos."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
import numpy as np
import tyro

from inhand.errors import InhandError
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.sim_backend.emulated_cameras import EmulatedCameras
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.line_members import LARGEST_ID
from inhand.sim_backend.linked_pty import LinkedPty
from inhand.sim_backend.servo_dynamics import Mask
from inhand.sim_backend.transmission_time import PacedLine

if TYPE_CHECKING:
    from inhand.sim_backend.world import World

FACTORY_BAUD = 57600
"""Baud rate of a new servo."""
_STEP = 0.01
"""Time step without physics [s]."""
_LARGEST_LAG = 0.05
"""Largest delay that is made up for; with a larger one, time slips [s]."""


@dataclass(frozen=True)
class Options:
    """Emulate the servos of a hand on a serial port, until Ctrl-C.

    The port is a link to a pty. Any program that speaks Dynamixel Protocol 2.0 can open it, at the
    baud rate of the servos. The standard input takes `only ID`, `plug ID`, `unplug ID` and `all`:
    which servos are plugged in, by their ids in the hand file. With --physics it takes `place`,
    which puts the object into the hand again.

    Example: inhand emulate --hand leap --port-link /tmp/hand

    Attributes:
        port_link: Name of the port; made now, removed at the end.
        hand: Name or file of the hand.
        factory: Servos as they come out of the box: all have id 1 and 57600 baud.
        first_id: Number the servos from here on, instead of with the ids in the hand file.
        baud: Baud rate that all servos have, without --factory.
        paced: Bytes take their time on the line, as many as the baud rate says.
        physics: Put the hand into PyBullet, with an object; else the servos follow their goals at
            once, or as their motion profile says.
        object: Name or file of the object, with --physics.
        seed: Of the simulated world, with --physics.
        cameras: With --physics, folder to be made for the rig file and the frames of three rendered
            cameras that see hand and object; removed at the end.
    """

    port_link: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    hand: str = "dactyl24"
    factory: bool = False
    first_id: Annotated[int | None, tyro.conf.arg(metavar="ID")] = None
    baud: int = 4_000_000
    paced: bool = False
    physics: bool = False
    object: str = "block"
    seed: int = 1
    cameras: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None


class Joints(Protocol):
    """What the servos move."""

    timestep: float

    def step(self, targets: Array, torque_on: Mask) -> None:
        """Advances one time step; see `World.step`."""
        ...

    def encoders(self) -> tuple[Array, Array, Array]:
        """Position [rad], velocity [rad/s] and current [A] of all servos, (n_actuators,)."""
        ...


class Followers:
    """Joints without physics: with torque, each is where its servo's setpoint is.

    Args:
        hand: its rest pose is where they begin.
    """

    timestep = _STEP

    def __init__(self, hand: Hand) -> None:
        self._position: Array = np.array(hand.rest)
        self._still = np.zeros(hand.n_actuators)

    def step(self, targets: Array, torque_on: Mask) -> None:
        self._position = np.where(torque_on, targets, self._position)

    def encoders(self) -> tuple[Array, Array, Array]:
        return self._position, self._still, self._still


class Emulation:
    """Servos and joints behind a port.

    Args:
        hand: defines the servos.
        joints: what they move.
        line: the port, open.
        options: see `Options`.
        place: puts the object into the hand again; None if there is none.
        cameras: that see the joints; None if there are none.
    """

    def __init__(
        self,
        hand: Hand,
        joints: Joints,
        line: LinkedPty,
        options: Options,
        place: Callable[[], None] | None = None,
        cameras: EmulatedCameras | None = None,
    ) -> None:
        self._joints, self._line, self._place, self._cameras = joints, line, place, cameras
        self._input: tuple[int, ...] = (sys.stdin.fileno(),)
        self.bus = ServoBus(hand, self._measure, factory=options.factory)
        self._by_id = {
            actuator.on_bus.id: servo
            for actuator, servo in zip(hand.actuators, self.bus.in_order, strict=True)
        }
        self._paced = PacedLine(self.bus, lambda: line.speed) if options.paced else None
        if not options.factory:
            for servo in self.bus.in_order:
                servo.set(registers.BAUD_RATE, servo.model.bauds[options.baud])

    def serve(self, ended: threading.Event) -> None:
        """Answers on the port, and moves the joints in real time, until `ended` is set."""
        step, begun = self._joints.timestep, time.monotonic()
        while not ended.is_set():
            # One step at a time, also when late: a program must not wait for all of them.
            self._exchange(begun + step)
            # With a larger lag, time slips.
            begun = max(begun + step, time.monotonic() - _LARGEST_LAG)
            self.bus.move(step)
            self.bus.advance(step)
            self._joints.step(self.bus.targets(), self.bus.torque_on())
            self.bus.warm(step)
            if self._cameras is not None:
                self._cameras.show(begun)

    def obey(self, line: str) -> str:
        """Does what a line of the standard input says; returns what is said."""
        match line.split():
            case []:
                return ""
            case ["place"] if self._place is not None:
                self._place()
                return "the object is in the hand"
            case ["all"]:
                wanted = set(self._by_id)
            case ["only" | "plug" | "unplug" as verb, text] if text in map(str, self._by_id):
                plugged = {id for id, servo in self._by_id.items() if servo in self.bus.members}
                one = {int(text)}
                wanted = {"only": one, "plug": plugged | one, "unplug": plugged - one}[verb]
            case _:
                ids = ", ".join(map(str, self._by_id))
                place = "" if self._place is None else "`place`, "
                return f"say {place}`only ID`, `plug ID`, `unplug ID` or `all`; the ids are {ids}"
        for id, servo in self._by_id.items():
            if servo in self.bus.members:
                if id not in wanted:
                    self.bus.members.remove(servo)
                    # Without power.
                    servo.reboot()
            elif id in wanted:
                self.bus.members.add(servo)
        return f"plugged in: {', '.join(map(str, sorted(wanted))) or 'no servo'}"

    def _exchange(self, deadline: float) -> None:
        """Serves the port and the standard input until a time [s], at least once."""
        while True:
            now = time.monotonic()
            until = deadline if self._paced is None else min(deadline, self._paced.next)
            data, ready = self._line.receive(max(0.0, until - now), *self._input)
            if data:
                self._line.send(self._answer(data))
            if self._paced is not None and (late := self._paced.due(time.monotonic())):
                self._line.send(late)
            if ready:
                self._take_input()
            if time.monotonic() >= deadline:
                return

    def _answer(self, data: bytes) -> bytes:
        """The answer without transmission times."""
        if self._paced is None:
            return self.bus.receive(data, self._line.speed)
        self._paced.receive(data, time.monotonic())
        return b""

    def _take_input(self) -> None:
        """Obeys a line of the standard input; at its end, the emulation goes on without."""
        line = sys.stdin.readline()
        if not line:
            self._input = ()
        elif said := self.obey(line):
            print(said, flush=True)

    def _measure(self) -> tuple[Array, Array, Array]:
        if isinstance(self._joints, Followers):
            # A goal is reached as soon as it is written.
            self._joints.step(self.bus.targets(), self.bus.torque_on())
        return self._joints.encoders()


def run(options: Options, ended: threading.Event) -> None:
    """Emulates until `ended` is set.

    Raises:
        InhandError: the hand, the baud rate, the port or the folder for cameras is wrong.
    """
    hand = _numbered(with_servos(load_hand(options.hand)), options.first_id)
    models = {actuator.on_bus.model for actuator in hand.actuators}
    for name in sorted(models):
        if options.baud not in registers.MODELS[name].bauds:
            bauds = ", ".join(map(str, registers.MODELS[name].bauds))
            raise InhandError(f"--baud {options.baud}: a servo {name} has {bauds}")
    if options.cameras is not None and not options.physics:
        raise InhandError("--cameras: without --physics there is nothing to see; add it")
    if options.seed < 0:
        raise InhandError(f"--seed {options.seed} must not be negative")
    world = _world(hand, options) if options.physics else None
    with ExitStack() as exits:
        line = LinkedPty(options.port_link)
        line.open()
        exits.callback(line.close)
        cameras = None
        if options.cameras is not None and world is not None:
            cameras = EmulatedCameras(
                options.cameras, options.hand, options.object, world, options.seed
            )
            cameras.open()
            exits.callback(cameras.close)
        baud = FACTORY_BAUD if options.factory else options.baud
        ids = "all id 1" if options.factory else f"ids {_ids(hand)}"
        print(f"{line.link}: {hand.n_actuators} servos of {hand.name}, {ids}, {baud} baud")
        if cameras is not None:
            print(cameras.sources)
        print("Ctrl-C ends it", flush=True)
        if world is None:
            Emulation(hand, Followers(hand), line, options).serve(ended)
        else:
            Emulation(hand, world, line, options, world.place_object, cameras).serve(ended)


def _world(hand: Hand, options: Options) -> "World":
    # Needs PyBullet, which the rest does not.
    from inhand.sim_backend.world import World

    return World(hand, load_object(options.object), Universe(), options.seed)


def _numbered(hand: Hand, first: int | None) -> Hand:
    """The hand with ids from `first` on; None leaves them."""
    if first is None:
        return hand
    if not 0 <= first <= LARGEST_ID + 1 - hand.n_actuators:
        raise InhandError(f"--first-id {first}: the ids of {hand.n_actuators} servos end at 252")
    actuators = tuple(
        msgspec.structs.replace(
            actuator, servo=msgspec.structs.replace(actuator.on_bus, id=first + i)
        )
        for i, actuator in enumerate(hand.actuators)
    )
    return replace(hand, actuators=actuators)


def _ids(hand: Hand) -> str:
    return ", ".join(str(actuator.on_bus.id) for actuator in hand.actuators)


def main() -> None:
    """Entry point of `inhand emulate`."""
    options = tyro.cli(Options, prog="inhand emulate", config=(tyro.conf.FlagCreatePairsOff,))
    ended = threading.Event()
    # Not by an exception, which could leave the link behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    run(options, ended)
