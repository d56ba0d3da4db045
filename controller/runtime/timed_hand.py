"""A hand that is asked and told at instants of its own time, so that a run can be repeated.

In simulated time nothing happens while the program that uses it does not sleep. The instants lie
between two ticks: what the first of them did is known, and the next one takes what was asked for.
"""

from math import floor

from inhand.controller.client.connection import Message
from inhand.controller.client.simulated import WorldClient
from inhand.controller.client.sync import Client
from inhand.controller.config.settings import ControlSettings
from inhand.controller.system.clock import Clock

TICK = 1.0 / ControlSettings().tick_rate


class TimedHand:
    """A daemon's client, and the clock that the daemon lives by.

    Args:
        client: of the daemon.
        clock: the daemon's.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._last = 0

    def now(self) -> float:
        """The present of the hand [s]."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Lets time pass for the hand."""
        ticks = floor((self.now() + seconds) / TICK + 1e-6)
        self._clock.sleep_until((ticks + 0.5) * TICK)

    def call(self, type: str, **members: object) -> Message:
        """Has a request carried out in the next tick; see `Client.call`."""
        number = self._client.send(type, **members)
        # Whoever has answered this has the request before it, too.
        self._client.status()
        self.sleep(TICK)
        return self._client.receive(type, number)

    def status(self) -> Message:
        """Everything the daemon knows now."""
        return self._client.status()

    def events(self) -> list[Message]:
        """What has happened since the last call."""
        reply = self._client.call("events", since=self._last)
        self._last = reply["last"]
        events: list[Message] = reply["events"]
        return events

    def place(self) -> None:
        """Puts the object into the simulated hand.

        Raises:
            ClientError: the simulated world does not answer.
        """
        world = WorldClient(self.status()["world"])
        try:
            world.ask("place")
        finally:
            world.close()
