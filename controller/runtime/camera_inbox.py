"""Receives the messages of the camera processes without waiting."""

from collections.abc import Collection
from pathlib import Path
from typing import Self

import zmq

from inhand.controller.system.paths import socket_address
from inhand.perception.errors import PerceptionError
from inhand.perception.records import CameraStatus, TagCorners, decode

_MOST_AT_ONCE = 32


class CameraInbox:
    """The socket that camera processes send to; used only by the tick's thread.

    Args:
        directory: where the socket is made.
        cameras: names of the rig's cameras.

    Attributes:
        address: address that the camera processes connect to.
        cameras: names of the rig's cameras.
        status: latest status message of each camera.
        seen: latest tag corners of each camera.
        malformed: number of messages that were unreadable or from an unknown camera.
    """

    def __init__(self, directory: Path, cameras: Collection[str]) -> None:
        self.address = socket_address(directory, "corners")
        self.status: dict[str, CameraStatus] = {}
        self.seen: dict[str, TagCorners] = {}
        self.malformed = 0
        self.cameras = frozenset(cameras)
        self._opened: zmq.Socket[bytes] | None = None

    def open(self) -> Self:
        """Makes the socket."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._opened = context.socket(zmq.PULL)
        self._opened.set(zmq.RCVHWM, 64)
        self._opened.set(zmq.MAXMSGSIZE, 1 << 16)
        self._opened.bind(self.address)
        # For the daemon's own processes alone: each connection takes a descriptor of the daemon.
        Path(self.address.removeprefix("ipc://")).chmod(0o600)
        return self

    @property
    def _socket(self) -> "zmq.Socket[bytes]":
        assert self._opened is not None, "open() was not called"
        return self._opened

    def take(self) -> list[TagCorners]:
        """The tag corners that arrived since the last call."""
        corners: list[TagCorners] = []
        for _ in range(_MOST_AT_ONCE):
            try:
                record = decode(self._socket.recv(zmq.NOBLOCK))
            except zmq.Again:
                break
            except PerceptionError:
                self.malformed += 1
                continue
            if record.camera not in self.cameras:
                self.malformed += 1
            elif isinstance(record, TagCorners):
                corners.append(record)
                self.seen[record.camera] = record
            else:
                self.status[record.camera] = record
        return corners

    def forget(self, camera: str) -> None:
        """Called when a camera's process has ended; in real time nothing needs to be done."""

    def close(self) -> None:
        """Closes the socket."""
        if self._opened is not None:
            self._opened.close(linger=0)
