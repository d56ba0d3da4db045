"""The memory that the worlds of a recipe need, checked before they are made.

The numbers were measured with 64 and 512 worlds of the block in all stages.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inhand.training.learning.run_recipe import RunRecipe, TrainingError
from inhand.training.mujoco_worlds.memory import free_memory

PROCESS_BYTES = 390_000_000
"""Python with torch, MuJoCo and one world."""

WORLD_BYTES = 45_000
"""State of a world in MuJoCo, sensors, delays."""

SAMPLE_BYTES = 16_000
"""A policy step of a world in a rollout, with what a refinement computes to learn from it."""


def bytes_needed(recipe: RunRecipe, worlds: int) -> int:
    """Memory of a process with this many of the recipe's worlds [bytes]."""
    return PROCESS_BYTES + worlds * (WORLD_BYTES + recipe.settings.horizon * SAMPLE_BYTES)


def check_memory(recipe: RunRecipe) -> None:
    """Compares what a recipe needs in one process with what this machine has.

    Raises:
        TrainingError: it needs more.
    """
    worlds = recipe.settings.worlds
    needed, available = bytes_needed(recipe, worlds), free_memory()
    if needed > available:
        raise TrainingError(
            f"run {recipe.run}: {worlds} worlds need about {needed / 1e9:.1f} GB of memory, and "
            f"{available / 1e9:.1f} GB are free; set fewer worlds in the recipe"
        )


@contextmanager
def device_memory(recipe: RunRecipe) -> Iterator[None]:
    """Tells in one sentence that a GPU has too little memory for what the recipe needs.

    Raises:
        TrainingError: torch found too little memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"run {recipe.run}: the GPU has too little memory for {recipe.settings.worlds} worlds "
            f"with their rollouts ({str(error).partition('. ')[0]}); set fewer worlds in the "
            "recipe; the last checkpoint is intact"
        ) from error
