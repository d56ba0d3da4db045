"""Decodes and encodes the messages of the command socket; clients see `docs/protocol.md`.

Requests are JSON objects tagged by `type`; `core.requests` defines their members.
"""

from typing import Any

import msgspec

from inhand.controller.core.requests import TYPES, AnyRequest, valid_id
from inhand.controller.errors import ErrorCode

VERSION = 1
MAX_SIZE = 65_536
"""Largest message that is accepted [bytes]."""

MAX_ERROR = 500
"""Longest error message of a reply [characters]."""


class ProtocolError(Exception):
    """A message that is not a valid request.

    Attributes:
        code: one of the protocol's error codes.
        id: the request's id; None if it could not be read.
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
    """Decodes one request.

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
    """The id, if it is valid, and the type of a message, even if the rest is not a valid request.

    Raises:
        ProtocolError: it is not a JSON object; code `malformed`.
    """
    try:
        envelope = _envelope.decode(message)
    except _UNREADABLE as error:
        raise ProtocolError("malformed", f"not a JSON object: {error}") from None
    id = envelope.id if valid_id(envelope.id) else None
    return id, envelope.type if isinstance(envelope.type, str) else ""


def _explain(message: bytes, error: Exception) -> ProtocolError:
    """The most specific error for a message that is not a valid request."""
    try:
        id, kind = peek(message)
        envelope = _envelope.decode(message)
    except ProtocolError:
        return ProtocolError("malformed", f"not a JSON object: {error}")
    if envelope.v != VERSION:
        text = f'protocol version {_shortened(envelope.v)} is not supported; send "v": {VERSION}'
        return ProtocolError("version", text, id)
    if kind not in TYPES:
        known = ", ".join(TYPES)
        return ProtocolError(
            "unknown_type", f"type {_shortened(envelope.type)} is none of {known}", id
        )
    return ProtocolError("invalid", f"{kind}: {error}", id)


def _shortened(value: object) -> str:
    """A value as text, shortened to its beginning."""
    try:
        return f"{value!r:.40}"
    except (RecursionError, ValueError):
        return f"of type {type(value).__name__}"


def reply_ok(id: str | int, result: dict[str, object]) -> bytes:
    """Encodes the reply to a request that was carried out."""
    return to_json({"id": id, "ok": True, **result})


def reply_error(id: str | int | None, code: ErrorCode, message: str) -> bytes:
    """Encodes an error reply; its message is put on one line."""
    line = " ".join(message.split())[:MAX_ERROR]
    return to_json({"id": id, "ok": False, "error": {"code": code, "message": line}})


def to_json(message: object) -> bytes:
    """Encodes any message of the daemon as JSON.

    File names and messages of the operating system may contain invalid Unicode; it is replaced by
    question marks. A value of a type that JSON does not have is written as text.
    """
    try:
        return _encode(message)
    except UnicodeEncodeError:
        return _encode(_replace_invalid(message))


def _replace_invalid(value: object) -> object:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_replace_invalid(key): _replace_invalid(one) for key, one in value.items()}
        case list() | tuple():
            return [_replace_invalid(one) for one in value]
    return value


_encode = msgspec.json.Encoder(enc_hook=repr).encode
