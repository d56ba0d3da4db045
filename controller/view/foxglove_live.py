"""`inhand foxglove`: serves a running daemon to Foxglove, with the channels of a recording.

The server is that of `foxglove-sdk`: https://docs.foxglove.dev/docs/sdk. It asks nobody for a
password, and pages of any site in a browser on this machine can connect. Therefore it offers
requests only with `--command`.
"""

import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import foxglove
import msgspec
import tyro
import zmq
from foxglove.websocket import Capability, MessageSchema, Service, ServiceRequest, ServiceSchema

from inhand.controller.client.connection import Message
from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, ConfigError, RefusedError
from inhand.controller.recording.foxglove_channels import (
    Picture,
    Translator,
    picture_message,
    schema_of,
)
from inhand.controller.view.foxglove_parameters import Parameters
from inhand.controller.view.live_channels import Shown, of_event, of_state
from inhand.errors import InhandError
from inhand.hardware.model.hand import parse_hand
from inhand.perception.camera.preview import decode_header

REQUESTS = (
    *("enable", "disable", "home", "arm", "disarm", "goal", "random_goals"),
    *("cancel", "hold", "estop", "clear"),
)
"""Requests of the protocol that are services with `--command`; members as JSON."""

_POLL = 0.1


@dataclass(frozen=True)
class Options:
    """Serve a running hand to Foxglove (app.foxglove.dev, "Open connection").

    Example: inhand foxglove

    Attributes:
        command: Offer requests as services; everybody who reaches the port may then command, also
            pages of other sites in a browser on this machine.
        directory: Where the daemon's sockets are, instead of the usual place.
        key: File from `inhand keys generate`, to watch a daemon on another machine.
        host: Address to serve on.
        port: Port to serve on; 0 for a free one.
    """

    command: bool = False
    directory: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    key: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    host: str = "127.0.0.1"
    port: int = 8765


class FoxgloveServer:
    """Passes on what the daemon publishes.

    Attributes:
        port: where the server listens.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._context: foxglove.Context | None = None
        self._channels: dict[str, foxglove.Channel] = {}
        self._translator: Translator | None = None
        self._hand = ""
        self._parameters = Parameters(options.command)
        self._ended = threading.Event()
        self.port = 0

    def open(self) -> None:
        """Starts the server.

        Raises:
            ConfigError: the port is taken, or the address is not this machine's.
        """
        given = self._options
        self._context = foxglove.Context()
        try:
            self._server = foxglove.start_server(
                name="inhand",
                host=given.host,
                port=given.port,
                context=self._context,
                services=[self._service(name) for name in REQUESTS] if given.command else None,
                supported_encodings=["json"],
                capabilities=[Capability.Parameters],
                server_listener=self._parameters,
            )
        except (RuntimeError, OSError, OverflowError) as error:
            raise ConfigError(
                f"foxglove: cannot serve on {given.host} port {given.port} ({error}); name "
                "another one with --port"
            ) from error
        self.port = self._server.port

    def close(self) -> None:
        self._ended.set()
        self._server.stop()

    def end(self, *_: object) -> None:
        """Lets `run` return."""
        self._ended.set()

    def run(self) -> None:
        """Passes messages on until `end`; waits for a daemon if there is none."""
        said = ""
        while not self._ended.is_set():
            try:
                with Client(self._options.directory, key=self._options.key) as client:
                    said = ""
                    self._listen(client)
            except ClientError as error:
                if said != str(error):
                    said = str(error)
                    print(f"foxglove: {said}; waiting for it", file=sys.stderr, flush=True)
                self._ended.wait(0.5)

    def _listen(self, client: Client) -> None:
        sockets = [client.watch("state", "event", "description", "image")]
        while not self._ended.is_set():
            for socket in zmq.select(sockets, [], [], _POLL)[0]:
                topic, *parts = socket.recv_multipart()
                if topic == b"image":
                    self._picture(parts)
                    continue
                message = msgspec.json.decode(parts[0])
                if topic == b"description" and message["hand"] != self._hand:
                    self._hand, self._translator = message["hand"], None
                    for other in sockets[1:]:
                        other.close(linger=0)
                    images = () if client.remote else message["images"].values()
                    sockets[1:] = [client.watch("image", address=one) for one in images]
                elif topic == b"state":
                    self._state(message)
                elif topic == b"event":
                    self._log(of_event(message))

    def _state(self, state: Message) -> None:
        if not self._hand or state.get("mode") == "starting":
            return
        if changed := self._parameters.take(state):
            self._server.publish_parameter_values(changed)
        if self._translator is None:
            hand = parse_hand(self._hand.encode(), "the daemon's hand")
            self._translator = Translator(hand, time.time() - state["t"])
        for shown in of_state(state, self._translator.hand):
            self._log(shown)

    def _picture(self, parts: list[bytes]) -> None:
        header = decode_header(parts[0])
        picture = Picture(header.camera, header.t, parts[1])
        self._log((f"/image/{header.camera}", header.t, picture_message(picture)))

    def _log(self, shown: Shown) -> None:
        topic, t, message = shown
        if self._translator is None:
            return
        channel = self._channels.get(topic)
        if channel is None:
            name, schema = schema_of(topic)
            described = foxglove.Schema(
                name=name, encoding="jsonschema", data=msgspec.json.encode(schema)
            )
            channel = foxglove.Channel(
                topic, schema=described, message_encoding="json", context=self._context
            )
            self._channels[topic] = channel
        data = msgspec.json.encode(self._translator.whole(t, message))
        channel.log(data, log_time=self._translator.stamp(t))

    def _service(self, name: str) -> Service:
        """A request as service: its members as JSON object, the reply as JSON object."""

        def handle(request: ServiceRequest) -> bytes:
            members: dict[str, Any] = msgspec.json.decode(request.payload or b"{}", type=dict)
            if {"v", "id", "type"} & set(members):
                raise ValueError("v, id and type are not given: the service names the request")
            if name in ("goal", "random_goals"):
                members = self._parameters.terms() | members
            with Client(self._options.directory, key=self._options.key) as client:
                try:
                    return msgspec.json.encode(client.call(name, **members))
                except RefusedError as error:
                    raise RuntimeError(f"{error.code}: {error}") from error

        schema = foxglove.Schema(name=name, encoding="jsonschema", data=b'{"type":"object"}')
        both = MessageSchema(encoding="json", schema=schema)
        return Service(
            f"/{name}", schema=ServiceSchema(name=name, request=both, response=both), handler=handle
        )


def main() -> int:
    """Entry point of `inhand foxglove`."""
    options = tyro.cli(Options, prog="inhand foxglove", config=(tyro.conf.FlagCreatePairsOff,))
    server = FoxgloveServer(options)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.end)
    try:
        server.open()
    except InhandError as error:
        sys.exit(f"error: {error}")
    try:
        print(f"foxglove: ws://{options.host}:{server.port}", flush=True)
        server.run()
    finally:
        server.close()
    return 0
