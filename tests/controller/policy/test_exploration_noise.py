"""Correlated action noise for stalled goals."""

import numpy as np

from inhand.controller.policy.exploration_noise import PERSISTENCE, ExplorationNoise

STILL = np.zeros(20)


def disturbed(
    deviation: float, steps: int = 4000
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    noise = ExplorationNoise(20, 5.0, deviation)
    return np.array([noise.apply(STILL, 6.0) for _ in range(steps)])


def test_there_is_no_noise_before_the_time() -> None:
    action = np.linspace(-1, 1, 20)
    np.testing.assert_array_equal(ExplorationNoise(20, 5.0, 0.3).apply(action, 4.99), action)


def test_the_noise_has_its_deviation_and_correlation() -> None:
    noise = disturbed(0.2)[50:]
    assert abs(noise.std() / 0.2 - 1) < 0.02
    apart = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert abs(apart - PERSISTENCE) < 0.02


def test_actions_with_noise_stay_in_range() -> None:
    assert np.abs(disturbed(1.0)).max() == 1.0


def test_no_deviation_is_no_noise() -> None:
    assert not disturbed(0.0, 10).any()


def test_the_noise_is_repeatable() -> None:
    np.testing.assert_array_equal(disturbed(0.3, 20), disturbed(0.3, 20))
