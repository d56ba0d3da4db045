"""Feed of a running daemon: a thread receives what it publishes and keeps the newest."""

import threading
import time
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import zmq
from viser import GuiApi

from inhand.controller.client.connection import Message
from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, ConfigError
from inhand.controller.ipc.protocol import VERSION
from inhand.controller.view.view_model import (
    History,
    Moment,
    Picture,
    Pose,
    Row,
    Setting,
    setting_of,
)
from inhand.errors import InhandError
from inhand.perception.camera.preview import ImageHeader, decode_header
from inhand.perception.errors import PerceptionError
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners, frozen_array

SILENCE = 1.0
"""How long the daemon may be silent before it counts as gone [s]."""

_POLL = 0.1
_AT_ONCE = 1000
_RETRY = 0.5
_TOGETHER = 0.03
"""Pictures taken within this time show one instant [s]."""

_MEASURING = 0.1
_CORNER_NOISE = 0.3
_GREEN = (60, 220, 60)


class LiveFeed:
    """See `inhand.controller.view.view_model.Feed`.

    Attributes:
        looking: whether a browser shows the page; pictures are subscribed only then.
    """

    def __init__(self, directory: Path | None, key: Path | None) -> None:
        """Takes what `inhand.controller.client.sync.Client` takes; the daemon need not run yet."""
        self.setting: Setting | None = None
        self.problem = "looking for the daemon"
        self.history = History()
        self.looking = True
        self._where = directory, key
        self._moment: Moment | None = None
        self._seen: dict[str, ImageHeader] = {}
        self._pictures: dict[str, Picture] = {}
        self._measured: Pose | None = None
        self._next_measurement = 0.0
        self._truth: Pose | None = None
        self._statistics: Message = {}
        self._row = Row()
        self._text = b""
        self._images: list[str] = []
        self._world: str | None = None
        self._subscribed = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Starts the thread that receives."""
        self._thread.start()

    def controls(self, gui: GuiApi) -> None:
        """Adds nothing: a live feed has no controls."""

    def moment(self) -> Moment | None:
        return self._moment

    def close(self) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with Client(self._where[0], key=self._where[1]) as client:
                    self._listen(client)
            except (ClientError, ConfigError) as error:
                self.problem = str(error)
                self._ended.wait(_RETRY)

    def _listen(self, client: Client) -> None:
        """Receives what one daemon publishes; ZMQ reconnects when the daemon comes back."""
        states = client.watch("state", "description", "statistics")
        sockets = [states]
        heard, began = -inf, time.monotonic()
        while not self._ended.is_set():
            for socket in zmq.select(sockets, [], [], _POLL)[0]:
                for parts in _waiting(socket):
                    if parts[0] == b"image" or len(parts) == 1:
                        self._look_at(parts)
                        continue
                    heard = time.monotonic()
                    if self._take(parts):
                        for other in sockets[1:]:
                            other.close(linger=0)
                        sockets = [states, *self._others(client)]
                        self._subscribed = False
            self._judge(heard, began)
            self._choose(sockets, client)

    def _choose(self, sockets: list["zmq.Socket[bytes]"], client: Client) -> None:
        """Subscribes to pictures while the page is shown; remote ones come with the state."""
        if self.setting is None or self._subscribed == self.looking:
            return
        self._subscribed = self.looking
        option = zmq.SUBSCRIBE if self.looking else zmq.UNSUBSCRIBE
        for socket in sockets[:1] if client.remote else sockets[1 : 1 + len(self._images)]:
            socket.set(option, b"image")

    def _judge(self, heard: float, began: float) -> None:
        """Sets `problem` if the daemon is silent."""
        silent = time.monotonic() - max(heard, began)
        if silent > SILENCE:
            self.problem = (
                f"nothing heard from the daemon for {silent:.0f} s; it may have ended, or you may "
                "not watch it: waiting for it to come back"
            )
        elif self.setting is None and time.monotonic() - began > 3 * SILENCE and not self.problem:
            self.problem = "the daemon does not describe its hand: it is too old for this page"

    def _take(self, parts: list[bytes]) -> bool:
        """Takes a message of the state socket; returns whether it made a new setting."""
        topic, message = parts
        if topic == b"statistics":
            self._statistics = msgspec.json.decode(message)
        elif topic == b"description":
            return self._describe(msgspec.json.decode(message))
        elif self.setting is not None:
            state = msgspec.json.decode(message)
            row = self._row.count(state)
            moment = Moment(state, self._statistics, row, self._measured, self._truth)
            moment.pictures = dict(self._pictures)
            self.history.add(moment)
            self._moment = moment
            self.problem = ""
        return False

    def _describe(self, told: dict[str, Any]) -> bool:
        if told.get("v") != VERSION:
            self.setting, self._moment = None, None
            self.problem = (
                f"the daemon speaks version {told.get('v')} of the protocol, this page "
                f"{VERSION}: use the page that came with the daemon"
            )
            return False
        members = ("hand", "object", "rig", "images", "world_states")
        text = msgspec.json.encode([told.get(name) for name in members])
        if text == self._text and self.setting is not None:
            return False
        try:
            texts = (told["hand"], told["object"], told["rig"])
            self.setting = setting_of(*texts, simulated=bool(told["world"]))
        except (InhandError, KeyError) as error:
            self.setting = None
            self.problem = f"the daemon's hand cannot be shown: {error}"
            return False
        self._text = text
        self._images = list(told["images"].values())
        self._world = told["world_states"]
        self._truth, self._measured = None, None
        self._pictures, self._seen, self._row = {}, {}, Row()
        self.history.clear()
        return True

    def _others(self, client: Client) -> list["zmq.Socket[bytes]"]:
        """Sockets of the cameras, not subscribed yet, and of the simulated world."""
        if client.remote:
            return []
        others = [client.watch(address=address) for address in self._images]
        if self._world is not None:
            others.append(client.watch("", address=self._world))
        return others

    def _look_at(self, parts: list[bytes]) -> None:
        """Takes a picture, or a true state of the simulated world."""
        if len(parts) == 1:
            world = msgspec.json.decode(parts[0])
            self._truth = np.array(world["position"]), np.array(world["quaternion"])
            return
        with suppress(msgspec.DecodeError, cv2.error):
            header = decode_header(parts[1])
            coded = np.frombuffer(parts[2], np.uint8)
            image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
            for corners in header.corners:
                line = np.round(np.array(corners) * 8).astype(np.int32)
                cv2.polylines(image, [line], True, _GREEN, 1, cv2.LINE_AA, 3)
            for x, y, _ in header.vertices:
                cv2.circle(image, (round(x), round(y)), 3, _GREEN, 1, cv2.LINE_AA)
            self._pictures[header.camera] = image
            self._seen[header.camera] = header
            self._measure(header.t)

    def _measure(self, t: float) -> None:
        """Estimates the object's pose from the pictures of one instant."""
        if t < self._next_measurement or self.setting is None:
            return
        self._next_measurement = t + _MEASURING
        together = [seen for seen in self._seen.values() if abs(seen.t - t) < _TOGETHER]
        frames = [
            TagCorners(
                seen.t,
                seen.camera,
                tuple(seen.ids),
                frozen_array(np.array(seen.corners).reshape(-1, 4, 2)),
                _CORNER_NOISE,
                frozen_array(seen.vertices) if seen.vertices else None,
            )
            for seen in together
        ]
        with suppress(PerceptionError):
            found = estimate_poses(self.setting.target, self.setting.cameras, frames)
            self._measured = (found[0].position, found[0].quaternion) if found else None


def _waiting(socket: "zmq.Socket[bytes]") -> list[list[bytes]]:
    """The messages that wait at a socket; of single-part ones (true states) only the newest."""
    messages: list[list[bytes]] = []
    with suppress(zmq.Again):
        while len(messages) < _AT_ONCE:
            messages.append(socket.recv_multipart(zmq.NOBLOCK))
    # Of a world's states, which have one part, only the last one counts.
    return [parts for parts in messages[:-1] if len(parts) > 1] + messages[-1:]
