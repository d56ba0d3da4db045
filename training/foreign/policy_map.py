"""Policy maps: what a policy that was made elsewhere observes, and what its actions mean."""

from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from inhand.controller.errors import PolicyError
from inhand.descriptions import DescriptionKind

POLICY_MAP = DescriptionKind("policy map", PolicyError)

Numbers = float | list[float]
"""One number for all elements, or one for each."""

Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Index = Annotated[int, msgspec.Meta(ge=0)]
Quaternion = tuple[float, float, float, float]
Order = Literal["oldest_first", "newest_first"]
Fill = Literal["repeat", "zeros"]

_UNIT = 1e-3
"""Largest error of a quaternion's length."""


class NetworkMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names in the foreign file.

    Attributes:
        observation: the input for the observation; empty: the only one that is no state.
        action: the output with the action; empty: the only one that is no state.
        state: recurrent states, input to output; empty: by names such as `h_in` and `h_out`.
    """

    observation: str = ""
    action: str = ""
    state: dict[str, str] = {}


class JointsMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Joints of the foreign policy: its angle = sign · ours + offset.

    Attributes:
        order: its joints in its order, by the names of the hand's actuators; empty: as the hand's.
        signs: 1 or -1 for each joint in `order`.
        offsets: for each joint in `order` [rad].
        fixed: actuators that it does not move, and where they stay, in the hand's terms [rad].
    """

    order: list[str] = []
    signs: list[float] = []
    offsets: list[float] = []
    fixed: dict[str, float] = {}


class PartMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of the foreign observation: (source · frames)[select] · scale + offset, clipped.

    Attributes:
        name: of the part; no two have the same.
        source: what it is made of (`sources.py`); empty: as `name`.
        value: elements of the source `constant`.
        inverse: of a rotation to go, the rotation from goal to object.
        normalized: of joint angles: -1 at the lower end of the range, 1 at the upper.
        select: elements, by number from 0; empty: all.
        scale: factor.
        offset: added after that.
        clip: bound of the absolute value after that; 0: none.
        history: number of steps that are given together, this one included.
    """

    name: str
    source: str = ""
    value: list[float] = []
    inverse: bool = False
    normalized: bool = False
    select: list[Index] = []
    scale: Numbers = 1.0
    offset: Numbers = 0.0
    clip: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    history: Count = 1


class HistoryMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How observations of several steps are given.

    Attributes:
        steps: how many whole observations are given together, this one included.
        order: of the steps, also in a part with a history of its own.
        fill: what is given for the time before the start.
    """

    steps: Count = 1
    order: Order = "oldest_first"
    fill: Fill = "repeat"


class NormalizationMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """(observation - mean) / (deviation + epsilon), clipped; of what the network reads.

    Attributes:
        mean: (n,), or one number.
        deviation: (n,), or one number.
        epsilon: added to the deviation.
        clip: bound of the absolute value; 0: none.
    """

    mean: Numbers = 0.0
    deviation: Numbers = 1.0
    epsilon: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    clip: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class ActionMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an action means: the target of each joint, in the foreign policy's terms.

    Attributes:
        kind: `delta`: base + scale · action; `offset`: center + scale · action; `range`: -1 and 1
            are the ends of the joint's range.
        scale: [rad].
        base: of `delta`: the target that the policy asked for last, the one that was sent last, or
            the measured angle.
        center: of `offset`: the hand's `action_zero` (named `rest`), the middle of the ranges,
            zero, or angles [rad].
        select: elements of the output; empty: all.
        tanh: whether the output still has to pass tanh.
        clip: bound of the absolute value of an action; 0: none.
        smoothing: share of the new target in the one that is used, in (0, 1].
    """

    kind: Literal["delta", "offset", "range"]
    scale: Numbers = 1.0
    base: Literal["last_target", "sent_target", "joint_position"] = "last_target"
    center: Literal["rest", "middle", "zero"] | list[float] = "rest"
    select: list[Index] = []
    tanh: bool = False
    clip: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    smoothing: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


class FrameMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frames of the foreign policy, as quaternions wxyz.

    Attributes:
        world: its world frame from ours.
        object: our object frame from its.
    """

    world: Quaternion = (1.0, 0.0, 0.0, 0.0)
    object: Quaternion = (1.0, 0.0, 0.0, 0.0)


class PolicyMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole map.

    Attributes:
        hand: name or file of the hand.
        object: name or file of the object.
        rate: actions a second [Hz].
        observation: its parts, in order.
        action: what an action means.
        tick_rate: of the daemon that runs the policy [Hz].
        engine: physics engine of the training, for information.
        randomization_scale: of the training, for information.
    """

    hand: str
    object: str
    rate: float
    observation: list[PartMap]
    action: ActionMap
    network: NetworkMap = NetworkMap()
    joints: JointsMap = JointsMap()
    history: HistoryMap = HistoryMap()
    normalization: NormalizationMap = NormalizationMap()
    frame: FrameMap = FrameMap()
    tick_rate: Annotated[int, msgspec.Meta(ge=20, le=500)] = 100
    engine: str = "unknown"
    randomization_scale: float = 0.0


def load_map(path: Path) -> tuple[PolicyMap, str]:
    """Reads a policy map, and checks what can be checked without its hand and network.

    Returns:
        The map, and its text.

    Raises:
        PolicyError: it cannot be read, or something in it is wrong.
    """
    raw = POLICY_MAP.read(path)
    found = POLICY_MAP.convert(raw, path, PolicyMap)
    if problem := _problem(found):
        raise PolicyError(f"policy map {path}: {problem}")
    return found, raw.decode()


def _problem(found: PolicyMap) -> str:
    """What is wrong in a map; empty if nothing is."""
    if not all(map(np.isfinite, _numbers(msgspec.to_builtins(found)))):
        return "it has a number that is not finite"
    if not 0 < found.rate <= found.tick_rate:
        return (
            f"rate = {found.rate:g} Hz must be above 0 and at most tick_rate = {found.tick_rate} "
            "Hz; for a faster policy, set tick_rate here and in the daemon's configuration"
        )
    if not found.observation:
        return "observation is empty; add an [[observation]] for each part, in order"
    names = [part.name for part in found.observation]
    for name in names:
        if names.count(name) > 1:
            return (
                f"two parts of the observation have the name {name!r}; give each another name, "
                "and say with `source` what it is made of"
            )
    for which, quaternion in (("world", found.frame.world), ("object", found.frame.object)):
        length = float(np.linalg.norm(quaternion))
        if abs(length - 1.0) > _UNIT:
            return f"frame.{which} has length {length:.3g}; a rotation is a unit quaternion, wxyz"
    if np.any(np.array(found.normalization.deviation) + found.normalization.epsilon <= 0):
        return "normalization.deviation must be above 0; leave out elements that never vary"
    return ""


def _numbers(value: Any) -> Any:
    """All numbers in a structure."""
    if isinstance(value, dict):
        return chain.from_iterable(map(_numbers, value.values()))
    if isinstance(value, list | tuple):
        return chain.from_iterable(map(_numbers, value))
    return [value] if isinstance(value, int | float) else []
