"""A hand description as the text of a hand file, which people read and edit."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_UNITS = {
    "object_start": "centre of the object when it is put in the hand [m]",
    "center": "centre of mass, link frame [m]",
    "radius": "further from `center` than this: dropped [m]",
    "drop_height": "below this height: dropped [m]",
    "origin": "of the joint, parent's frame [m]",
    "rpy": "roll, pitch, yaw about fixed axes [rad]",
    "axis": "of the joint, link frame",
    "range": "[rad]",
    "armature": "inertia of the rotor about the joint [kg·m²]",
    "rotor_inertia": "added about every axis [kg·m²]",
    "damping": "[N·m·s/rad]",
    "friction": "[N·m]",
    "mass": "[kg]",
    "inertia": "xx, yy, zz, xy, xz, yz about the centre of mass [kg·m²]",
    "tip": "fingertip, link frame [m]",
    "position": "link frame [m]",
    "rest": "[rad]",
    "action_zero": "target of a policy's action 0 [rad]",
    "gain": "[N·m/rad]",
    "torque_limit": "[N·m]",
    "continuous_torque": "borne without an end [N·m]",
    "velocity_limit": "of targets [rad/s]",
    "acceleration_limit": "of targets [rad/s²]",
    "ratios": "turn of each joint per turn of the actuator",
    "offsets": "angle of each joint where the actuator is at zero [rad]",
    "servo": "zero: angle of the joint at the middle of the servo's turn [rad]",
    "supply_current": "of all servos together [A]",
    "servo_current": "of each servo, by model or actuator [A]",
}
"""Comments, each where its key stands first; of the workspace, `center` is something else."""


def hand_text(content: Mapping[str, Any], head: Sequence[str] = ()) -> str:
    """The text of a hand file.

    Args:
        content: as in the file; what is None or empty is left out.
        head: lines of the comment at the top.
    """
    told: set[str] = {"center"}
    lines = [f"# {line}".rstrip() for line in head]
    lines += ["", *_pairs(content, told)]
    for name, part in content.items():
        if isinstance(part, Mapping) and part:
            lines += ["", f"[{name}]", *_pairs(part, told)]
            told.discard("center")
    for name in ("fixed_links", "links", "actuators"):
        for part in content.get(name, ()):
            lines += ["", f"[[{name}]]", *_pairs(part, told)]
            for inner in ("shapes", "drawings"):
                for one in part.get(inner, ()):
                    lines += [f"[[{name}.{inner}]]", *_pairs(one, told)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _pairs(part: Mapping[str, Any], told: set[str]) -> Iterator[str]:
    """Lines of the values of a table; tables in it other than `servo` and currents come later."""
    for key, value in part.items():
        is_table = isinstance(value, Mapping) and key not in ("servo", "servo_current")
        is_list = isinstance(value, list | tuple) and value and isinstance(value[0], Mapping)
        if value is None or is_table or is_list or value in ([], (), {}):
            continue
        line = f"{_key(key)} = {_value(value)}"
        if key in _UNITS and key not in told:
            told.add(key)
            line = f"{line:34}  # {_UNITS[key]}"
        yield line


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            text = f"{value + 0.0:.10g}"
            return text if any(sign in text for sign in ".en") else f"{text}.0"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}"
        case list() | tuple():
            return f"[{', '.join(_value(one) for one in value)}]"
    return str(value)


def _key(name: str) -> str:
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isascii() and plain.isalnum() else json.dumps(name)
