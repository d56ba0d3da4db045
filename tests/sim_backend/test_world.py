"""The PyBullet world: its interface, its servos, and numerical stability."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pybullet
import pytest

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe, sample
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.sim_backend.pybullet_universe import varied_hand
from inhand.sim_backend.world import World

HAND = load_hand("dactyl24")
BLOCK = load_object("block")
ON = np.ones(HAND.n_actuators, dtype=np.bool_)
OFF = ~ON
SQUEEZE = 15.0
"""What a fingertip presses with at its torque limit [N]."""
SETTLING = 0.2
"""Time in which the physics frees an object that was put into the hand from its fingers [s]."""
TURNED = rotations.exp(np.array([0.3, -0.2, 0.5]))


@pytest.fixture
def world() -> Iterator[World]:
    world = World(HAND, BLOCK, Universe(), seed=1)
    yield world
    world.close()


def run(world: World, seconds: float, targets: Array = HAND.rest) -> None:
    for _ in range(round(seconds / world.timestep)):
        world.step(targets, ON)


def test_a_fresh_world_rests_with_the_object_in_hand(world: World) -> None:
    world.reset(TURNED)
    position, velocity, current = world.encoders()
    np.testing.assert_allclose(position, HAND.rest)
    assert not velocity.any() and not current.any()
    np.testing.assert_allclose(world.joint_angles(), HAND.joint_angles(HAND.rest))
    place, quaternion = world.object_pose()
    np.testing.assert_allclose(place, HAND.workspace.object_start, atol=1e-6)
    np.testing.assert_allclose(quaternion, TURNED, atol=1e-6)
    assert not world.dropped()


def test_one_step_is_two_milliseconds_and_time_never_runs_back(world: World) -> None:
    run(world, 0.1)
    assert world.time == pytest.approx(0.1)
    world.reset()
    assert world.time == pytest.approx(0.1)


def test_the_resting_hand_keeps_the_object(world: World) -> None:
    world.reset(TURNED)
    run(world, 2.0)
    assert not world.dropped()
    place, _ = world.object_pose()
    assert 0.02 < place[2] < 0.06


def test_the_servos_reach_their_targets_and_coupled_joints_follow(world: World) -> None:
    targets = HAND.rest.copy()
    targets[HAND.actuator_names.index("LFJ2")] = 1.2
    world.place_object()
    run(world, 1.5, targets)
    angles = world.joint_angles()
    for leading, following in HAND.couplings:
        assert angles[leading] == pytest.approx(angles[following], abs=1e-3)
    assert angles[HAND.joint_names.index("LFJ1")] == pytest.approx(1.2, abs=0.05)


def test_a_servo_without_torque_is_limp_and_draws_no_current(world: World) -> None:
    for _ in range(500):
        world.step(HAND.rest, OFF)
    _, _, current = world.encoders()
    assert not current.any()
    wrist = HAND.joint_names.index("WRJ1")
    assert world.joint_angles()[wrist] < HAND.links[wrist].range[0] + 0.05


def test_a_dropped_object_is_noticed_and_can_be_put_back(world: World) -> None:
    for _ in range(1500):
        world.step(HAND.rest, OFF)
        if world.dropped():
            break
    assert world.dropped()
    world.place_object(TURNED)
    assert not world.dropped()
    np.testing.assert_allclose(world.object_pose()[1], TURNED, atol=1e-6)


def test_the_same_seed_and_commands_give_the_same_world() -> None:
    universe = sample(HAND, np.random.default_rng(4), 1.0)
    ends = []
    for _ in range(2):
        world = World(HAND, BLOCK, universe, seed=5)
        rng = np.random.default_rng(6)
        for _ in range(20):
            run(world, 0.05, rng.uniform(HAND.lower, HAND.upper))
        ends.append(np.concatenate([world.joint_angles(), *world.object_pose()]))
        world.close()
    np.testing.assert_array_equal(ends[0], ends[1])


def test_worlds_are_independent(world: World) -> None:
    world.reset(TURNED)
    other = World(HAND, BLOCK, Universe(gravity=(0.0, 0.0, 0.0)), seed=2)
    run(other, 0.1, HAND.upper)
    np.testing.assert_allclose(world.joint_angles(), HAND.joint_angles(HAND.rest))
    other.close()
    run(world, 0.01)


def test_a_moved_centre_of_mass_leaves_the_pose_where_the_shape_is() -> None:
    world = World(HAND, BLOCK, Universe(center_of_mass=(0.005, -0.003, 0.002)), seed=1)
    world.reset(TURNED)
    position, quaternion = world.object_pose()
    np.testing.assert_allclose(position, HAND.workspace.object_start, atol=1e-6)
    np.testing.assert_allclose(quaternion, TURNED, atol=1e-6)
    box = np.array(pybullet.getAABB(world.object_body, physicsClientId=world.client))
    np.testing.assert_allclose(box.mean(axis=0), position, atol=1e-3)
    world.close()


def test_a_reset_starts_inside_the_limits_of_the_universe() -> None:
    offsets = np.zeros((HAND.n_joints, 2))
    metacarpal = HAND.joint_names.index("LFJ5")
    offsets[metacarpal, 0] = 0.5
    world = World(HAND, BLOCK, Universe(limit_offset=tuple(offsets.ravel().tolist())), seed=1)
    assert world.joint_angles()[metacarpal] == pytest.approx(0.5)
    world.close()


def test_an_unknown_servo_is_refused_by_name() -> None:
    first, *others = HAND.actuators
    servo = msgspec.structs.replace(first.servo, model="MX-28")
    hand = replace(HAND, actuators=(msgspec.structs.replace(first, servo=servo), *others))
    with pytest.raises(DescriptionError, match=r"servo 1 is of unknown model 'MX-28'.*XC330-M288"):
        World(hand, BLOCK, Universe(), seed=1)


@dataclass
class Extremes:
    """The worst of what was seen.

    Attributes:
        past_limit: how far a joint passed its limits [rad].
        apart: how far coupled joints parted [rad].
        speed: of a joint [rad/s].
        depth: of the object in a link [m].
        deep_for: longest time that the object was deeper than 1 mm, and than what a soft contact
            gives under `SQUEEZE` [s].
        finite: whether every number was one.
    """

    past_limit: float = 0.0
    apart: float = 0.0
    speed: float = 0.0
    depth: float = 0.0
    deep_for: float = 0.0
    finite: bool = True
    _deep_since: float | None = field(default=None, repr=False)

    def see(self, world: World, low: Array, high: Array, placed: float) -> None:
        """Looks at the world after a step; the object was put into the hand at `placed` [s]."""
        angles = world.joint_angles()
        self.past_limit = max(
            self.past_limit, float(np.max(np.maximum(low - angles, angles - high)))
        )
        self.apart = max(self.apart, *(abs(angles[a] - angles[b]) for a, b in HAND.couplings))
        self.speed = max(self.speed, float(np.abs(world.encoders()[1]).max()))
        position, _ = world.object_pose()
        self.finite &= bool(np.isfinite(angles).all() and np.isfinite(position).all())
        contacts = pybullet.getContactPoints(
            world.object_body, world.hand_body, physicsClientId=world.client
        )
        depth = -min((contact[8] for contact in contacts), default=0.0)
        self.depth = max(self.depth, depth)
        settling = world.time - placed < SETTLING
        if settling or depth <= 0.001 + SQUEEZE * world.universe.contact_softness:
            self._deep_since = None
            return
        self._deep_since = world.time if self._deep_since is None else self._deep_since
        self.deep_for = max(self.deep_for, world.time - self._deep_since + world.timestep)


def shake(name: str, universe: Universe, seconds: float) -> Extremes:
    """Commands every servo anywhere in its range, without any limiter, 20 times a second.

    The object is put back when it has dropped, and every 20 s so that it stays in play.
    """
    world = World(HAND, load_object(name), universe, seed=1)
    limits = np.array([link.range for link in varied_hand(HAND, universe).links]).T
    rng = np.random.default_rng(1)
    seen, placed = Extremes(), 0.0
    for step in range(round(seconds / world.timestep)):
        if step % 25 == 0:
            targets = rng.uniform(HAND.lower, HAND.upper)
        world.step(targets, ON)
        seen.see(world, limits[0], limits[1], placed)
        if world.dropped() or step % 10_000 == 9_999:
            world.reset()
            placed = world.time
    world.close()
    return seen


def check(seen: Extremes) -> None:
    """The bars of the issue, and that the couplings hold."""
    assert seen.finite, seen
    assert seen.speed < 40.0, seen
    assert seen.past_limit <= 0.02, seen
    assert seen.deep_for <= 0.05, seen
    assert seen.apart < 0.005, seen


DRAWN = sample(HAND, np.random.default_rng(7), 1.0)


@pytest.mark.parametrize("universe", [Universe(), DRAWN], ids=["nominal", "drawn"])
@pytest.mark.parametrize("name", ["block", "prism"])
def test_random_commands_do_not_upset_the_world(name: str, universe: Universe) -> None:
    check(shake(name, universe, 6.0))


@pytest.mark.slow
@pytest.mark.parametrize("universe", [Universe(), DRAWN], ids=["nominal", "drawn"])
def test_ten_minutes_of_random_commands_do_not_upset_the_world(universe: Universe) -> None:
    check(shake("block", universe, 600.0))
