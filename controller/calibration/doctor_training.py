"""Compares the measured servos with the ranges that the policy was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from inhand.controller.config.config import Config
from inhand.controller.policy.files import SHIPPED, allowed_hashes, file_to_load, find_policy
from inhand.controller.policy.runtime import load_policy
from inhand.errors import InhandError
from inhand.hardware.findings import Finding
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.universe import UniverseError, load_universe, trained_range
from inhand.perception.objects import load_object

FIELDS = ("actuator_gain", "joint_damping", "joint_friction", "action_delay", "torque_limit")

_MEANING = {
    "actuator_gain": ("servo gain", "× the hand file's", "{register}"),
    "joint_damping": (
        "joint damping",
        "× the hand file's",
        "free what rubs, or change the derivative gain (register 80), and calibrate anew",
    ),
    "joint_friction": (
        "joint friction",
        "N·m beyond the hand file's",
        "grease the joint and look at its cables, or train with more of it",
    ),
    "action_delay": (
        "servo delay",
        "s",
        "look at return delay and latency timer (inhand doctor); train with as much",
    ),
    "torque_limit": (
        "torque per ampere",
        "× the data sheet's",
        "change torque_limit in the hand file by this factor, or train with it",
    ),
}


def compare(hand: Hand, measured: Mapping[str, Sequence[float]], scale: float) -> Iterator[Finding]:
    """One finding for each measured quantity.

    Args:
        hand: whose servos they are.
        measured: fields of a universe, by name; empty if not measured.
        scale: randomization scale of the policy's training.
    """
    for field in FIELDS:
        values = np.array(measured.get(field, ()), dtype=np.float64)
        if not values.size:
            continue
        name, unit, remedy = _MEANING[field]
        low, high = trained_range(field, scale)
        names = hand.joint_names if field.startswith("joint_") else hand.actuator_names
        # Rounding in the file must not count as outside.
        slack = 0.002 if field == "action_delay" else 1e-3
        outside = np.flatnonzero((values < low - slack) | (values > high + slack))
        trained = f"trained on {low:.3g} to {high:.3g} {unit}"
        if not outside.size:
            yield Finding(name, "good", f"{values.min():.3g} to {values.max():.3g}, {trained}")
            continue
        which = ", ".join(f"{names[i]} {values[i]:.3g}" for i in outside)
        factors = ", ".join(f"{names[i]} × {1 / values[i]:.2f}" for i in outside if values[i] > 0)
        register = f"multiply the proportional gain (register 84, [bus] gains): {factors}"
        yield Finding(name, "warning", f"{which}; {trained}", remedy.format(register=register))


def training_scale(config: Config) -> float | None:
    """Randomization scale of the configured policy's training; None without a policy."""
    policy = config.policy
    if not policy.file:
        return None
    try:
        hand, target = load_hand(config.hand), load_object(config.object)
        directory = Path(policy.directory) if policy.directory else SHIPPED
        path = find_policy(file_to_load(policy, hand.name, target.name, directory), directory)
        loaded = load_policy(path, hand, target, allowed=allowed_hashes(policy))
    except InhandError:
        # The doctor reports the reason in its finding about the policy.
        return None
    return loaded.metadata.randomization_scale


def check_measured(config: Config) -> list[Finding]:
    """Compares what `inhand calibrate servos` wrote with what the policy was trained on."""
    hand, file = load_hand(config.hand), config.bus.measured
    if not file:
        remedy = "inhand calibrate servos; name its file under [bus] measured"
        return [Finding("servos as measured", "warning", "never measured", remedy)]
    try:
        universe = load_universe(Path(file), hand)
    except UniverseError as error:
        return [Finding("servos as measured", "bad", str(error), "inhand calibrate servos")]
    scale = training_scale(config)
    if scale is None:
        remedy = "name a policy under [policy] file"
        return [Finding("servos as measured", "warning", "no policy to compare them with", remedy)]
    return list(compare(hand, {field: getattr(universe, field) for field in FIELDS}, scale))
