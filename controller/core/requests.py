"""All requests to the daemon, with the limits of each number in them.

A request is checked when it is constructed, and raises ValueError if it is not valid. Its goals are
also built then, so that the tick does neither.
"""

from collections.abc import Sequence
from math import hypot, pi
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from inhand.controller.core.goals import Aim, FaceUp, Orientation, RandomGoal, Turn
from inhand.hardware.records import Array, frozen_array

UNIT_TOLERANCE = 1e-3
"""Largest deviation of a quaternion's length from 1."""

FULL_TURN = 6.2832
"""Largest heading and largest length of a rotation vector: one turn, rounded up [rad]."""

LONGEST_ID = 64
"""Largest length of an id that is a string [characters]."""

FASTEST = 20.0
"""Largest speed of a joint that can be asked for [rad/s]; the hand's limits hold below it."""

SHORTEST_STEP = 0.001
"""Shortest time between two points of a trajectory [s]."""

MOST_JOINTS = 64
"""Largest number of joints in a request."""

_INTEGERS = range(-(2**63), 2**64)
"""Integers of 64 bits, signed or unsigned: those that all clients and the recorder can encode."""

Numbers3 = tuple[float, float, float]
Numbers4 = tuple[float, float, float, float]
Face = Annotated[str, Meta(max_length=64)]
Heading = Annotated[float, Meta(ge=-FULL_TURN, le=FULL_TURN)]
RecordAction = Literal["save", "start", "stop"]
"""Actions of the flight recorder."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Angle = Annotated[float, Meta(ge=-100, le=100)]
Angles = Annotated[list[Angle], Meta(max_length=MOST_JOINTS)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]


class _Request(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type"
):
    v: Literal[1]
    id: str | int

    def __post_init__(self) -> None:
        if not valid_id(self.id):
            raise ValueError(f"id must fit in 64 bits, or in {LONGEST_ID} characters")


class Status(_Request, frozen=True, tag="status"):
    """Asks for the complete current state."""


class Enable(_Request, frozen=True, tag="enable"):
    """Asks for torque, holding the present position."""


class Disable(_Request, frozen=True, tag="disable"):
    """Asks for torque off."""


class Home(_Request, frozen=True, tag="home"):
    """Asks for a slow move to the rest pose."""


class Arm(_Request, frozen=True, tag="arm"):
    """Asks to arm the hand for goals; repeated requests are the heartbeat of an armed hand."""


class Disarm(_Request, frozen=True, tag="disarm"):
    """Asks to leave the armed modes."""


class GoalAim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An orientation, given in exactly one of three ways.

    Attributes:
        quaternion: world from object, wxyz, unit.
        face: name of the face to turn up.
        heading: with `face`, rotation about the vertical [rad].
        rotation: rotation vector in the world frame, relative to the object's orientation when
            the goal begins [rad].
    """

    quaternion: Numbers4 | None = None
    face: Face | None = None
    heading: Heading | None = None
    rotation: Numbers3 | None = None

    def aim(self) -> Aim:
        """The requested orientation; raises ValueError if the members are not valid."""
        given = (self.quaternion, self.face, self.rotation)
        if given.count(None) != 2:
            raise ValueError("a goal needs exactly one of quaternion, face and rotation")
        if self.heading is not None and self.face is None:
            raise ValueError("heading goes with face only")
        if self.quaternion is not None:
            return Orientation(unit_quaternion(self.quaternion))
        if self.rotation is not None:
            # Written with `not` so that NaN is refused too.
            if not hypot(*self.rotation) <= FULL_TURN:
                raise ValueError("rotation must be finite and at most one full turn")
            return Turn(frozen_array(self.rotation))
        return FaceUp(str(self.face), self.heading)


class _Terms(_Request, frozen=True):
    tolerance: Annotated[float, Meta(gt=0, le=3.15)] | None = None
    hold: Seconds | None = None
    timeout: Seconds | None = None
    replace: bool = False
    symmetry: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        vars(self)["_aims"] = self._build()

    def aims(self) -> tuple[Aim, ...]:
        """The requested orientations in order; built when the request was constructed."""
        aims: tuple[Aim, ...] = vars(self)["_aims"]
        return aims

    def _build(self) -> tuple[Aim, ...]:
        # Not an abstract method: msgspec's classes have a metaclass of their own.
        raise NotImplementedError


class Goal(_Terms, frozen=True, tag="goal"):
    """Asks for one orientation: the members of `GoalAim`, with tolerance and times."""

    quaternion: Numbers4 | None = None
    face: Face | None = None
    heading: Heading | None = None
    rotation: Numbers3 | None = None

    def _build(self) -> tuple[Aim, ...]:
        return (GoalAim(self.quaternion, self.face, self.heading, self.rotation).aim(),)


class Goals(_Terms, frozen=True, kw_only=True, tag="goals"):
    """Asks for several orientations, one after the other."""

    goals: Annotated[list[GoalAim], Meta(min_length=1, max_length=1000)]

    def _build(self) -> tuple[Aim, ...]:
        return tuple([goal.aim() for goal in self.goals])


class RandomGoals(_Terms, frozen=True, tag="random_goals"):
    """Asks for random goals; with `count` 0 they are endless."""

    count: Annotated[int, Meta(ge=0, le=1000)] = 0
    kind: Literal["so3", "face-up"] = "so3"
    max_angle: Annotated[float, Meta(gt=0, le=pi + 1e-9)] = pi
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None

    def _build(self) -> tuple[Aim, ...]:
        # For endless goals, one that is drawn repeatedly.
        return (RandomGoal(self.kind, self.max_angle),) * max(1, self.count)


class Cancel(_Request, frozen=True, tag="cancel"):
    """Asks to remove all goals."""


class Hold(_Request, frozen=True, tag="hold"):
    """Asks to stop and hold the present position."""


class Manual(_Request, frozen=True, tag="manual"):
    """Asks for mode `manual`, in which joints are commanded."""


class Joints(_Request, frozen=True, tag="joints"):
    """Asks to move joints to targets [rad]; without positions, a heartbeat."""

    positions: dict[Name, Angle] | Angles = {}
    speed: Annotated[float, Meta(gt=0, le=FASTEST)] | None = None


class Trajectory(_Request, frozen=True, kw_only=True, tag="trajectory"):
    """Asks to follow targets [rad] with times [s], counted from when it begins."""

    times: Annotated[list[Seconds], Meta(min_length=1, max_length=1000)]
    positions: Annotated[list[Angles], Meta(min_length=1, max_length=1000)]
    joints: Annotated[list[Name], Meta(max_length=MOST_JOINTS)] = []

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.times) != len(self.positions):
            raise ValueError(f"{len(self.times)} times for {len(self.positions)} rows of positions")
        steps = zip([0.0, *self.times], self.times, strict=False)
        if not all(before + SHORTEST_STEP <= after for before, after in steps):
            raise ValueError(f"times must begin above 0 and increase by at least {SHORTEST_STEP} s")


class Estop(_Request, frozen=True, tag="estop"):
    """Asks for the emergency stop."""


class Clear(_Request, frozen=True, tag="clear"):
    """Asks to end a fault or an emergency stop."""


class LoadPolicy(_Request, frozen=True, kw_only=True, tag="load_policy"):
    """Asks for another policy, by its file name or the first digits of its SHA-256."""

    policy: Annotated[str, Meta(min_length=1, max_length=255)]


class Record(_Request, frozen=True, tag="record"):
    """Asks to save the last half minute, or to start or stop a continuous recording."""

    action: RecordAction = "save"
    images: bool | None = None


class Events(_Request, frozen=True, tag="events"):
    """Asks for the events after number `since`."""

    since: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class Control(_Request, frozen=True, kw_only=True, tag="control"):
    """Asks to be the program in control, or not to be it any more."""

    action: Literal["take", "release"] = "take"


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
    | Manual
    | Joints
    | Trajectory
    | Estop
    | Clear
    | LoadPolicy
    | Record
    | Events
    | Control
    | Shutdown
)

Stop = Estop | Hold | Disarm | Cancel
"""Requests that end motion. They are never refused because of too many requests."""

STOPS = tuple(str(kind.__struct_config__.tag) for kind in Stop.__args__)
"""Type names of the requests in `Stop`."""

TYPES = tuple(str(kind.__struct_config__.tag) for kind in AnyRequest.__args__)
"""Type names of all requests."""


def valid_id(id: object) -> bool:
    """Whether an id is a short string, or an integer of at most 64 bits."""
    if isinstance(id, str):
        return len(id) <= LONGEST_ID
    return isinstance(id, int) and not isinstance(id, bool) and id in _INTEGERS


def work(request: AnyRequest) -> int:
    """Computing work of a request, counted in requests without goals."""
    return 1 + len(request.aims()) // 128 if isinstance(request, _Terms) else 1


def unit_quaternion(values: Sequence[float]) -> Array:
    """Checks a quaternion, wxyz, and normalises it; (4,).

    Raises:
        ValueError: it is not finite or not of unit length.
    """
    length = hypot(*values)
    if not abs(length - 1) <= UNIT_TOLERANCE:
        raise ValueError(
            f"quaternion {list(values)} (wxyz) must be finite and of unit length, has {length:.6g}"
        )
    return frozen_array(np.array(values) / length)
