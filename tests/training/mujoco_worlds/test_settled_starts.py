"""Episodes that begin with an object that has lain in the resting hand."""

import msgspec
import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.learners import make_learner, make_worlds
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.run_recipe import RunRecipe
from inhand.training.mujoco_worlds.automatic_ranges import AutomaticRanges, RangesRecipe
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.settled_starts import collect_starts
from inhand.training.mujoco_worlds.start_states import StartStates

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
SIZE = 24
EVERY = np.arange(SIZE)


def varied() -> BatchEnvironment:
    worlds = BatchEnvironment(HAND, BLOCK, SIZE, seed=3)
    worlds.ranges = AutomaticRanges(RangesRecipe(start=1.0), SIZE)
    return worlds


def test_a_share_of_the_episodes_begins_with_the_object_on_the_hand() -> None:
    worlds = varied()
    worlds.starts = collect_starts(worlds, 0.5)
    height = HAND.workspace.object_start[2]
    settled = []
    for _ in range(10):
        worlds.reset(EVERY)
        above = worlds.object_position[:, 2] == height
        settled.append(~above)
        np.testing.assert_allclose(worlds.velocities[above], 0.0)
    assert np.mean(settled) == pytest.approx(0.5, abs=0.12)
    rest = np.tile(HAND.rest, (SIZE, 1))
    np.testing.assert_allclose(worlds.sent_target, rest)
    np.testing.assert_allclose(worlds.positions[:, list(HAND.driven_joint)], rest, atol=0.25)


def test_the_hand_that_rests_keeps_a_settled_object_where_it_is() -> None:
    """It fits into the universe of the episode: nothing is pushed out of anything."""
    worlds = varied()
    worlds.starts = collect_starts(worlds, 1.0)
    worlds.reset(EVERY)
    before = worlds.object_position.copy()
    step = worlds.step(np.tile(worlds.path.action_for(HAND.rest), (SIZE, 1)))
    moved = np.linalg.norm(worlds.object_position - before, axis=-1)
    assert np.median(moved) < 0.004
    assert moved[~step.dropped].max() < 0.04


def test_a_start_has_nearly_the_size_of_the_object() -> None:
    rng = np.random.default_rng(4)
    sizes = rng.uniform(0.85, 1.15, 400)
    rows = sizes[:, None] * np.ones(3)
    starts = StartStates(1.0, sizes, rows, -rows)
    wanted = np.linspace(0.8, 1.2, 50)
    positions, velocities = np.zeros((60, 3)), np.zeros((60, 3))
    starts.place(np.arange(50), wanted, positions, velocities, rng)
    nearest = np.clip(wanted, sizes.min(), sizes.max())
    np.testing.assert_allclose(positions[:50, 0], nearest, atol=0.03)
    np.testing.assert_allclose(velocities, -positions)
    assert not positions[50:].any()


def test_few_starts_are_enough() -> None:
    starts = StartStates(1.0, np.ones(2), np.full((2, 3), 7.0), np.zeros((2, 3)))
    positions, velocities = np.zeros((5, 3)), np.ones((5, 3))
    starts.place(np.arange(5), np.full(5, 1.1), positions, velocities, np.random.default_rng(1))
    assert (positions == 7.0).all() and not velocities.any()


def test_a_recipe_asks_for_settled_starts() -> None:
    recipe = RunRecipe(stage="student", run="x", iterations=1, from_run="y", settled=1.0)
    recipe = msgspec.structs.replace(
        recipe, student=msgspec.structs.replace(recipe.student, worlds=8)
    )
    worlds = make_worlds(recipe, HAND, BLOCK, 1)
    teacher = Network(teacher_inputs(worlds, "cpu").shape[1], HAND.n_actuators, 0.3)
    learner = make_learner(recipe, worlds, (teacher,), "cpu")
    assert worlds.starts is not None
    assert (learner.worlds.object_position[:, 2] < HAND.workspace.object_start[2] - 1e-3).all()


def test_a_teacher_cannot_have_them() -> None:
    with pytest.raises(ValueError, match="settled has no effect"):
        RunRecipe(stage="teacher", run="x", iterations=1, settled=0.5)
