"""Automatic ranges and tolerance of a run: set at its start, kept in its checkpoints."""

from typing import Any

from inhand.hardware.model.universe import Vary
from inhand.training.mujoco_worlds.automatic_ranges import (
    AutomaticRanges,
    Precision,
    RangesRecipe,
)
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds


def begin_curriculum(worlds: BatchOfWorlds, recipe: RangesRecipe, vary: Vary) -> None:
    """Gives the worlds automatic ranges, and a tolerance that shrinks if their rewards say so.

    Args:
        worlds: what is trained in.
        recipe: settings.
        vary: kind of axes that have ranges.
    """
    rewards = worlds.rewards
    worlds.ranges = AutomaticRanges(recipe, worlds.size, vary)
    worlds.settle_seconds = recipe.settle_seconds
    if rewards.finest < rewards.tolerance:
        worlds.precision = Precision(recipe, rewards.tolerance, rewards.finest, worlds.size)


def curriculum_state(worlds: BatchOfWorlds) -> dict[str, Any]:
    """Members of a checkpoint."""
    ranges, precision = worlds.ranges, worlds.precision
    return {
        "ranges": ranges.state() if ranges else None,
        "tolerance": precision.now if precision else None,
    }


def load_curriculum(worlds: BatchOfWorlds, state: dict[str, Any]) -> None:
    """Continues from the members of a checkpoint, if it has them."""
    if worlds.ranges and state.get("ranges"):
        worlds.ranges.load(state["ranges"])
    if worlds.precision and state.get("tolerance"):
        worlds.precision.now = state["tolerance"]


def curriculum_row(worlds: BatchOfWorlds) -> dict[str, float]:
    """Columns of a log."""
    ranges, precision = worlds.ranges, worlds.precision
    return {
        "universe_scale": ranges.mean_end if ranges else worlds.universe_scale,
        "entropy": ranges.entropy if ranges else 0.0,
        "tolerance": precision.now if precision else worlds.rewards.tolerance,
    }
