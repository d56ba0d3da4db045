"""The messages of the command and state sockets: what they are, and their strict decoding.

Requests are JSON objects tagged by `type`; `docs/protocol.md` describes them for clients.
"""

from collections.abc import Sequence
from math import isfinite, pi, sqrt
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from inhand.controller.core.goals import Aim, FaceUp, Orientation, RandomGoal, Turn
from inhand.controller.errors import ErrorCode
from inhand.hardware.records import frozen_array

VERSION = 1
MAX_SIZE = 65_536
"""Largest message that is read [bytes]."""

MAX_ERROR = 500
"""Longest message of an error reply [characters]."""

UNIT_TOLERANCE = 1e-3
"""How far a quaternion's length may be from 1."""

Numbers3 = tuple[float, float, float]
Numbers4 = tuple[float, float, float, float]
Identifier = Annotated[str, msgspec.Meta(max_length=64)] | int


RecordAction = Literal["save", "start", "stop"]
"""What a client may ask of the flight recorder."""


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


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    v: Literal[1]
    id: Identifier


class Status(_Request, frozen=True, tag="status"):
    """Asks for everything the daemon knows now."""


class Enable(_Request, frozen=True, tag="enable"):
    """Asks for torque, holding the present position."""


class Disable(_Request, frozen=True, tag="disable"):
    """Asks for torque off."""


class Home(_Request, frozen=True, tag="home"):
    """Asks for a slow move to the rest pose."""


class Arm(_Request, frozen=True, tag="arm"):
    """Asks to get ready for goals; repeated, it is the heartbeat of an armed hand."""


class Disarm(_Request, frozen=True, tag="disarm"):
    """Asks to leave the armed modes."""


class GoalAim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An orientation, given in exactly one of three ways.

    Attributes:
        quaternion: world from object, wxyz, unit.
        face: name of the face to turn up.
        heading: with `face`, rotation about the vertical [rad].
        rotation: rotation vector in the world frame, from where the object is when the goal
            begins [rad].
    """

    quaternion: Numbers4 | None = None
    face: str | None = None
    heading: float | None = None
    rotation: Numbers3 | None = None

    def aim(self) -> Aim:
        """Checks the numbers; raises ValueError with what is wrong."""
        given = [x for x in (self.quaternion, self.face, self.rotation) if x is not None]
        if len(given) != 1:
            raise ValueError("a goal needs exactly one of quaternion, face and rotation")
        if self.heading is not None and self.face is None:
            raise ValueError("heading goes with face only")
        if self.quaternion is not None:
            return Orientation(unit_quaternion(self.quaternion))
        if self.rotation is not None:
            if not all(map(isfinite, self.rotation)) or np.linalg.norm(self.rotation) > 2 * pi:
                raise ValueError("rotation must be finite and at most one full turn")
            return Turn(frozen_array(self.rotation))
        if self.heading is not None and not isfinite(self.heading):
            raise ValueError("heading must be finite")
        return FaceUp(str(self.face), self.heading)


class _Terms(_Request, frozen=True):
    tolerance: float | None = None
    hold: float | None = None
    timeout: float | None = None
    replace: bool = False

    def check_terms(self) -> None:
        """Raises ValueError with what is wrong."""
        if self.tolerance is not None and not 0 < self.tolerance <= 3.15:
            raise ValueError(f"tolerance {self.tolerance} must lie in (0, 3.15] rad")
        for name, value in (("hold", self.hold), ("timeout", self.timeout)):
            if value is not None and not 0 <= value <= 3600:
                raise ValueError(f"{name} {value} must lie in [0, 3600] s")


class Goal(_Terms, frozen=True, tag="goal"):
    """Asks for one orientation: the members of `GoalAim` beside the terms."""

    quaternion: Numbers4 | None = None
    face: str | None = None
    heading: float | None = None
    rotation: Numbers3 | None = None

    def aims(self) -> list[Aim]:
        """The one aim."""
        return [GoalAim(self.quaternion, self.face, self.heading, self.rotation).aim()]


class Goals(_Terms, frozen=True, kw_only=True, tag="goals"):
    """Asks for several orientations, one after another."""

    goals: Annotated[list[GoalAim], msgspec.Meta(min_length=1, max_length=1000)]

    def aims(self) -> list[Aim]:
        """The aims in their order."""
        return [goal.aim() for goal in self.goals]


class RandomGoals(_Terms, frozen=True, tag="random_goals"):
    """Asks for goals drawn at random; `count` 0 draws without end."""

    count: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    kind: Literal["so3", "face-up"] = "so3"
    max_angle: float = pi
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] | None = None

    def aims(self) -> list[Aim]:
        """As many aims as were asked for; one if without end."""
        if not 0 < self.max_angle <= pi + 1e-9:
            raise ValueError(f"max_angle {self.max_angle} must lie in (0, pi] rad")
        return [RandomGoal(self.kind, self.max_angle)] * max(1, self.count)


class Cancel(_Request, frozen=True, tag="cancel"):
    """Asks to forget all goals."""


class Hold(_Request, frozen=True, tag="hold"):
    """Asks to stop where the hand is."""


class Estop(_Request, frozen=True, tag="estop"):
    """Asks for the emergency stop."""


class Clear(_Request, frozen=True, tag="clear"):
    """Asks to end a fault or an emergency stop."""


class LoadPolicy(_Request, frozen=True, kw_only=True, tag="load_policy"):
    """Asks for another policy: by its file's name, or the start of its SHA-256."""

    policy: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Record(_Request, frozen=True, tag="record"):
    """Asks for a recording: of the last half minute, or from now on until it is stopped."""

    action: RecordAction = "save"
    images: bool | None = None


class Events(_Request, frozen=True, tag="events"):
    """Asks for the events after number `since`."""

    since: Annotated[int, msgspec.Meta(ge=0)] = 0


class Shutdown(_Request, frozen=True, tag="shutdown"):
    """Asks the daemon to end."""


AnyRequest = (
    Status
    | Enable
    | Disable
    | Home
    | Arm
    | Disarm
    | Goal
    | Goals
    | RandomGoals
    | Cancel
    | Hold
    | Estop
    | Clear
    | LoadPolicy
    | Record
    | Events
    | Shutdown
)

TYPES = tuple(str(kind.__struct_config__.tag) for kind in AnyRequest.__args__)
"""The types of requests."""

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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(message, error) from None
    if isinstance(request, _Terms):
        try:
            request.check_terms()
            aims_of(request)
        except ValueError as error:
            kind = request.__struct_config__.tag
            raise ProtocolError("invalid", f"{kind}: {error}", request.id) from None
    return request


def aims_of(request: _Terms) -> list[Aim]:
    """The aims of any request for goals; raises ValueError with what is wrong."""
    assert isinstance(request, Goal | Goals | RandomGoals)
    return request.aims()


def _explain(message: bytes, error: Exception) -> ProtocolError:
    """The most helpful error for a message that is no request."""
    try:
        envelope = _envelope.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ProtocolError("malformed", f"not a JSON object: {error}")
    id = envelope.id if isinstance(envelope.id, str | int) else None
    if isinstance(id, bool) or (isinstance(id, str) and len(id) > 64):
        id = None
    if envelope.v != VERSION:
        text = f'protocol version {envelope.v!r:.40} is not spoken here; send "v": {VERSION}'
        return ProtocolError("version", text, id)
    if envelope.type not in TYPES:
        known = ", ".join(TYPES)
        return ProtocolError("unknown_type", f"type {envelope.type!r:.40} is none of {known}", id)
    return ProtocolError("invalid", f"{envelope.type}: {error}", id)


def unit_quaternion(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A checked quaternion, scaled to unit length exactly.

    Raises:
        ValueError: it is not finite or not of unit length.
    """
    length = sqrt(sum(x * x for x in values)) if all(map(isfinite, values)) else float("nan")
    if not abs(length - 1) <= UNIT_TOLERANCE:
        raise ValueError(
            f"quaternion {list(values)} (wxyz) must be finite and of unit length, has {length:.6g}"
        )
    return frozen_array(np.array(values) / length)


def reply_ok(id: str | int, result: dict[str, object]) -> bytes:
    """A positive reply."""
    return msgspec.json.encode({"id": id, "ok": True, **result})


def reply_error(id: str | int | None, code: ErrorCode, message: str) -> bytes:
    """A negative reply, its message on one line."""
    line = " ".join(message.split())[:MAX_ERROR]
    body = {"id": id, "ok": False, "error": {"code": code, "message": line}}
    return msgspec.json.encode(body)
