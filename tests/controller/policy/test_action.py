"""What an action means: 0 is the hand's `action_zero`, -1 and 1 the ends of the range."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from inhand.controller.policy.action import ActionPath
from inhand.hardware.model.hand import Hand, load_hand

HAND = load_hand("dactyl24")


def with_zero(value: float | None) -> Hand:
    """The hand whose actuators all have this target for action 0 [rad]."""
    changed = [msgspec.structs.replace(one, action_zero=value) for one in HAND.actuators]
    return replace(HAND, actuators=tuple(changed))


@pytest.mark.parametrize("hand", [HAND, load_hand("leap"), with_zero(0.05), with_zero(None)])
def test_zero_and_the_ends_are_where_the_hand_says(hand: Hand) -> None:
    path, zero = ActionPath(hand), np.zeros(hand.n_actuators)
    np.testing.assert_allclose(path.target(zero), hand.action_zero)
    for end in (hand.lower, hand.upper):
        sign = np.where(end == hand.upper, 1.0, -1.0)
        np.testing.assert_allclose(path.target(sign), end)
        np.testing.assert_allclose(path.target(3.0 * sign), end)


def test_without_a_zero_of_its_own_action_0_is_the_rest_pose() -> None:
    hand = with_zero(None)
    np.testing.assert_array_equal(hand.action_zero, hand.rest)
    assert not np.array_equal(HAND.action_zero, HAND.rest)


@pytest.mark.parametrize("hand", [HAND, load_hand("leap"), with_zero(0.05)])
def test_each_target_in_the_range_has_its_action(hand: Hand) -> None:
    path, rng = ActionPath(hand), np.random.default_rng(1)
    targets = rng.uniform(hand.lower, hand.upper, (200, hand.n_actuators))
    np.testing.assert_allclose(path.target(path.action_for(targets)), targets, atol=1e-12)
    np.testing.assert_allclose(path.target(path.action_for(hand.rest)), hand.rest, atol=1e-12)


def test_a_zero_at_an_end_of_the_range_leaves_no_way_beyond() -> None:
    changed = [
        msgspec.structs.replace(one, action_zero=float(low))
        for one, low in zip(HAND.actuators, HAND.lower, strict=True)
    ]
    hand = replace(HAND, actuators=tuple(changed))
    path = ActionPath(hand)
    assert np.array_equal(path.action_for(hand.lower), np.zeros(hand.n_actuators))
    np.testing.assert_allclose(path.target(path.action_for(hand.rest)), hand.rest, atol=1e-12)
