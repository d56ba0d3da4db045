"""A hand with fixed links, turned shapes, own inertia and other couplings, in all engines."""

from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.sim_backend.drake.world import DrakeWorld
from inhand.sim_backend.engine_world import EngineWorld
from inhand.sim_backend.world import World
from inhand.training.mujoco_worlds.world import MujocoWorld

HAND = load_hand(Path(__file__).parents[2] / "hardware" / "model" / "odd_hand.toml")
BLOCK = load_object("block")
ENGINES: list[type[World] | type[DrakeWorld] | type[MujocoWorld]] = [
    World,
    DrakeWorld,
    MujocoWorld,
]
TARGET = np.array([0.6, -0.4])


def moved(world: EngineWorld, seconds: float, every: float = 0.05) -> Array:
    """Joint angles while both servos go to `TARGET`, (n, n_joints)."""
    angles = []
    for _ in range(round(seconds / every)):
        for _ in range(round(every / world.timestep)):
            world.step(TARGET, np.ones(HAND.n_actuators, dtype=np.bool_))
        angles.append(world.joint_angles())
    return np.array(angles)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_block_rests_on_a_palm_that_never_moves(engine: type[World]) -> None:
    world = engine(HAND, BLOCK, Universe(), seed=0)
    moved(world, 1.0)
    # The palm's upper side is at 0.03 m, the middle of the block half its edge above.
    assert world.object_pose()[0][2] == pytest.approx(0.0575, abs=3e-4)
    world.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tilted_mounting_turns_the_palm_too(engine: type[World]) -> None:
    world = engine(HAND, BLOCK, Universe(mounting_tilt=(0.0, 0.3)), seed=0)
    moved(world, 1.0)
    turned = world.object_pose()[0] - HAND.workspace.center
    normal = np.array([np.sin(0.3), 0.0, np.cos(0.3)])
    # Seen from the workspace's centre, which stays: the palm's upper side is 0.02 m below it.
    assert turned @ normal == pytest.approx(-0.02 + 0.0275, abs=1e-3)
    world.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_coupling_has_its_ratio_and_offset(engine: type[World]) -> None:
    world = engine(HAND, BLOCK, Universe(), seed=0)
    angles = moved(world, 1.5)
    np.testing.assert_allclose(angles[:, 1], 0.5 * angles[:, 0] + 0.2, atol=0.005)
    world.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "height", "play"),
    [("leap", 0.012, 0.05), ("leap_left", 0.012, 0.05), ("allegro", 0.045, 0.15)],
)
def test_the_installed_hands_carry_the_block(
    name: str, height: float, play: float, engine: type[World]
) -> None:
    hand = load_hand(name)
    world = engine(hand, BLOCK, Universe(), seed=0)
    for _ in range(round(2.0 / world.timestep)):
        world.step(hand.rest, np.ones(hand.n_actuators, dtype=np.bool_))
    assert not world.dropped()
    assert world.object_pose()[0][2] == pytest.approx(height, abs=0.01)
    np.testing.assert_allclose(world.joint_angles(), hand.rest, atol=play)
    world.close()


def test_a_palm_stops_the_object_and_no_finger(tmp_path: Path) -> None:
    """The palm reaches into both fingers; no engine may press them out of it."""
    text = (Path(__file__).parents[2] / "hardware" / "model" / "odd_hand.toml").read_text()
    (tmp_path / "wide.toml").write_text(text.replace("[0.05, 0.05, 0.01]", "[0.1, 0.1, 0.01]"))
    wide = load_hand(tmp_path / "wide.toml")
    assert max(wide.root_shapes[0].size) == 0.1
    for engine in ENGINES:
        worlds = [engine(hand, BLOCK, Universe(), seed=0) for hand in (HAND, wide)]
        narrow_way, wide_way = [moved(world, 1.0) for world in worlds]
        np.testing.assert_allclose(wide_way, narrow_way, atol=2e-3)
        for world in worlds:
            world.close()


def test_all_engines_move_the_hand_alike() -> None:
    worlds = [engine(HAND, BLOCK, Universe(), seed=0) for engine in ENGINES]
    first, *others = [moved(world, 1.5) for world in worlds]
    for other in others:
        # The time steps differ: 2, 2.5 and 10 ms.
        np.testing.assert_allclose(other, first, atol=0.03)
        np.testing.assert_allclose(other[-1], first[-1], atol=1e-3)
    for world in worlds:
        world.close()


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_mass_and_inertia_are_those_of_the_file(factor: float) -> None:
    universe = Universe(link_mass=(factor,) * HAND.n_joints)
    world = MujocoWorld(HAND, BLOCK, universe, seed=0)
    near = world.model.body("a_near")
    assert near.mass[0] == pytest.approx(0.05 * factor)
    tensor = np.array([[4e-5, 1e-6, 2e-6], [1e-6, 5e-5, -1e-6], [2e-6, -1e-6, 3e-5]])
    np.testing.assert_allclose(sorted(near.inertia), factor * np.linalg.eigvalsh(tensor), rtol=1e-9)
    drake = DrakeWorld(HAND, BLOCK, universe, seed=0)
    body = drake.plant.GetBodyByName("a_near").default_spatial_inertia()
    about = body.Shift(body.get_com()).CopyToFullMatrix6()[:3, :3]
    np.testing.assert_allclose(about, factor * tensor, rtol=1e-9)
    np.testing.assert_allclose(body.get_com(), [0.01, 0.0, 0.02], atol=1e-12)
    assert world.model.dof_armature[0] == 0.001
    rotor = drake.plant.GetJointActuatorByName("A2")
    assert rotor.default_rotor_inertia() == 0.001
    drake.close()
