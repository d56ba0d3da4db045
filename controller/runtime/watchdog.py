"""Feeds the service manager's watchdog, in a thread that does nothing else and never waits long.

It is fed while ticks advance and every thread that somebody depends on comes round in time. If one
of them is stuck, the service manager ends the daemon and starts it again.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from inhand.controller.system.notify import notify, watchdog_period

log = logging.getLogger(__name__)

_PERIOD = 0.25


@dataclass(frozen=True)
class Heartbeat:
    """The heartbeat of a thread.

    Attributes:
        last: returns when the thread last came round [s on CLOCK_MONOTONIC]; 0 before it runs.
        patience: after how long without that it counts as stuck [s].
    """

    last: Callable[[], float]
    patience: float


class Watchdog:
    """Feeds the watchdog of the service manager, if there is one.

    Args:
        tick: returns the time of the last tick [s]; None before the first.
        heartbeats: of the threads, by their names.
        simulated: whether time is simulated; ticks may then stand still without a fault.

    Attributes:
        stuck: name of the thread because of which it is not fed; empty while it is.
    """

    def __init__(
        self,
        tick: Callable[[], float | None],
        heartbeats: Mapping[str, Heartbeat],
        *,
        simulated: bool = False,
    ) -> None:
        self.stuck = ""
        self._tick, self._heartbeats, self._simulated = tick, heartbeats, simulated
        self._last = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Starts the thread, if the service manager expects something."""
        if watchdog_period() is not None:
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._over.wait(_PERIOD):
            tick = self._tick()
            if tick is None:
                continue
            before, self.stuck = self.stuck, self._find_stuck(tick)
            self._last = tick
            if not self.stuck:
                notify("WATCHDOG=1")
            elif self.stuck != before:
                log.error("the watchdog is not fed: %s does not come round", self.stuck)

    def _find_stuck(self, tick: float) -> str:
        if not (self._simulated or tick > self._last):
            return "the tick"
        now = time.monotonic()
        for name, heartbeat in self._heartbeats.items():
            if now - heartbeat.last() > heartbeat.patience:
                return name
        return ""
