"""Draws of universes: nominal at strength 0, and with edges that worlds of the tests lie within."""

from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe, load_universe
from inhand.training.mujoco_worlds.draws import (
    AXES,
    NAMES,
    only,
    scaled_strengths,
    universe_of,
)

HAND = load_hand("dactyl24")
FILES = Path(__file__).parents[3] / "training" / "universes"


def drawn(n: int, seed: int = 1, scale: float = 1.0) -> list[Universe]:
    rng = np.random.default_rng(seed)
    return [universe_of(HAND, rng, row) for row in scaled_strengths(rng, n, scale)]


def at(**strengths: float) -> np.ndarray:
    row = np.zeros(len(AXES))
    for name, strength in strengths.items():
        row[NAMES.index(name)] = strength
    return row


def test_strength_zero_is_nominal() -> None:
    universe = universe_of(HAND, np.random.default_rng(1), np.zeros(len(AXES)))
    nominal = Universe()
    for name in Universe.__struct_fields__:
        value, wanted = getattr(universe, name), getattr(nominal, name)
        if wanted == ():
            factor = name in ("link_mass", "joint_damping", "actuator_gain", "torque_limit")
            assert set(value) == {1.0 if factor or name == "shape_radius" else 0.0}, name
        else:
            assert value == wanted, name


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("weak-servos", "actuator_gain"),
        ("weak-servos", "torque_limit"),
        ("backlash", "backlash"),
        ("delayed", "action_delay"),
        ("worn", "compliance"),
        ("worn", "joint_friction"),
    ],
)
def test_hands_whose_servos_are_all_off_are_within_the_draws(file: str, field: str) -> None:
    """The mean over all servos matters; drawn one by one, it would never leave the middle."""
    wanted = load_universe(FILES / f"{file}.toml", HAND)
    nominal = 1.0 if field in ("actuator_gain", "torque_limit") else 0.0
    end = float(np.mean(getattr(wanted, field))) - nominal

    def mean(universe: Universe) -> float:
        late = universe.action_latency if field == "action_delay" else 0.0
        return float(np.mean(getattr(universe, field))) + late - nominal

    means = np.array([mean(universe) for universe in drawn(1000)])
    assert np.mean(means / end > 0.5) > 0.05
    assert np.mean(means / end > 0.75) > 0.01


def test_one_strength_is_common_to_all_servos_and_each_has_its_own_part() -> None:
    rng = np.random.default_rng(3)
    gains = np.log([universe_of(HAND, rng, at(actuator_gain=0.8)).actuator_gain for _ in range(50)])
    assert gains.mean() == pytest.approx(0.8 * np.log(1.5), rel=0.05)
    spread = np.log(1.5) / 3
    assert gains.min() >= 0.8 * np.log(1.5) - spread - 1e-9
    assert gains.std(axis=1).mean() == pytest.approx(spread / np.sqrt(3), rel=0.1)
    assert gains.mean(axis=1).std() < 0.1


def test_the_far_ends_of_latency_size_and_mass() -> None:
    rng = np.random.default_rng(4)
    far = universe_of(HAND, rng, at(action_latency=1.0, pose_latency=1.0, pose_interval=1.0))
    late = far.action_latency + np.array(far.action_delay)
    assert late.min() >= 0.07 and late.max() <= 0.09
    assert (far.pose_latency, far.pose_interval) == (0.13, 0.3)
    big, small = (universe_of(HAND, rng, at(object_size=s, object_mass=s)) for s in (1.0, -1.0))
    assert (big.object_size, big.object_mass) == pytest.approx((1.15, 1.6))
    assert (small.object_size, small.object_mass) == pytest.approx((1 / 1.15, 0.4))


def test_every_batch_has_nearly_nominal_worlds_and_worlds_with_much_off() -> None:
    size = np.abs(scaled_strengths(np.random.default_rng(5), 1000, 1.0)).mean(axis=1)
    assert np.quantile(size, 0.05) < 0.05 and np.quantile(size, 0.95) > 0.4
    assert not scaled_strengths(np.random.default_rng(5), 10, 0.0).any()


def test_strengths_do_not_change_which_numbers_are_taken() -> None:
    one, other = np.random.default_rng(6), np.random.default_rng(6)
    universe_of(HAND, one, at(gravity=1.0))
    universe_of(HAND, other, np.ones(len(AXES)))
    assert one.random() == other.random()


def test_draws_of_one_kind_leave_the_other_nominal() -> None:
    universe, nominal = drawn(1)[0], Universe()
    assert only("sensing", universe).pose_latency == universe.pose_latency
    assert only("sensing", universe).friction == nominal.friction
    assert only("physics", universe).friction == universe.friction
    assert only("physics", universe).pose_latency == nominal.pose_latency
