"""The properties of a hand on which a policy depends, and the differences between two hands.

Ids, signs, zeros, models and continuous torques of servos, drawings, and comments of the file are
no part of it: the same policy turns the object with other servos.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from inhand.hardware.model.hand_description import Actuator, Link, Shape, Workspace

Facts = Mapping[str, Any]
"""Facts about a hand as JSON can hold them."""

RELEASED = Path(__file__).parents[1] / "hands" / "released.json"
"""Facts about hands that policies were trained for, by the digest in those policies."""

_OF_SIMULATION = (
    "mass",
    "rotor_inertia",
    "damping",
    "friction",
    "shapes",
    "root_shapes",
    "armature",
    "inertia",
    "gain",
    "torque_limit",
    "velocity_limit",
    "acceleration_limit",
    "collision_groups",
    "radius",
    "drop_height",
)
"""Facts whose change makes the trained world differ from this hand; inputs and outputs of the
policy keep their meaning."""


_LEFT_OUT: Mapping[str, Any] = {
    "armature": 0.0,
    "center": None,
    "inertia": None,
    "ratios": [],
    "offsets": [],
    "rpy": [0.0, 0.0, 0.0],
}
"""Values with which a fact is left out: hands were released before the description had it."""

_TABLES = ("links", "actuators")
_IN_FILES = {"rest": "action_zero"}
"""Facts that hand files have by another name."""


@dataclass(frozen=True)
class Differences:
    """What differs between the hand of a policy and this one, in words.

    Attributes:
        essential: the meaning of the policy's inputs or outputs is another.
        simulated: the hand was simulated with other values.
    """

    essential: tuple[str, ...]
    simulated: tuple[str, ...]


def facts_of(
    name: str,
    root: str,
    workspace: Workspace,
    collision_groups: Mapping[str, Iterable[str]],
    links: Iterable[Link],
    actuators: Iterable[Actuator],
    root_shapes: Iterable[Shape] = (),
) -> Facts:
    """The facts about a hand that a policy depends on; the arguments are those of its file."""
    driven = {actuator.name: _as_json(actuator) for actuator in actuators}
    for actuator in driven.values():
        # None of these changes what a policy sees or does: where the hand waits before it acts
        # may differ, the middle of its actions may not. Hands were released with one for both.
        zero = actuator.pop("action_zero")
        actuator["rest"] = actuator["rest"] if zero is None else zero
        del actuator["servo"], actuator["continuous_torque"]
    moved = {link.name: _as_json(link) for link in links}
    never_moves = [_as_json(shape) for shape in root_shapes]
    return {
        "name": name,
        "root": root,
        "workspace": _as_json(workspace),
        "collision_groups": {group: list(of) for group, of in collision_groups.items()},
        "order": {"links": list(moved), "actuators": list(driven)},
        "links": moved,
        "actuators": driven,
        **({"root_shapes": never_moves} if never_moves else {}),
    }


def _as_json(record: msgspec.Struct) -> dict[str, Any]:
    """A record as JSON holds it, with lists in place of tuples."""
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    content.pop("drawings", None)
    for part in (content, *content.get("shapes", ())):
        for name, value in _LEFT_OUT.items():
            if name in part and part[name] == value and _may_be_left_out(part, name):
                del part[name]
    return content


def _may_be_left_out(part: Mapping[str, Any], name: str) -> bool:
    """The turn of a shape may; that of a link may not, as hands were released with it."""
    return name != "rpy" or "kind" in part


def digest_of(facts: Facts) -> str:
    """The digest of a hand: of a released one that of its file at that time, else of its facts."""
    own = _sha256(facts)
    return _released_digests().get(own, own)


def released_facts(digest: str) -> Facts | None:
    """Facts about the released hand with this digest; None if there is none."""
    return _released().get(digest)


def differences(before: Facts, now: Facts) -> Differences:
    """What differs, with both values; the hand's own name does not count.

    Args:
        before: facts about the hand of a policy.
        now: facts about this hand.
    """
    essential: list[str] = []
    simulated: list[str] = []
    for path, old, new in _changes((), _comparable(before), _comparable(now)):
        place = " ".join(_IN_FILES.get(part, part) for part in path if part not in _TABLES)
        text = f"{place} {_short(old)} → {_short(new)}{_percent(old, new)}"
        is_simulated = any(part in _OF_SIMULATION for part in path)
        (simulated if is_simulated else essential).append(text)
    return Differences(tuple(essential), tuple(simulated))


def _changes(
    path: tuple[str, ...], before: Any, now: Any
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Paths and both values of all that differs."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in [*before, *(name for name in now if name not in before)]:
            yield from _changes((*path, name), before.get(name), now.get(name))
    elif not _same(before, now):
        yield path, before, now


def _comparable(facts: Facts) -> Facts:
    """Without the hand's name, and with groups by their links: names of groups mean nothing."""
    groups = {", ".join(sorted(of)): sorted(of) for of in facts["collision_groups"].values()}
    return {**facts, "name": "", "collision_groups": groups}


def _same(before: object, now: object) -> bool:
    """Whether two values are equal but for the rounding of whoever wrote the files."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return before.keys() == now.keys() and all(_same(before[key], now[key]) for key in before)
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_same, before, now))
    if isinstance(before, int | float) and isinstance(now, int | float):
        return math.isclose(before, now, rel_tol=1e-6, abs_tol=1e-9)
    return before == now


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _short(value: object) -> str:
    text = _plain(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _percent(before: object, now: object) -> str:
    if isinstance(before, int | float) and isinstance(now, int | float) and before:
        return f" ({100.0 * (now - before) / before:+.0f} %)"
    return ""


def _sha256(facts: Facts) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _released() -> dict[str, Facts]:
    released: dict[str, Facts] = json.loads(RELEASED.read_text())
    return released


@cache
def _released_digests() -> dict[str, str]:
    return {_sha256(facts): digest for digest, facts in _released().items()}
