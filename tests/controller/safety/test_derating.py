"""Derating of servos that are loaded for long or hot."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inhand.controller.safety.derating import (
    HEATING_TIME,
    HOT,
    HOT_CASE,
    LEAST,
    WARM,
    WARM_CASE,
    Effort,
    allowance,
    warm,
    within_reach,
)
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import load_hand

HAND = load_hand("dactyl24")
N = HAND.n_actuators
PER_AMPERE = Units(HAND).torque_per_ampere
COLD = Effort.of(HAND, PER_AMPERE)
FULL = HAND.torque_limit / PER_AMPERE
"""Currents at the torque limits [A]."""
ANYTHING = arrays(np.float64, N, elements=st.floats(width=64))


def test_the_documented_numbers() -> None:
    numbers = HEATING_TIME, WARM, HOT, WARM_CASE, HOT_CASE, LEAST
    assert numbers == (20.0, 0.6, 1.0, 60.0, 70.0, 0.4)


def after(effort: Effort, current: np.ndarray, seconds: float) -> Effort:
    for _ in range(round(seconds / 0.01)):
        effort = warm(effort, current, 0.01)
    return effort


def test_full_torque_is_derated_after_a_while_and_recovers_at_rest() -> None:
    np.testing.assert_array_equal(allowance(COLD, None), 1.0)
    current = np.zeros(N)
    current[7] = -FULL[7]
    # 1 - exp(-t / time) passes WARM at this time.
    begins = -HEATING_TIME * np.log(1 - WARM)
    before = after(COLD, current, begins - 0.5)
    np.testing.assert_array_equal(allowance(before, None), 1.0)
    hot = after(before, current, 1.0)
    share = allowance(hot, None)
    assert share[7] < 1.0 and (np.delete(share, 7) == 1.0).all()
    np.testing.assert_allclose(hot.heat[7], 1 - np.exp(-(begins + 0.5) / HEATING_TIME), rtol=1e-3)
    baked = after(hot, current, 10 * HEATING_TIME)
    np.testing.assert_allclose(allowance(baked, None)[7], LEAST, atol=1e-3)
    np.testing.assert_array_equal(allowance(after(baked, np.zeros(N), 60.0), None), 1.0)


def test_lasting_moderate_torque_is_not_derated() -> None:
    steady = after(COLD, 0.7 * FULL, 10 * HEATING_TIME)
    np.testing.assert_allclose(steady.heat, 0.49, rtol=1e-3)
    np.testing.assert_array_equal(allowance(steady, None), 1.0)


def test_more_than_the_limit_heats_no_more_than_the_limit() -> None:
    np.testing.assert_array_equal(after(COLD, 3 * FULL, 1.0).heat, after(COLD, FULL, 1.0).heat)


def test_the_reported_temperature_derates_too() -> None:
    temperature = np.full(N, 25.0)
    temperature[0], temperature[1], temperature[2] = WARM_CASE, HOT_CASE, np.nan
    temperature[3] = (WARM_CASE + HOT_CASE) / 2
    share = allowance(COLD, temperature)
    np.testing.assert_allclose(share[:4], [1.0, LEAST, LEAST, (1 + LEAST) / 2])
    np.testing.assert_array_equal(share[4:], 1.0)


def test_only_the_hot_servo_is_derated() -> None:
    share = allowance(COLD, np.where(np.arange(N) == 4, HOT_CASE, 25.0))
    assert share[4] == LEAST and (np.delete(share, 4) == 1.0).all()


def test_a_current_that_is_no_number_heats_as_the_largest() -> None:
    unknown = warm(COLD, np.full(N, np.nan), 0.01)
    np.testing.assert_array_equal(unknown.heat, warm(COLD, FULL, 0.01).heat)


def test_a_full_share_changes_nothing() -> None:
    wanted = HAND.upper + 3.0
    np.testing.assert_array_equal(within_reach(COLD, np.ones(N), HAND.rest, wanted), wanted)


@given(ANYTHING, ANYTHING, st.floats(0, 1), st.floats(0.001, 0.03))
def test_shares_and_torques_are_bounded_for_any_input(
    current: np.ndarray, wanted: np.ndarray, start: float, dt: float
) -> None:
    effort = warm(Effort(np.full(N, start), COLD.reach, COLD.torque_per_limit), current, dt)
    assert ((effort.heat >= 0) & (effort.heat <= 1)).all()
    share = allowance(effort, current)
    assert ((share >= LEAST) & (share <= 1)).all()
    near = within_reach(COLD, np.full(N, 0.5), HAND.rest, np.nan_to_num(wanted))
    gain = np.array([actuator.gain for actuator in HAND.actuators])
    assert (np.abs(gain * (near - HAND.rest)) <= 0.5 * HAND.torque_limit + 1e-9).all()
