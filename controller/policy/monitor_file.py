"""The file of a monitor: beside its policy, and bound to it by the policy's SHA-256."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from inhand.controller.errors import PolicyError
from inhand.controller.policy.monitor import Model, Monitor, feature_count
from inhand.controller.policy.monitor_features import REGRESSORS
from inhand.controller.policy.runtime import Policy
from inhand.files import read_file
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

MAX_SIZE = 16 * 1024 * 1024
"""Larger files are refused [bytes]."""

_ARRAYS = ("weights", "deviation", "scale", "center", "directions", "thresholds")


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the monitor was made for.

    Attributes:
        schema: version of the file's layout.
        policy: name of the policy's file.
        policy_sha256: of that file.
        hand: name of the hand.
        hand_digest: of the facts about it.
        names: of the statistics.
        servos: number of statistics that belong to servos.
    """

    schema: Literal[1]
    policy: str
    policy_sha256: str
    hand: str
    hand_digest: str
    names: tuple[str, ...]
    servos: int


def monitor_beside(policy: Path) -> Path:
    """Where the monitor of a policy's file is looked for: `block.onnx` → `block.monitor.npz`."""
    return policy.with_suffix(".monitor.npz")


def packed(model: Model, policy: Policy, hand: Hand) -> bytes:
    """The content of a monitor's file."""
    about = About(
        schema=1,
        policy=policy.name,
        policy_sha256=policy.sha256,
        hand=hand.name,
        hand_digest=hand.digest,
        names=model.names,
        servos=model.servos,
    )
    arrays = {name: getattr(model, name).astype(np.float32) for name in _ARRAYS}
    file = io.BytesIO()
    np.savez_compressed(file, about=np.array(msgspec.json.encode(about).decode()), **arrays)
    return file.getvalue()


def load_monitor(path: Path, policy: Policy, hand: Hand) -> Monitor:
    """Reads a monitor, and checks that it was made for this policy and hand.

    Raises:
        PolicyError: it cannot be read, or was made for another one; in one sentence.
    """
    try:
        content = read_file(path, MAX_SIZE)
    except OSError as error:
        raise PolicyError(f"monitor {path}: {error.strerror}") from error
    again = f"make one with `inhand monitor train --policy {policy.name}`"
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            about = msgspec.json.decode(str(file["about"]), type=About)
            arrays = {name: np.asarray(file[name], dtype=np.float64) for name in _ARRAYS}
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise PolicyError(f"monitor {path}: no monitor's file ({error}); {again}") from error
    problem = _problem(about, arrays, policy, hand)
    if problem:
        raise PolicyError(f"monitor {path}: {problem}; {again}")
    model = Model(**arrays, names=about.names, servos=about.servos)
    sha256 = hashlib.sha256(content).hexdigest()
    return Monitor(hand, model, policy.metadata.policy_rate, policy.observation_version, sha256)


def _problem(about: About, arrays: dict[str, Array], policy: Policy, hand: Hand) -> str:
    """Why the monitor is of no use here; empty if it is."""
    if about.hand_digest != hand.digest:
        version = "another version of " if about.hand == hand.name else ""
        return f"made for {version}hand {about.hand}, this is {hand.name}"
    if about.policy_sha256 != policy.sha256:
        return (
            f"made for policy {about.policy} with SHA-256 {about.policy_sha256[:12]}, "
            f"this is {policy.name} with {policy.sha256[:12]}"
        )
    n, f, d = hand.n_actuators, feature_count(hand), len(about.names)
    shapes = ((n, REGRESSORS), (n,), (n, REGRESSORS), (f,), (d, f), (d,))
    for (name, array), shape in zip(arrays.items(), shapes, strict=True):
        if array.shape != shape or not np.isfinite(array).all():
            return f"{name} is not of {shape} finite numbers"
    positive = (arrays[name] for name in ("deviation", "scale", "thresholds"))
    if d < 1 or any((array <= 0).any() for array in positive) or not 0 <= about.servos <= d:
        return "its statistics cannot be computed"
    return ""
