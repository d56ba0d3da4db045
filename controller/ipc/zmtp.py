"""ZMTP 3.0, the wire protocol of ZeroMQ, from the side of a server: bytes to messages and back.

Only the mechanism NULL; see rfc.zeromq.org/spec/23. libzmq accepts any number of connections, and
messages of any number of frames, until the process has no descriptors or no memory left, and it
then aborts. So the daemon reads the bytes of its local clients itself, and bounds both.
"""

from collections.abc import Collection, Sequence

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
"""What each side sends first: signature, version, mechanism, as-server, filler."""

FRAME_COST = 64
"""Memory that each frame takes beside its content; counted with its size [bytes]."""

_MORE, _LONG, _COMMAND = 1, 2, 4
_NULL = b"NULL".ljust(20, b"\0")
_READY, _PING, _PONG = b"\x05READY", b"\x04PING", b"\x04PONG"


class ZmtpError(Exception):
    """The other side does not speak this protocol, or sends more than is accepted."""


def encode(frames: Sequence[bytes]) -> bytes:
    """A message as bytes."""
    parts = [_frame(frame, _MORE) for frame in frames[:-1]]
    return b"".join((*parts, _frame(frames[-1], 0)))


def ready(socket_type: bytes) -> bytes:
    """The command that ends the handshake, of a socket of this type."""
    name = b"Socket-Type"
    content = _READY + bytes([len(name)]) + name + len(socket_type).to_bytes(4, "big") + socket_type
    return _frame(content, _COMMAND)


class Session:
    """Decodes what one client sends.

    Args:
        partners: socket types that the client may have.
        most: largest size of one message, each frame counted with `FRAME_COST` [bytes].

    Attributes:
        handshaken: whether the handshake is complete.
        identity: the name that the client gives itself (`ZMQ_ROUTING_ID`); empty without one.
        buffered: bytes that wait to be decoded, and of frames whose message is not complete.
        output: bytes to send before everything else, such as replies to PING.
    """

    def __init__(self, partners: Collection[bytes], most: int) -> None:
        self.handshaken = False
        self.identity = b""
        self.output = bytearray()
        self._partners, self._most = partners, most
        self._buffer = bytearray()
        self._greeted = False
        self._frames: list[bytes] = []
        self._size = 0

    @property
    def buffered(self) -> int:
        return len(self._buffer) + self._size

    def feed(self, data: bytes) -> None:
        """Takes bytes that were received."""
        self._buffer += data

    def message(self) -> list[bytes] | None:
        """The frames of the next complete message; None if there is none.

        Raises:
            ZmtpError: the client must be disconnected.
        """
        if not self._greeted:
            self._greet()
        while self._greeted and (frame := self._next_frame()) is not None:
            flags, content = frame
            if flags & _COMMAND:
                self._command(content)
                continue
            if not self.handshaken:
                raise ZmtpError("a message before the handshake")
            self._frames.append(content)
            self._size += len(content) + FRAME_COST
            if not flags & _MORE:
                frames, self._frames, self._size = self._frames, [], 0
                return frames
        return None

    def _greet(self) -> None:
        """Checks the greeting as far as it was received."""
        got = self._buffer
        if (got and got[0] != 0xFF) or (len(got) > 9 and not got[9] & 1):
            raise ZmtpError("not a greeting of ZMTP")
        if len(got) > 10 and got[10] < 3:
            raise ZmtpError(f"ZMTP {got[10]}; version 3 is needed (libzmq 4)")
        if len(got) < len(GREETING):
            return
        if got[12:32] != _NULL:
            raise ZmtpError("another security mechanism than NULL")
        del got[: len(GREETING)]
        self._greeted = True

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        flags = buffer[0]
        if flags & ~(_MORE | _LONG | _COMMAND):
            raise ZmtpError("a frame with unknown flags")
        begin = 9 if flags & _LONG else 2
        if len(buffer) < begin:
            return None
        size = int.from_bytes(buffer[1:begin], "big")
        if self._size + size + FRAME_COST > self._most:
            raise ZmtpError(f"a message of more than {self._most} bytes")
        if len(buffer) < begin + size:
            return None
        content = bytes(buffer[begin : begin + size])
        del buffer[: begin + size]
        return flags, content

    def _command(self, content: bytes) -> None:
        if content.startswith(_READY) and not self.handshaken:
            properties = _properties(content[len(_READY) :])
            if properties.get(b"socket-type") not in self._partners:
                raise ZmtpError("a socket of another type")
            self.identity = properties.get(b"identity", b"")
            self.handshaken = True
        elif content.startswith(_PING) and self.handshaken:
            # After two bytes with a time limit, at most 16 that are sent back.
            self.output += _frame(_PONG + content[len(_PING) + 2 :][:16], _COMMAND)
        elif not self.handshaken:
            raise ZmtpError("another command than READY")


def _properties(data: bytes) -> dict[bytes, bytes]:
    """The properties of a READY command, their names in small letters.

    Raises:
        ZmtpError: they are malformed.
    """
    found, at = dict[bytes, bytes](), 0
    while at < len(data):
        named = at + 1 + data[at]
        begin = named + 4
        end = begin + int.from_bytes(data[named:begin], "big")
        if end > len(data):
            raise ZmtpError("malformed properties")
        found[data[at + 1 : named].lower()] = data[begin:end]
        at = end
    return found


def _frame(content: bytes, flags: int) -> bytes:
    if len(content) < 256:
        return bytes((flags, len(content))) + content
    return bytes((flags | _LONG,)) + len(content).to_bytes(8, "big") + content
