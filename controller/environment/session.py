"""The hand of an environment: starts or finds its daemon, and resets the hand for an episode."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import tomli_w

from inhand.controller.client.connection import Message
from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.client.world import WorldClient
from inhand.controller.errors import ClientError, RefusedError
from inhand.controller.runtime.timed_hand import TICK, TimedHand
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.controller.system.paths import run_directory
from inhand.hardware.records import Array
from inhand.perception.simulated_time import SimulatedClock

_ANSWER = 60.0
"""How long a busy machine may take to answer [s]."""

_HOMING = 15.0
"""How long the way to the rest pose may take [s]."""

_SETTLING = 3.0
"""How long an object may take to come to rest where it was put [s]."""

_PLACINGS = 5
"""How often an object that rolls off the hand is put there."""

_SEEN = 0.2
"""Largest age of a pose that counts as present [s]."""

_RESTING = 0.03
"""Speed below which the object rests [m/s]."""

_FALLING = 0.5
"""Time until an object that was put into the hand has touched it [s]."""

_LOOKING = 0.1
"""Time between two looks at what is waited for [s]."""

_ARRIVED = 0.05
"""Distance from the rest pose at which the targets have arrived [rad]: an object may be in the
way."""


class HandSession:
    """A connection to a daemon, in the daemon's own time.

    Args:
        directory: of the daemon's sockets; None looks in the usual places.
        key: of a daemon on another machine.
        owned: whether to start a simulated hand instead.
        real_time: whether the simulated hand that is started runs in real time.
        settings: configuration of the simulated hand that is started.

    Attributes:
        hand: the connected client with its clock.
        owned: whether the daemon was started here.
    """

    def __init__(
        self,
        directory: Path | None,
        key: Path | None,
        *,
        owned: bool,
        real_time: bool,
        settings: dict[str, object],
    ) -> None:
        self.owned, self._where = owned, (directory, key)
        self._real_time, self._settings = real_time, settings
        self._exits = ExitStack()
        self.hand: TimedHand | None = None
        self._world: WorldClient | None = None

    def open(self, seed: int) -> None:
        """Starts the simulated hand, or connects; a hand that was started before is ended.

        Args:
            seed: of the simulated hand that is started.

        Raises:
            StartError: the simulated hand did not come up.
            ClientError: there is no daemon.
        """
        self.close()
        with ExitStack() as exits:
            given, key = self._where
            directory = run_directory(given)
            if self.owned:
                directory = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="inhand-")))
                config = directory / "inhand.toml"
                config.write_text(tomli_w.dumps(self._settings))
                pace = "--real-time" if self._real_time else "--hold"
                arguments = ("--seed", str(seed), pace, "--config", str(config))
                exits.enter_context(simulated_daemon(directory, *arguments))
            place = directory if self.owned else given
            client = exits.enter_context(Client(place, key=key, timeout=_ANSWER))
            real_time = client.remote or self._real_time
            clock = exits.enter_context(_clock_of(directory, real_time=real_time))
            self.hand = TimedHand(client, clock)
            # Simulated time that is held begins now; the daemon's first tick comes after that.
            self.hand.sleep(2 * TICK)
            if address := self.hand.status().get("world"):
                self._world = exits.enter_context(WorldClient(address))
            self._exits = exits.pop_all()

    def look(self) -> Message:
        """The status, as soon as the joints are read.

        Raises:
            ClientError: they are not.
        """
        read = "no joint is read"
        return self._until(lambda s: _age(s["joints"]) < _SEEN or _stopped(s), _SETTLING, read)

    def begin(self, rest: Array, draw: Callable[[], Array], patience: float) -> Message:
        """Makes the hand ready for joint commands, at rest with the object in it.

        Args:
            rest: the hand's rest pose [rad], (n_actuators,).
            draw: gives an orientation to put a simulated object with, wxyz, (4,).
            patience: how long somebody may take to put the object into a real hand [s].

        Returns:
            The status in mode `manual`.

        Raises:
            ClientError: the hand is in use, stopped, or without its object.
            RefusedError: the daemon refused, for example as another program is in control.
        """
        hand = self._connected
        status = self.look()
        mode = status["mode"]
        if mode in ("ready", "running"):
            raise ClientError(f"the hand is in mode {mode}, for goals; `inhand disarm` frees it")
        if _stopped(status):
            if not self.owned:
                raise ClientError(
                    f"the hand is in mode {mode} ({status['reason']}); see that all is well, then "
                    "`inhand clear`"
                )
            hand.call("clear")
        if mode == "manual":
            hand.call("hold")
        if hand.status()["mode"] == "off":
            hand.call("enable")
        hand.call("home")
        self._until(lambda s: _at_rest(s, rest), _HOMING, "the hand does not come to its rest pose")
        if self._world is not None:
            hand.sleep(_FALLING)
            self._place(self._world, draw)
        else:
            self._until(_object_seen, patience, "no object is seen in the hand; put it there")
        hand.call("manual")
        return hand.status()

    def _place(self, world: WorldClient, draw: Callable[[], Array]) -> None:
        """Puts the object into the simulated hand, again if it does not stay there."""
        hand = self._connected
        for _ in range(_PLACINGS):
            world.ask("place", quaternion=[float(x) for x in draw()])
            hand.sleep(_FALLING)
            try:
                self._until(_object_rests, _SETTLING, "the object does not stay in the hand")
                return
            except ClientError:
                if _stopped(hand.status()):
                    raise
        raise ClientError(
            f"the object does not stay in the hand; it was put there {_PLACINGS} times"
        )

    def _until(self, what: Callable[[Message], bool], patience: float, failure: str) -> Message:
        """The first status of which something is true.

        Raises:
            ClientError: it does not become true in time.
        """
        hand = self._connected
        deadline = hand.now() + patience
        while True:
            status = hand.status()
            # Before its first tick, the daemon has nothing but the mode.
            if "object" in status:
                if what(status):
                    return status
                if _stopped(status):
                    raise ClientError(
                        f"the hand has stopped: {status['reason']}; see inhand status"
                    )
            if hand.now() > deadline:
                reason = status.get("reason") or status["mode"]
                raise ClientError(f"{failure} ({reason}); waited {patience:g} s")
            hand.sleep(_LOOKING)

    def move(self, targets: Array, speed: float) -> str:
        """Sends joint targets; returns why the hand does not follow them, empty if it does.

        A mode `manual` that has ended because no command came in time begins again.

        Args:
            targets: [rad], (n_actuators,).
            speed: of the joint with the longest way [rad/s].

        Raises:
            ClientError: no reply came.
        """
        hand = self._connected
        members = {"positions": [float(x) for x in targets], "speed": float(speed)}
        try:
            hand.call("joints", **members)
            return ""
        except RefusedError as error:
            if error.code != "refused" or not self._only_late():
                return str(error)
        try:
            hand.call("manual")
            hand.call("joints", **members)
        except RefusedError as error:
            return str(error)
        return ""

    def _only_late(self) -> bool:
        """Whether mode `manual` has ended only because no command came in time."""
        modes = [event for event in self._connected.events() if event["kind"] == "mode"]
        return bool(modes) and modes[-1]["cause"] == "idle" and modes[-1]["after"] == "holding"

    @property
    def _connected(self) -> TimedHand:
        assert self.hand is not None
        return self.hand

    def close(self) -> None:
        """Leaves the hand at rest where it is, and ends what was started here."""
        self.hand = self._world = None
        self._exits.close()


@contextmanager
def _clock_of(directory: Path, *, real_time: bool) -> Iterator[Clock]:
    """The clock of a daemon: simulated time if there is any, else real time."""
    try:
        simulated = None if real_time else SimulatedClock.open(directory)
    except OSError:
        simulated = None
    try:
        yield simulated or MonotonicClock()
    finally:
        if simulated is not None:
            simulated.close()


def _stopped(status: Message) -> bool:
    return status["mode"] in ("fault", "estop")


def _age(measured: Message | None) -> float:
    return float("inf") if measured is None else float(measured["age"])


def _at_rest(status: Message, rest: Array) -> bool:
    way = np.abs(np.array(status["targets"]) - rest).max()
    return bool(status["mode"] == "holding" and way < _ARRIVED)


def _object_seen(status: Message) -> bool:
    return bool(status["object"]["in_hand"]) and _age(status["object"]["pose"]) < _SEEN


def _object_rests(status: Message) -> bool:
    if not _object_seen(status):
        return False
    speed = np.linalg.norm(status["object"]["pose"]["linear_velocity"])
    return float(speed) < _RESTING
