"""Verb of `inhand` that moves joints."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import tyro

from inhand.controller.cli.verbs import Verb
from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, ConfigError


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trajectory: the members of the request `trajectory`."""

    times: list[float]
    positions: list[list[float]]
    joints: list[str] = []


@dataclass(frozen=True)
class Joints(Verb):
    """Move joints to angles [rad], and wait until the targets are there.

    The fingers are moved straight, also against one another. Ctrl-C stops the hand.

    Example: inhand joints FFJ3=0.5 MFJ3=0.5 --speed 0.4

    Attributes:
        targets: Joints with angles [rad], by the names of the hand file's actuators.
        speed: Of the joint with the longest way [rad/s].
        file: A trajectory instead: JSON with `times` [s], `positions` (a row for each time) [rad]
            and perhaps `joints` (names of a row's elements).
    """

    targets: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="JOINT=ANGLE")
    ] = ()
    speed: float | None = None
    file: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None

    def run(self) -> int:
        if bool(self.targets) == (self.file is not None):
            raise ConfigError("joints: give targets like FFJ3=0.5, or a trajectory with --file")
        trajectory = None if self.file is None else _read(self.file)
        targets = _targets(self.targets)
        with Client(self.directory, key=self.key) as client:
            try:
                if trajectory is None:
                    reply = client.joints(targets, self.speed)
                else:
                    reply = client.follow(trajectory.times, trajectory.positions, trajectory.joints)
            except KeyboardInterrupt:
                client.call("hold")
                raise
        reply.pop("id"), reply.pop("ok")
        self.show(reply)
        if reply["left"] > 1e-2:
            raise ClientError(
                f"joints: the targets stay {reply['left']:.2g} rad short, as a servo may not use "
                "all its torque: see `inhand status`, and what blocks the joint"
            )
        return 0


def _targets(texts: Iterable[str]) -> dict[str, float]:
    """Angles by joint [rad]."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, angle = text.partition("=")
        if name in found:
            raise ConfigError(f"joints: {name!r:.60} is given twice; give it one angle")
        try:
            found[name] = float(angle)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise ConfigError(
                f"joints: {text!r:.60} is no target; write a joint and its angle [rad], like "
                "FFJ3=0.5"
            )
    return found


def _read(file: Path) -> _File:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_File)
    except OSError as error:
        raise ConfigError(f"trajectory file {file}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"trajectory file {file}: {error}") from error
