"""What the server needs of the flight recorder: requests to it, its replies and its events."""

from typing import Protocol

from inhand.controller.core.records import Event
from inhand.controller.core.requests import RecordAction
from inhand.controller.ipc.request_queue import Answer


class RecorderRequests(Protocol):
    """Interface to the flight recorder."""

    def fileno(self) -> int:
        """File descriptor to poll for the recorder's messages."""

    def ask(
        self, client: list[bytes], id: str | int, action: RecordAction, images: bool | None = None
    ) -> bool:
        """Sends a request; False if it cannot be sent now."""

    def collect(self) -> tuple[list[Answer], list[Event]]:
        """Takes the recorder's replies and events."""
