"""Inertia of the joints, beside PyBullet's mass matrix."""

from dataclasses import replace

import msgspec
import numpy as np
import pybullet
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.inertia import actuator_sum, mass_matrix
from inhand.hardware.model.universe import Universe
from inhand.perception.objects import load_object
from inhand.sim_backend.world import World


@pytest.mark.parametrize("name", ["dactyl24", "leap"])
def test_the_mass_matrix_is_that_of_an_engine(name: str) -> None:
    hand = load_hand(name)
    # PyBullet has no armature; MuJoCo's mass matrix with it is compared where hands are imported.
    links = tuple(msgspec.structs.replace(link, armature=0.0) for link in hand.links)
    hand = replace(hand, links=links)
    world = World(hand, load_object("block"), Universe(), seed=1)
    rng = np.random.default_rng(3)
    for pose in (hand.rest, rng.uniform(hand.lower, hand.upper)):
        angles = hand.joint_angles(pose).tolist()
        joints = np.array(
            pybullet.calculateMassMatrix(world.hand_body, angles, physicsClientId=world.client)
        )
        driven = np.eye(hand.n_actuators)[list(hand.actuator_of_joint)]
        np.testing.assert_allclose(
            mass_matrix(hand, pose), driven.T @ joints @ driven, rtol=1e-6, atol=1e-12
        )
    world.close()


def test_sums_over_the_joints_of_an_actuator() -> None:
    hand = load_hand("dactyl24")
    counted = actuator_sum(hand, [1.0] * hand.n_joints)
    assert counted.sum() == hand.n_joints
    assert counted[hand.actuator_names.index("FFJ2")] == 2
