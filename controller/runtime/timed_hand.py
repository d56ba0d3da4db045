"""A client whose requests come at defined instants of simulated time, so that runs repeat.

Simulated time advances only while the client sleeps. Each request is sent halfway between two
ticks: the result of the first tick is complete, and the second tick carries out the request.
"""

from math import floor

from inhand.controller.client.connection import Message
from inhand.controller.client.sync import Client
from inhand.controller.client.world import WorldClient
from inhand.controller.config.settings import ControlSettings
from inhand.controller.system.clock import Clock

TICK = 1.0 / ControlSettings().tick_rate


class TimedHand:
    """A client of the daemon, together with the daemon's simulated clock.

    Args:
        client: the connected client.
        clock: the daemon's clock.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._last = 0

    def now(self) -> float:
        """Current simulated time [s]."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Lets simulated time advance by this much [s]."""
        ticks = floor((self.now() + seconds) / TICK + 1e-6)
        self._clock.sleep_until((ticks + 0.5) * TICK)

    def call(self, type: str, **members: object) -> Message:
        """Sends a request, waits for the next tick, and returns the reply; see `Client.call`."""
        number = self._client.send(type, **members)
        # Messages arrive in order: after this reply the server has the request before it, too.
        self._client.status()
        self.sleep(TICK)
        return self._client.receive(type, number)

    def status(self) -> Message:
        """The content of `status`."""
        return self._client.status()

    def events(self) -> list[Message]:
        """The events since the last call."""
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
