"""An object that is put into a resting hand overlaps with it, and is freed without being thrown."""

import numpy as np
import pybullet
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.perception.objects import load_object
from inhand.sim_backend.world import World

FALL = 1.0
"""Speed after a fall from 5 cm [m/s]."""


def depth(world: World) -> float:
    """How deep the object is in the hand [m]."""
    contacts = pybullet.getContactPoints(
        world.object_body, world.hand_body, physicsClientId=world.client
    )
    return -min((contact[8] for contact in contacts), default=0.0)


@pytest.mark.parametrize("target", ["block", "prism"])
@pytest.mark.parametrize("name", ["dactyl24", "leap", "leap_left"])
def test_an_object_is_freed_gently(name: str, target: str) -> None:
    hand = load_hand(name)
    world = World(hand, load_object(target), Universe(), seed=1)
    on, speeds, left = np.ones(hand.n_actuators, dtype=np.bool_), [], []
    for _ in range(60):
        world.reset()
        for _ in range(round(0.2 / world.timestep)):
            world.step(hand.rest, on)
            velocity, _ = pybullet.getBaseVelocity(world.object_body, physicsClientId=world.client)
            speeds.append(float(np.linalg.norm(velocity)))
        left.append(depth(world))
        assert not world.dropped()
    world.close()
    assert max(speeds) < FALL and max(left) < 0.001
