"""How messages of the command socket are read and written; `docs/protocol.md` is for clients.

Requests are JSON objects tagged by `type`; `core.requests` says what may be in them.
"""

from typing import Any

import msgspec

from inhand.controller.core.requests import TYPES, AnyRequest, valid_id
from inhand.controller.errors import ErrorCode

VERSION = 1
MAX_SIZE = 65_536
"""Largest message that is read [bytes]."""

MAX_ERROR = 500
"""Longest message of an error reply [characters]."""


class ProtocolError(Exception):
    """A message that cannot be acted on.

    Attributes:
        code: one of the protocol's error codes.
        id: the request's id as far as it could be read.
    """

    def __init__(self, code: ErrorCode, message: str, id: str | int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.id = id


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decoder = msgspec.json.Decoder(AnyRequest)


class _Envelope(msgspec.Struct, frozen=True):
    v: Any = None
    id: Any = None
    type: Any = None


_envelope = msgspec.json.Decoder(_Envelope)


def decode_request(message: bytes) -> AnyRequest:
    """Reads one request.

    Raises:
        ProtocolError: with the code `too_large`, `malformed`, `version`, `unknown_type` or
            `invalid`.
    """
    if len(message) > MAX_SIZE:
        raise ProtocolError(
            "too_large", f"the message has {len(message)} bytes, at most {MAX_SIZE} are read"
        )
    try:
        request: AnyRequest = _decoder.decode(message)
    except _UNREADABLE as error:
        raise _explain(message, error) from None
    return request


def peek(message: bytes) -> tuple[str | int | None, str]:
    """The id, if it can be repeated, and the type of a message, which may be no request.

    Raises:
        ProtocolError: it is no JSON object; code `malformed`.
    """
    try:
        envelope = _envelope.decode(message)
    except _UNREADABLE as error:
        raise ProtocolError("malformed", f"not a JSON object: {error}") from None
    id = envelope.id if valid_id(envelope.id) else None
    return id, envelope.type if isinstance(envelope.type, str) else ""


def _explain(message: bytes, error: Exception) -> ProtocolError:
    """The most helpful error for a message that is no request."""
    try:
        id, kind = peek(message)
        envelope = _envelope.decode(message)
    except ProtocolError:
        return ProtocolError("malformed", f"not a JSON object: {error}")
    if envelope.v != VERSION:
        text = f'protocol version {_shown(envelope.v)} is not spoken here; send "v": {VERSION}'
        return ProtocolError("version", text, id)
    if kind not in TYPES:
        known = ", ".join(TYPES)
        return ProtocolError("unknown_type", f"type {_shown(envelope.type)} is none of {known}", id)
    return ProtocolError("invalid", f"{kind}: {error}", id)


def _shown(value: object) -> str:
    """The beginning of a value that may be large."""
    try:
        return f"{value!r:.40}"
    except (RecursionError, ValueError):
        return f"of type {type(value).__name__}"


def reply_ok(id: str | int, result: dict[str, object]) -> bytes:
    """A positive reply."""
    return to_json({"id": id, "ok": True, **result})


def reply_error(id: str | int | None, code: ErrorCode, message: str) -> bytes:
    """A negative reply, its message on one line."""
    line = " ".join(message.split())[:MAX_ERROR]
    return to_json({"id": id, "ok": False, "error": {"code": code, "message": line}})


def to_json(message: object) -> bytes:
    """JSON of anything that the daemon says.

    Names of files and messages of the system may hold what is no Unicode; question marks stand
    for that. A value of a kind that JSON does not have is shown as text.
    """
    try:
        return _encode(message)
    except UnicodeEncodeError:
        return _encode(_readable(message))


def _readable(value: object) -> object:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_readable(key): _readable(one) for key, one in value.items()}
        case list() | tuple():
            return [_readable(one) for one in value]
    return value


_encode = msgspec.json.Encoder(enc_hook=repr).encode
