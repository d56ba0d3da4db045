"""Verbs of `inhand` that ask for goals."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tyro

from inhand.controller.cli.verbs import Verb
from inhand.controller.errors import ConfigError


@dataclass(frozen=True)
class _Terms(Verb):
    """Attributes:
    tolerance: Largest error that counts as reached [rad].
    hold: Seconds the error must stay below it.
    timeout: Seconds after which to go on to the next goal.
    symmetry: Any orientation that looks the same, but for the tags, is the goal.
    replace: Forget the goals that are active or waiting.
    """

    tolerance: float | None = None
    hold: float | None = None
    timeout: float | None = None
    symmetry: bool = False
    replace: bool = False

    @property
    def terms(self) -> dict[str, object]:
        return {
            "tolerance": self.tolerance,
            "hold": self.hold,
            "timeout": self.timeout,
            "symmetry": self.symmetry,
            "replace": self.replace,
        }


@dataclass(frozen=True)
class Goal(_Terms):
    """Turn the object to one orientation.

    Example: inhand goal --face +x

    Attributes:
        quaternion: World from object, w x y z.
        face: Name of the face to turn up.
        heading: With face: rotation about the vertical [rad].
        rotation: Rotation vector from where the object is, world frame [rad].
    """

    quaternion: tuple[float, float, float, float] | None = None
    face: str | None = None
    heading: float | None = None
    rotation: tuple[float, float, float] | None = None

    def run(self) -> int:
        return self.send(
            "goal",
            quaternion=self.quaternion,
            face=self.face,
            heading=self.heading,
            rotation=self.rotation,
            **self.terms,
        )


@dataclass(frozen=True)
class Goals(_Terms):
    """Queue orientations from a JSON file: a list of objects like `inhand goal`'s members.

    Example: inhand goals --file goals.json

    Attributes:
        file: The file; - is standard input.
    """

    file: Annotated[str, tyro.conf.arg(metavar="FILE")] = "-"

    def run(self) -> int:
        try:
            raw = sys.stdin.buffer.read() if self.file == "-" else Path(self.file).read_bytes()
            goals = msgspec.json.decode(raw)
        except OSError as error:
            raise ConfigError(f"goals file {self.file}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise ConfigError(f"goals file {self.file}: {error}") from error
        return self.send("goals", goals=goals, **self.terms)


@dataclass(frozen=True)
class RandomGoals(_Terms):
    """Draw goals at random, one after another.

    Example: inhand random-goals --count 10

    Attributes:
        count: How many; 0 draws without end.
        kind: All orientations, or one face up with any heading.
        max_angle: Largest rotation of a goal from where the object is [rad].
        seed: Makes the goals repeatable.
    """

    count: int = 0
    kind: Literal["so3", "face-up"] = "so3"
    max_angle: float | None = None
    seed: int | None = None

    def run(self) -> int:
        return self.send(
            "random_goals",
            count=self.count,
            kind=self.kind,
            max_angle=self.max_angle,
            seed=self.seed,
            **self.terms,
        )
