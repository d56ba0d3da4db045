"""Client of the simulated world's own socket."""

from typing import Any, Self

import msgspec
import zmq

from inhand.controller.errors import ClientError

_ANSWER_TIMEOUT = 30.0


class WorldClient:
    """Client of the simulated world: places the object, and reads its true state.

    It connects at the first request. Use it in a `with` block, or call `close`.

    Args:
        address: that the daemon's status gives as `world`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: zmq.Socket[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the socket."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def ask(self, type: str, **members: object) -> dict[str, Any]:
        """Sends a request (`place`, `reset` or `state`) and returns the reply.

        Raises:
            ClientError: the world does not answer, or refuses.
        """
        if self._socket is None:
            self._socket = zmq.Context.instance().socket(zmq.REQ)
            self._socket.connect(self._address)
        self._socket.send(msgspec.json.encode({"type": type, **members}))
        if not self._socket.poll(int(1000 * _ANSWER_TIMEOUT)):
            raise ClientError(f"the simulated world at {self._address} does not answer")
        reply: dict[str, Any] = msgspec.json.decode(self._socket.recv())
        if not reply["ok"]:
            raise ClientError(f"the simulated world refused: {reply['error']}")
        return reply
