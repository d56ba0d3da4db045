"""Joint commands of the page: a thread keeps mode `manual` and sends the values of the sliders."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, ConfigError, RefusedError
from inhand.hardware.records import Array, frozen_array

_HEARTBEAT = 0.1
"""Longest time between two requests [s]; the daemon waits longer (`[safety] manual_silence`)."""

_SHORTEST = 0.03
"""Shortest time between two requests [s]."""


class JointDriver:
    """Commands joints while somebody has the controls open.

    Args:
        directory: as `inhand.controller.client.sync.Client` takes it.
        key: the same.

    Attributes:
        speed: of the joint with the longest way [rad/s].
    """

    def __init__(self, directory: Path | None, key: Path | None) -> None:
        self.speed = 0.5
        self._where = directory, key
        self._lock = threading.Lock()
        self._wanted: dict[str, float] = {}
        self._news = threading.Event()
        self._over = threading.Event()
        self._over.set()
        self._thread: threading.Thread | None = None

    @property
    def active(self) -> bool:
        """Whether joints are commanded."""
        return not self._over.is_set()

    def start(self, present: Callable[[], bool], ended: Callable[[str], None]) -> Array:
        """Begins mode `manual`.

        Args:
            present: whether the browser that began it still has the page open; when it has not,
                the commands end, and the hand holds.
            ended: called when they have ended, with the reason; empty if `stop` was called.

        Returns:
            Present targets [rad], (n_actuators,).

        Raises:
            ClientError: there is no daemon, or it does not answer.
            RefusedError: it refused.
        """
        self.close()
        with Client(self._where[0], key=self._where[1]) as client:
            client.call("manual")
            targets = client.status()["targets"]
        with self._lock:
            self._wanted.clear()
        self._over.clear()
        self._thread = threading.Thread(target=self._run, args=(present, ended), name="joints")
        self._thread.start()
        return frozen_array(targets)

    def aim(self, joint: str, angle: float) -> None:
        """Sends a joint to an angle [rad], with the next request."""
        with self._lock:
            self._wanted[joint] = angle
        self._news.set()

    def stop(self) -> None:
        """Ends the commands; the hand holds."""
        self._over.set()
        self._news.set()

    def close(self) -> None:
        """Ends the commands, and waits until the last one was sent."""
        self.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None

    def _run(self, present: Callable[[], bool], ended: Callable[[str], None]) -> None:
        reason = ""
        try:
            with Client(self._where[0], key=self._where[1]) as client:
                while self.active and present():
                    self._send(client)
                client.call("hold")
        except (ClientError, ConfigError, RefusedError) as error:
            reason = str(error)
        self._over.set()
        ended(reason)

    def _send(self, client: Client) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, {}
            self._news.clear()
        if wanted:
            client.call("joints", positions=wanted, speed=self.speed)
        else:
            client.call("joints")
        time.sleep(_SHORTEST)
        self._news.wait(_HEARTBEAT - _SHORTEST)
