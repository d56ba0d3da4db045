"""Metadata of a policy file: the JSON object under the key `inhand`."""

from typing import Any, Literal

import msgspec

METADATA_KEY = "inhand"
SCHEMA = 1


class ObservationPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of the observation, in order."""

    name: str
    size: int
    unit: str


class ActionMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mapping from action to target.

    Attributes:
        kind: `around_rest`: 0 is the hand's `action_zero`, by default its rest pose, -1 and 1 the
            ends of the range.
        smoothing: share of the new target in the smoothed one.
        tick_rate: targets sent a second [Hz].
    """

    kind: Literal["around_rest"]
    smoothing: float
    tick_rate: int


class GoldenVector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A few steps from zero state, the state carried, that the runtime must reproduce.

    Attributes:
        observations: (steps, n).
        actions: (steps, n_actuators).
        tolerance: largest difference of an action.
    """

    observations: list[list[float]]
    actions: list[list[float]]
    tolerance: float = 1e-4


class PolicyMetadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything the runtime checks before the hand is enabled.

    Attributes:
        schema: version of this structure.
        policy_rate: actions a second [Hz].
        hand: name of the hand.
        hand_digest: of the hand that the policy was trained for.
        joints: names, in order.
        actuators: names, in order.
        object: name of the object.
        observation: its layout.
        action: the mapping from action to target.
        quaternion_order: of everything in the observation.
        engine: physics engine of the training.
        randomization_scale: scale of the universes in training.
        commit: of the training code.
        golden: steps that the runtime replays when it loads the file.
        hand_facts: facts about that hand (`inhand.hardware.model.hand_facts`); None in policies
            that were exported before there were any.
        world: names of what the output `world` estimates; it has all means, then the logarithms
            of all standard deviations. Empty: the policy has no such output.
    """

    schema: Literal[1]
    policy_rate: int
    hand: str
    hand_digest: str
    joints: tuple[str, ...]
    actuators: tuple[str, ...]
    object: str
    observation: tuple[ObservationPart, ...]
    action: ActionMapping
    quaternion_order: Literal["wxyz"]
    engine: str
    randomization_scale: float
    commit: str
    golden: GoldenVector
    hand_facts: dict[str, Any] | None = None
    world: tuple[str, ...] = ()
