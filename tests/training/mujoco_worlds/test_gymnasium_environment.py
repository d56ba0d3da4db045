"""The Gymnasium environment: Gymnasium's own checks, and equality with the batch."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from inhand.training.mujoco_worlds.gymnasium_environment import HandEnvironment


# Objects that tests before this one left may be collected now.
@pytest.mark.filterwarnings(
    "error", "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_gymnasium_accepts_it() -> None:
    check_env(HandEnvironment(), skip_render_check=True)


def test_an_episode_repeats_with_its_seed() -> None:
    stories = []
    for _ in range(2):
        world = HandEnvironment(universe_scale=1.0)
        first, _ = world.reset(seed=5)
        rng = np.random.default_rng(5)
        rows = [first]
        for _ in range(30):
            action = rng.uniform(-1, 1, 20).astype(np.float32)
            row, reward, dropped, timed_out, _ = world.step(action)
            rows.append(np.append(row, [reward, dropped, timed_out]))
        stories.append(np.concatenate(rows))
    np.testing.assert_array_equal(stories[0], stories[1])


def test_a_step_needs_a_reset() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        HandEnvironment().step(np.zeros(20, dtype=np.float32))
