"""What is changed at one instant of a trial: the policy's memory, or the world itself."""

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from inhand.controller.policy.runtime import Memory, Policy
from inhand.hardware.model.universe import SENSING, Universe
from inhand.training.mujoco_worlds.environment import BatchEnvironment

ARMS = {
    "nothing": "nothing is changed",
    "zeroed": "the memory is set to zero",
    "swapped": "the memory is exchanged between worlds",
    "physics": "the physics are exchanged between worlds",
    "servo": "one servo loses its torque",
}
"""What is done at the instant, and its words."""

TORQUE_LEFT = 0.01
"""Share of its torque limit that a failed servo keeps; MuJoCo needs one above zero."""

KEPT = frozenset({*SENSING, "object_size"})
"""Fields of a universe that stay: an object that grows would be inside the fingers."""


def change_memories(
    policy: Policy, memories: list[Memory], alive: NDArray[np.bool_], arm: str
) -> None:
    """Changes the memories of the worlds whose trial goes on, in place."""
    going = np.flatnonzero(alive)
    if arm == "zeroed":
        policy.reset()
        for i in going:
            memories[i] = policy.memory
    if arm == "swapped":
        before = [memories[i] for i in going]
        for i, other in zip(going, [*before[1:], *before[:1]], strict=True):
            memories[i] = other


def change_worlds(worlds: BatchEnvironment, alive: NDArray[np.bool_], arm: str, seed: int) -> None:
    """Changes the physics of the worlds whose trial goes on; poses and speeds stay.

    Args:
        worlds: the worlds.
        alive: whether their trial goes on, (n,).
        arm: of `ARMS`.
        seed: of the choice of servos.
    """
    going = np.flatnonzero(alive)
    before = [worlds.universes[i] for i in going]
    if arm == "physics":
        others = [*before[1:], *before[:1]]
        new = [with_physics(*pair) for pair in zip(before, others, strict=True)]
        worlds.variation.assign(going, new)
    if arm == "servo":
        n = worlds.hand.n_actuators
        servos = np.random.default_rng(seed).integers(n, size=len(going))
        new = [weakened(*pair, n) for pair in zip(before, servos.tolist(), strict=True)]
        worlds.variation.assign(going, new)


def with_physics(universe: Universe, other: Universe) -> Universe:
    """A universe with the physics of another one, and its own sensing and size."""
    fields = (name for name in Universe.__struct_fields__ if name not in KEPT)
    return replace(universe, **{name: getattr(other, name) for name in fields})


def weakened(universe: Universe, servo: int, n_actuators: int) -> Universe:
    """A universe in which one servo has hardly any torque."""
    limits = list(universe.torque_limit or (1.0,) * n_actuators)
    limits[servo] = TORQUE_LEFT
    return replace(universe, torque_limit=tuple(limits))
