"""Automatic ranges: ends move by the rule, worlds at an end decide, checkpoints carry both."""

import msgspec
import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.adversary import Adversary
from inhand.training.mujoco_worlds.automatic_ranges import (
    AutomaticRanges,
    Boundary,
    Precision,
    RangesRecipe,
)
from inhand.training.mujoco_worlds.draws import AXES, DELAYS, NAMES, NOMINAL_EVERY
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.rewards import Rewards

HAND = load_hand("dactyl24")
RECIPE = RangesRecipe(start=0.3, step=0.1, episodes=4, narrow_at=2.0, widen_at=6.0)
FRICTION, BACKLASH = NAMES.index("friction"), NAMES.index("backlash")


def play(ranges: AutomaticRanges, goals_at: dict[tuple[int, float], float], rounds: int) -> None:
    """Episodes in all worlds, whose goals depend on the axis that is at its end."""
    rng, ids = np.random.default_rng(1), np.arange(200)
    for _ in range(rounds):
        strengths = ranges.draw(ids, rng)
        goals = np.full(len(ids), 4.0)
        for (axis, sign), count in goals_at.items():
            goals[strengths[:, axis] == (ranges.high if sign > 0 else ranges.low)[axis]] = count
        ranges.record(ids, goals)


@pytest.mark.parametrize(
    ("goals", "decision"), [([9, 9, 9, 9], 1), ([0, 0, 0, 9], 0), ([0, 0, 0, 1], -1), ([9, 9], 0)]
)
def test_a_boundary_decides_when_it_is_full(goals: list[float], decision: int) -> None:
    boundary = Boundary(RECIPE)
    assert [boundary.record(count) for count in goals][-1] == decision
    assert len(boundary.goals) == len(goals) % 4


def test_an_end_widens_where_goals_are_many_and_narrows_where_they_are_few() -> None:
    ranges = AutomaticRanges(RECIPE, 200, "physics")
    play(ranges, {(FRICTION, 1.0): 9.0, (FRICTION, -1.0): 0.0, (BACKLASH, 1.0): 9.0}, 12)
    assert ranges.high[FRICTION] > 0.45
    assert ranges.low[FRICTION] > -0.15
    assert ranges.high[BACKLASH] > 0.45 and ranges.low[BACKLASH] == 0.0
    others = [i for i in range(len(AXES)) if i not in (FRICTION, BACKLASH)]
    physics = [i for i in others if not list(AXES.values())[i].sensing]
    np.testing.assert_allclose(ranges.high[physics], 0.3)
    sensing = [i for i in others if list(AXES.values())[i].sensing]
    assert not ranges.high[sensing].any()


def test_ends_stay_between_nominal_and_the_farthest() -> None:
    ranges = AutomaticRanges(RECIPE, 200)
    size = NAMES.index("object_size")
    play(ranges, {(size, 1.0): 9.0, (FRICTION, -1.0): 0.0}, 120)
    assert ranges.high[size] == list(AXES.values())[size].farthest
    assert ranges.low[FRICTION] == 0.0


def test_a_share_of_the_worlds_is_at_an_end_and_the_others_are_within() -> None:
    ranges, ids = AutomaticRanges(RECIPE, 4000), np.arange(4000)
    strengths = ranges.draw(ids, np.random.default_rng(2))
    at_end = (strengths == ranges.high) | (strengths == ranges.low)
    at_end[:, ranges.low == 0.0] = (strengths == ranges.high)[:, ranges.low == 0.0]
    assert at_end.sum(axis=1).max() == 1
    assert at_end.any(axis=1).mean() == pytest.approx(0.4 * 7 / 8, abs=0.03)
    np.testing.assert_array_equal(at_end.any(axis=1), ranges.tried(ids))
    assert (strengths <= ranges.high).all() and (strengths >= ranges.low).all()


def test_late_worlds_have_all_delays_at_one_share_of_their_ranges() -> None:
    ranges, ids = AutomaticRanges(msgspec.structs.replace(RECIPE, late=0.5), 4000), np.arange(4000)
    ranges.high[DELAYS] = np.linspace(0.4, 1.4, len(DELAYS))
    strengths = ranges.draw(ids, np.random.default_rng(2))
    shares = strengths[:, DELAYS] / ranges.high[DELAYS]
    late = np.ptp(shares, axis=1) < 1e-9
    free = (ids % NOMINAL_EVERY != 0) & ~ranges.tried(ids)
    assert not late[~free].any()
    assert late[free].mean() == pytest.approx(0.5, abs=0.03)
    assert shares[late].min() < 0.01 and shares[late].max() > 0.99
    others = np.delete(strengths, DELAYS, axis=1)[late]
    assert (others.std(axis=0) > 0.05).all()


def test_only_physical_delays_are_late_where_sensing_does_not_vary() -> None:
    ranges = AutomaticRanges(msgspec.structs.replace(RECIPE, late=1.0), 100, "physics")
    strengths = ranges.draw(np.arange(100), np.random.default_rng(2))
    sensing = [axis.sensing for axis in AXES.values()]
    assert not strengths[:, sensing].any()


def test_entropy_grows_with_the_ranges() -> None:
    ranges = AutomaticRanges(RECIPE, 10, "physics")
    before = ranges.entropy
    ranges.high[FRICTION] += 0.5
    assert ranges.entropy > before
    wider = AutomaticRanges(msgspec.structs.replace(RECIPE, start=0.6), 10, "physics")
    assert wider.entropy - before == pytest.approx(np.log(2.0))


def test_ends_and_collected_goals_go_on_from_a_checkpoint() -> None:
    ranges = AutomaticRanges(RECIPE, 200, "physics")
    play(ranges, {(FRICTION, 1.0): 9.0}, 3)
    again = AutomaticRanges(RECIPE, 200, "physics")
    again.load(msgspec.json.decode(msgspec.json.encode(ranges.state())))
    np.testing.assert_array_equal(again.high, ranges.high)
    assert again.state() == ranges.state()
    old = ranges.state()
    del old["ends"]["friction"], old["collected"]["friction 1"]
    fresh = AutomaticRanges(RECIPE, 200, "physics")
    fresh.load(old)
    assert fresh.high[FRICTION] == 0.3


def test_the_tolerance_shrinks_with_success_to_its_end_and_grows_without() -> None:
    precision, ids = Precision(RECIPE, 0.4, 0.1, 50), np.arange(50)
    rng, nowhere = np.random.default_rng(3), np.zeros(50, dtype=bool)
    seen = [precision.now]
    for _ in range(12):
        drawn = precision.draw(ids, nowhere, rng)
        assert (drawn >= precision.now - 1e-12).all() and (drawn <= 0.4 + 1e-12).all()
        precision.record(ids, np.where(drawn == precision.now, 9.0, 0.0))
        seen.append(precision.now)
    assert seen[-1] == 0.1
    assert seen[1] <= 0.4 * 0.9
    for _ in range(3):
        precision.draw(ids, nowhere, rng)
        precision.record(ids, np.zeros(50))
    assert precision.now > 0.1
    assert (precision.draw(ids, ~nowhere, rng) == 0.4).all()


def test_a_goal_is_reached_once_it_was_held_within_its_tolerance() -> None:
    rewards = Rewards(hold_steps=3, held=0.1)
    worlds = BatchEnvironment(HAND, load_object("block"), 2, threads=1, seed=1, rewards=rewards)
    worlds.tolerance[:] = 0.4, 1e-4
    reached = []
    for _ in range(4):
        worlds.goal[:] = worlds.object_quaternion
        reached.append(worlds.step(np.zeros((2, HAND.n_actuators))).reached.tolist())
    assert [one for one, _ in reached] == [False, False, True, False]
    assert not any(other for _, other in reached), "a block that falls turns by more than 1e-4 rad"


def test_changes_of_the_action_and_actions_beyond_their_bounds_cost() -> None:
    block = load_object("block")

    def cost(rewards: Rewards, *actions: float) -> float:
        worlds = BatchEnvironment(HAND, block, 1, threads=1, seed=1, rewards=rewards)
        rows = [np.full((1, HAND.n_actuators), action) for action in actions]
        return float(sum(worlds.step(row).reward[0] for row in rows))

    plain, change, excess = Rewards(), Rewards(change=-0.01), Rewards(excess=-0.01)
    assert cost(change, 0.0, 0.0) == cost(plain, 0.0, 0.0)
    assert cost(change, 0.5, 0.5) - cost(plain, 0.5, 0.5) == pytest.approx(-0.01 * 20 * 0.25)
    assert cost(excess, 1.5) - cost(plain, 1.5) == pytest.approx(-0.01 * 20 * 0.25)
    assert cost(excess, 1.0) == cost(plain, 1.0)


def test_worlds_are_counted_at_their_ends_in_the_environment() -> None:
    worlds = BatchEnvironment(HAND, load_object("block"), 64, threads=1, seed=2)
    worlds.ranges = AutomaticRanges(RECIPE, 64, "physics")
    ids = np.arange(64)
    for _ in range(20):
        worlds.reset(ids)
        worlds.goals_reached[:] = 9
        worlds.count(ids)
    assert worlds.ranges.mean_end > 0.35
    reached = worlds.ranges.state()
    worlds.settle_seconds = 1.0
    worlds.goals_reached[:] = 9
    worlds.count(ids)
    assert worlds.ranges.state() == reached, "an episode counted right after the start"
    nominal = ids % 8 == 0
    assert not worlds.variation.strengths[nominal].any()
    assert worlds.variation.strengths[~nominal].any(axis=1).all()


def test_nominal_worlds_do_not_decide() -> None:
    worlds = BatchEnvironment(HAND, load_object("block"), 9, threads=1, seed=2)
    worlds.ranges = AutomaticRanges(msgspec.structs.replace(RECIPE, boundary=1.0), 9, "physics")
    worlds.reset(np.arange(9))
    assert worlds.ranges.tried(np.arange(9)).tolist() == [False, *[True] * 7, False]


def test_the_adversary_takes_its_share_and_differs_between_worlds() -> None:
    adversary = Adversary(HAND, 6, seed=1)
    actions, state = np.full((6, HAND.n_actuators), 0.5), np.ones((6, 31))
    assert adversary.disturb(actions, np.zeros(6), state) is actions
    share = np.array([0.0, 0.1, 0.1, 0.1, 0.1, 0.1])
    off = adversary.disturb(actions, share, state) - actions
    assert not off[0].any()
    assert (np.abs(off[1:]) <= 0.15 + 1e-12).all() and np.abs(off[1:]).mean() > 0.02
    assert np.abs(off[1] - off[2]).max() > 0.01
