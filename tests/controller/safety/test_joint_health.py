"""Implausible joint readings are found; plausible ones pass."""

import numpy as np
import pytest

from inhand.controller.safety.joint_health import FASTEST, STUCK_AFTER, JointHealth
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array, JointState, frozen_array

HAND = load_hand("dactyl24")
N = HAND.n_actuators
ONE = np.eye(N)[4]
NAME = HAND.actuator_names[4]


def reading(t: float, position: Array) -> JointState:
    return JointState(
        t, frozen_array(position), frozen_array(np.zeros(N)), frozen_array(np.zeros(N))
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (np.inf, "no number"),
        (-np.inf, "no number"),
        (9.0, "far outside"),
        (-9.0, "far outside"),
        (0.3, "impossibly fast"),
        (-0.3, "impossibly fast"),
    ],
)
def test_implausible_readings_are_named_and_not_stored(wrong: float, why: str) -> None:
    health = JointHealth(HAND)
    assert health.flaw(reading(100.0, HAND.rest)) == ""
    position = HAND.rest.copy()
    position[4] += wrong
    flaw = health.flaw(reading(100.01, position))
    assert NAME in flaw and why in flaw
    assert health.flaw(reading(100.02, HAND.rest + 0.05)) == ""


def test_a_joint_that_is_not_measured_keeps_its_last_value_and_its_age() -> None:
    health = JointHealth(HAND)
    silent = np.where(ONE, np.nan, HAND.rest)
    assert health.flaw(reading(0.99, silent)) == "" and health.joints is None
    assert health.flaw(reading(1.0, HAND.rest)) == ""
    for tick in range(1, 5):
        t = 1.0 + 0.01 * tick
        assert health.flaw(reading(t, silent + 0.01 * tick)) == ""
        joints = health.joints
        assert joints is not None and joints.t == t
        np.testing.assert_array_equal(
            joints.position, np.where(ONE, HAND.rest, HAND.rest + 0.01 * tick)
        )
        np.testing.assert_array_equal(health.measured_at, np.where(ONE, 1.0, t))
    assert health.overdue(1.04, 0.05) == ""
    assert health.overdue(1.04, 0.035) == f"{NAME} was last read 0.040 s ago"
    assert health.overdue(1.5, 0.035) == "the joints were last read 0.500 s ago"
    # It may have come further meanwhile than within one tick.
    assert health.flaw(reading(1.05, HAND.rest + 0.05 + 0.7 * ONE)) == ""
    assert health.overdue(1.05, 0.005) == ""


def test_a_joint_that_is_silent_is_not_stuck() -> None:
    health = JointHealth(HAND)
    health.flaw(reading(0.0, HAND.rest))
    for tick in range(1, 200):
        swing = 0.6 * np.sin(0.05 * tick)
        health.flaw(reading(0.01 * tick, np.where(ONE, np.nan, HAND.rest + swing)))
        assert health.stuck(HAND.rest + swing, 0.01 * tick) == ""


def test_a_wrong_reading_does_not_exclude_later_ones() -> None:
    health = JointHealth(HAND)
    health.flaw(reading(0.0, HAND.rest))
    # After a silence the hand may stand somewhere else.
    assert health.flaw(reading(0.5, HAND.rest + 0.4)) == ""
    assert health.flaw(reading(0.5, HAND.rest + 0.4 + 0.049)) == ""
    assert health.flaw(reading(0.4, HAND.rest + 0.4)) == "", "time never counts backwards"


def test_the_largest_plausible_speed_is_accepted() -> None:
    health = JointHealth(HAND)
    for tick in range(8):
        assert health.flaw(reading(0.01 * tick, HAND.rest + 0.01 * FASTEST * tick * ONE / 4)) == ""


def follow(health: JointHealth, seconds: float, follows: bool, speed: float = 1.5) -> str:
    """Targets swing; the joint follows, but for one whose encoder may be stuck."""
    for tick in range(round(seconds / 0.01)):
        t = 100 + 0.01 * tick
        swing = 0.5 * np.sin(speed * 0.01 * tick)
        target = HAND.rest + swing
        health.flaw(reading(t, HAND.rest + swing * (1 - ONE * (not follows))))
        if found := health.stuck(target, t):
            return f"{0.01 * tick:.2f} {found}"
    return ""


def test_a_stuck_encoder_is_found() -> None:
    found = follow(JointHealth(HAND), 5.0, follows=False)
    assert NAME in found
    assert STUCK_AFTER < float(found.split()[0]) < 2.5


def test_joints_that_follow_or_have_no_travel_are_not_stuck() -> None:
    assert follow(JointHealth(HAND), 5.0, follows=True) == ""
    health = JointHealth(HAND)
    for tick in range(500):
        # Pressed against something: the target is far away, but does not travel.
        health.flaw(reading(0.01 * tick, HAND.rest))
        assert health.stuck(HAND.rest + 0.9, 0.01 * tick) == ""


def test_without_torque_no_joint_is_stuck() -> None:
    health = JointHealth(HAND)
    for tick in range(300):
        health.flaw(reading(0.01 * tick, HAND.rest))
        target = HAND.rest + 0.6 * np.sin(0.05 * tick)
        assert health.stuck(target if tick % 40 else None, 0.01 * tick) == ""


@pytest.mark.parametrize("beyond", [-1.0, 1.0])
def test_how_far_outside_is_too_far(beyond: float) -> None:
    end = HAND.upper if beyond > 0 else HAND.lower
    for off, believed in ((0.4, True), (0.6, False)):
        position = HAND.rest.copy()
        position[4] = end[4] + beyond * off
        assert (JointHealth(HAND).flaw(reading(0.0, position)) == "") == believed


def test_when_an_encoder_counts_as_stuck() -> None:
    health = JointHealth(HAND)
    for tick in range(200):
        t = 100 + 0.01 * tick
        health.flaw(reading(t, HAND.rest))
        # Too little travel for ever, or enough of it at once.
        assert health.stuck(HAND.rest + 0.45 * ONE * (tick > 10), t) == ""
    health = JointHealth(HAND)
    for tick in range(60):
        t = 100 + 0.01 * tick
        health.flaw(reading(t, HAND.rest))
        found = health.stuck(HAND.rest + 0.55 * ONE * (tick > 10), t)
        assert bool(found) == (tick > 50)
