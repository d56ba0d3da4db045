"""The world in Drake: stable, repeatable, and with clear errors for unsupported universes."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest
from msgspec.structs import replace as changed

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import DrakeSettings, Universe, UniverseError, sample
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription, load_object

pytest.importorskip("pydrake", reason="needs the extra drake")

from pydrake.geometry import Capsule, Sphere  # noqa: E402

from inhand.sim_backend.drake.surfaces import (  # noqa: E402
    frictions,
    link_shape,
    object_shape,
    rubber,
)
from inhand.sim_backend.drake.world import DrakeWorld  # noqa: E402
from tests.hands import level  # noqa: E402

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
ON = np.ones(HAND.n_actuators, dtype=np.bool_)
DRAWN = changed(sample(HAND, np.random.default_rng(7), 1.0), torsional_friction=0.0)
TIP_RADIUS = 0.00705


def shake(world: DrakeWorld, seconds: float, seed: int = 1) -> list[Array]:
    """Commands every servo anywhere in its range, 20 times a second; the joints' angles."""
    rng, path = np.random.default_rng(seed), []
    for step in range(round(seconds / world.timestep)):
        if step % 20 == 0:
            targets = rng.uniform(HAND.lower, HAND.upper)
        world.step(targets, ON)
        path.append(np.concatenate([world.joint_angles(), *world.object_pose()]))
    return path


def test_a_world_repeats_to_the_bit() -> None:
    one, other = (shake(DrakeWorld(HAND, BLOCK, DRAWN, seed=3), 0.3) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, shake(DrakeWorld(HAND, BLOCK, DRAWN, seed=4), 0.3))


def test_a_world_that_was_reset_is_a_fresh_one() -> None:
    worn = DrakeWorld(HAND, BLOCK, Universe(), seed=3)
    shake(worn, 0.2)
    worn.reset(rotations.IDENTITY)
    fresh = DrakeWorld(HAND, BLOCK, Universe(), seed=3)
    fresh.reset(rotations.IDENTITY)
    np.testing.assert_array_equal(shake(worn, 0.2), shake(fresh, 0.2))


def test_a_fresh_world_rests_with_the_object_in_hand() -> None:
    world = DrakeWorld(HAND, BLOCK, Universe(), seed=3)
    turned = rotations.exp(np.array([0.3, -0.2, 0.5]))
    world.reset(turned)
    position, quaternion = world.object_pose()
    np.testing.assert_allclose(position, HAND.workspace.object_start)
    np.testing.assert_allclose(quaternion, turned)
    for _ in range(round(1.0 / world.timestep)):
        world.step(HAND.rest, ON)
    assert not world.dropped()
    assert world.time == pytest.approx(1.0)


def check(universe: Universe, seconds: float, object_name: str = "block") -> None:
    """Random commands neither upset the world nor part coupled joints."""
    world = DrakeWorld(HAND, load_object(object_name), universe, seed=1)
    low, high = np.array([link.range for link in world._varied.links]).T
    rng = np.random.default_rng(1)
    for step in range(round(seconds / world.timestep)):
        if step % 20 == 0:
            targets = rng.uniform(HAND.lower, HAND.upper)
        world.step(targets, ON)
        angles = world.joint_angles()
        assert np.isfinite(angles).all() and np.isfinite(world.object_pose()[0]).all()
        assert np.max(np.maximum(low - angles, angles - high)) < 0.02
        assert np.abs(world.encoders()[1]).max() < 40.0
        assert max(abs(angles[a] - angles[b]) for a, b in HAND.couplings) < 0.005
        if world.dropped() or step % 8_000 == 7_999:
            world.reset()


@pytest.mark.parametrize(
    "universe",
    [
        Universe(),
        DRAWN,
        Universe(drake=DrakeSettings(fingertips="ellipsoid", solver="sap")),
        Universe(drake=DrakeSettings(fingertips="sphere")),
    ],
    ids=["nominal", "drawn", "ellipsoids in sap", "spheres"],
)
def test_random_commands_do_not_upset_the_world(universe: Universe) -> None:
    check(universe, 1.0)


def test_random_commands_with_the_prism_do_not_upset_the_world() -> None:
    check(Universe(), 1.0, "prism")


@pytest.mark.slow
@pytest.mark.parametrize("universe", [Universe(), DRAWN], ids=["nominal", "drawn"])
def test_ten_minutes_of_random_commands_do_not_upset_the_world(universe: Universe) -> None:
    check(universe, 600.0)


@pytest.mark.parametrize("edge", [0.0, 0.002])
@pytest.mark.parametrize("step", [0.0005, 0.001, 0.0025])
def test_a_block_at_rest_on_the_palm_gains_no_energy(edge: float, step: float) -> None:
    """Boxes on boxes gained energy in Drake at short steps (drake#18241)."""
    settings = DrakeSettings(timestep=step, edge_radius=edge)
    start = changed(HAND.workspace, object_start=(-0.02, 0.285, 0.0391))
    world = DrakeWorld(replace(level(), workspace=start), BLOCK, Universe(drake=settings), seed=1)
    world.reset(rotations.IDENTITY)
    flat, speeds = np.zeros(HAND.n_actuators), []
    for _ in range(round(0.8 / step)):
        before = world.object_pose()[0]
        world.step(flat, ON)
        speeds.append(np.linalg.norm(world.object_pose()[0] - before) / step)
    # The wrist still sinks a little.
    assert max(speeds[-round(0.2 / step) :]) < 0.01


@pytest.mark.parametrize("pair", [0.3, 1.0, 1.5, 3.0])
def test_coefficients_of_two_surfaces_make_that_of_the_pair(pair: float) -> None:
    hand, target = frictions(pair)
    assert 2 * hand * target / (hand + target) == pytest.approx(pair)
    assert hand == max(1.0, pair)


def test_a_softer_skin_has_a_smaller_modulus() -> None:
    nominal, soft = (rubber(Universe(contact_softness=s), TIP_RADIUS) for s in (0.0, 0.0023))
    assert nominal.modulus == pytest.approx(5e5)
    assert soft.modulus == pytest.approx(5e4, rel=0.03)


def test_rounded_edges_leave_the_faces_where_they_are() -> None:
    for name in ("block", "prism"):
        target = load_object(name)
        hull = object_shape(target, 0.002).GetConvexHull()
        corners = np.array([hull.vertex(i) for i in range(hull.num_vertices())])
        np.testing.assert_allclose(np.ptp(corners, axis=0)[2], target.size[2], rtol=1e-6)
        np.testing.assert_allclose(np.ptp(corners, axis=0)[0], target.size[0], rtol=1e-6)
        furthest = np.linalg.norm(corners, axis=-1).max()
        assert furthest < np.linalg.norm(target.vertices, axis=-1).max() - 0.0005


@pytest.mark.parametrize(
    ("universe", "message"),
    [
        (Universe(torsional_friction=0.001), "Drake has no torsional_friction.*leave it out"),
        (
            Universe(
                contact_softness=0.001, contact_rebound=0.1, drake=DrakeSettings(solver="sap")
            ),
            "sap has no contact_rebound; leave it out",
        ),
        (Universe(drake=DrakeSettings(edge_radius=0.03)), "edge_radius 0.03 m is more than half"),
    ],
)
def test_universes_that_drake_does_not_support_are_refused_in_one_line(
    universe: Universe, message: str
) -> None:
    with pytest.raises(UniverseError, match=message) as refused:
        DrakeWorld(HAND, BLOCK, universe, seed=1)
    assert "\n" not in str(refused.value)


class Dented(ObjectDescription):
    """A block with one corner pushed in."""

    @cached_property
    def vertices(self) -> Array:
        corners = super().vertices.copy()
        corners[0] *= 0.1
        return np.asarray(corners)


def test_an_object_that_is_not_convex_is_refused() -> None:
    fields = {name: getattr(BLOCK, name) for name in BLOCK.__dataclass_fields__}
    with pytest.raises(UniverseError, match="1 of its 8 corners are inside.*convex"):
        DrakeWorld(HAND, Dented(**fields), Universe(), seed=1)


def test_a_fingertip_sphere_is_at_the_outer_end_of_its_capsule() -> None:
    capsule = HAND.links[HAND.fingertips[0]].shapes[0]
    tip = HAND.links[HAND.fingertips[0]].tip
    form, position = link_shape(capsule, tip, "sphere")
    assert isinstance(form, Sphere) and form.radius() == capsule.size[0]
    np.testing.assert_allclose(position, [0.0, 0.0, capsule.position[2] + capsule.size[1]])
    turned = changed(capsule, rpy=(np.pi, 0.0, 0.0))
    np.testing.assert_allclose(link_shape(turned, tip, "sphere")[1], position, atol=1e-12)
    assert isinstance(link_shape(capsule, None, "sphere")[0], Capsule)
