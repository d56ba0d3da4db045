"""Joints that push and do not get nearer to their targets."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.joint_watch import patience_of
from inhand.controller.safety.following import Following, Patience
from inhand.hardware.model.hand import load_hand

REACH = np.array([0.5, 1.0])
PATIENCE = Patience(warn=1.0, back_off=2.0, fault=np.array([5.0, 5.0]), share=0.5)
NAMES = ("one", "other")
STILL = np.zeros(2)


def pushed(following: Following, errors: list[float], seconds: float, at: float = 0.0) -> None:
    """Ticks with these errors of the joints [rad]."""
    position = np.full(2, at)
    for _ in range(round(seconds / 0.01)):
        following.take(position + errors, position, STILL, 0.01)


def test_a_blocked_joint_is_reported_then_backed_off_then_a_fault() -> None:
    following = Following(REACH, PATIENCE)
    pushed(following, [0.5, 0.5], 0.9)
    assert not following.changed() and (following.share == 1.0).all()
    pushed(following, [0.5, 0.5], 0.2)
    assert following.changed() and following.reported.tolist() == [True, False]
    assert not following.changed()
    pushed(following, [0.5, 0.5], 1.0)
    assert following.share.tolist() == [0.5, 1.0]
    # Its target is nearer to its position now: that is what it may use.
    pushed(following, [0.25, 0.5], 2.8)
    assert following.fault(NAMES) == ""
    pushed(following, [0.25, 0.5], 0.3)
    assert following.fault(NAMES).startswith("one has been blocked for 5 s")


def test_it_is_over_when_the_target_comes_near() -> None:
    following = Following(REACH, PATIENCE)
    pushed(following, [0.5, 0.0], 2.5)
    assert following.changed()
    pushed(following, [0.1, 0.0], 0.01)
    assert following.changed() and not following.reported.any()
    assert (following.share == 1.0).all() and following.fault(NAMES) == ""


def test_a_joint_that_gets_nearer_is_not_blocked() -> None:
    following = Following(REACH, PATIENCE)
    for tick in range(1000):
        position = np.array([0.002 * tick, 0.0])
        following.take(position + [0.6, 0.0], position, STILL, 0.01)
        assert not following.changed()


def test_a_joint_that_is_pushed_away_from_its_target_is_blocked() -> None:
    following = Following(REACH, PATIENCE)
    for tick in range(150):
        position = np.array([-0.002 * tick, 0.0])
        following.take(position + [0.6, 0.0], position, STILL, 0.01)
    assert following.changed()


def test_a_measured_torque_counts_as_much_as_the_error() -> None:
    following = Following(REACH, PATIENCE)
    for _ in range(150):
        following.take(STILL, STILL, np.array([np.nan, 0.95]), 0.01)
    assert following.changed() and following.reported.tolist() == [False, True]


@pytest.mark.parametrize("pause", ["no targets", "a short one"])
def test_short_pushes_do_not_add_up(pause: str) -> None:
    following = Following(REACH, PATIENCE)
    for _ in range(10):
        pushed(following, [0.5, 0.0], 0.8)
        if pause == "no targets":
            following.take(None, STILL, STILL, 0.01)
        else:
            pushed(following, [0.2, 0.0], 0.02)
        assert not following.changed()


def test_a_servo_that_bears_the_reduced_torque_is_backed_off_and_no_fault() -> None:
    following = Following(REACH, replace(PATIENCE, fault=np.array([np.inf, 5.0])))
    pushed(following, [0.5, 1.0], 2.1)
    assert following.share.tolist() == [0.5, 0.5]
    pushed(following, [0.25, 0.5], 2.0)
    assert following.fault(NAMES) == "" and not following.overdue.any()
    pushed(following, [0.25, 0.5], 2.0)
    # The first has been blocked for as long.
    assert following.fault(NAMES).startswith("other has been blocked for 6 s")
    pushed(following, [0.25, 0.0], 60.0)
    assert following.fault(NAMES) == "" and following.share.tolist() == [0.5, 1.0]
    assert following.reported.tolist() != [True, True] and following.changed()


@pytest.mark.parametrize(("continuous", "lasts"), [(0.0, False), (0.4, False), (0.5, True)])
def test_the_reduced_torque_is_compared_with_what_the_servo_bears(
    continuous: float, lasts: bool
) -> None:
    hand = load_hand("dactyl24")
    first, *others = hand.actuators
    torque = continuous * first.torque_limit
    hand = replace(hand, actuators=(structs.replace(first, continuous_torque=torque), *others))
    fault = patience_of(hand, SafetySettings()).fault
    assert np.isinf(fault).tolist() == [lasts] + [False] * len(others)
