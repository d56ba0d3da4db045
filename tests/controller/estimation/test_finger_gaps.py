"""Gaps between fingers, beside the distances that MuJoCo computes between the same shapes."""

from itertools import combinations, product

import mujoco
import numpy as np
import pytest

from inhand.controller.estimation.finger_gaps import FingerGaps, cover
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.world import MujocoWorld

FAR = 0.1
HANDS = ("dactyl24", "leap", "leap_left", "allegro")


def distances(hand: Hand, poses: Array) -> Array:
    """The smallest distance between links of different groups in each pose [m], up to `FAR`."""
    world = MujocoWorld(hand, load_object("block"), Universe(), seed=0)
    model, data = world.model, world.data
    groups = [
        [k for k in range(model.ngeom) if model.body(model.geom_bodyid[k]).name in group]
        for group in hand.collision_groups.values()
    ]
    pairs = [pair for one, two in combinations(groups, 2) for pair in product(one, two)]
    smallest = []
    for pose in poses:
        for link, angle in zip(hand.links, hand.joint_angles(pose), strict=True):
            data.joint(link.joint).qpos[0] = angle
        mujoco.mj_kinematics(model, data)
        smallest.append(
            min(mujoco.mj_geomDistance(model, data, one, two, FAR, None) for one, two in pairs)
        )
    world.close()
    return np.array(smallest)


@pytest.mark.parametrize(
    ("name", "under", "over"),
    # Shapes of the LEAP and Allegro hands are boxes: two of them, of 10 to 12 mm of half thickness.
    [("dactyl24", 0.001, 0.001), ("leap", 0.009, 0.006), ("allegro", 0.009, 0.006)],
)
def test_gaps_are_those_between_the_shapes(name: str, under: float, over: float) -> None:
    hand = load_hand(name)
    poses = np.random.default_rng(1).uniform(hand.lower, hand.upper, (60, hand.n_actuators))
    true, found = distances(hand, poses), FingerGaps(hand).smallest(poses)
    free = (true > 0.0) & (true < FAR)
    assert 15 < free.sum() < 55
    assert (found - true)[free].min() > -under and (found - true)[free].max() < over
    # What the planner takes for free has no finger in another one.
    assert (found[true < 0.0] < 0.001).all()


@pytest.mark.parametrize("name", HANDS)
def test_fingers_are_apart_at_rest(name: str) -> None:
    hand = load_hand(name)
    assert FingerGaps(hand).smallest(np.array([hand.rest, hand.action_zero])).min() > 0.004


@pytest.mark.parametrize("name", HANDS)
def test_a_pose_costs_few_pairs_of_spheres(name: str) -> None:
    """With 81 spheres a box, the LEAP hand would have 551,124: a plan would take two seconds."""
    hand = load_hand(name)
    counts = [
        sum(len(cover(shape)[0]) for link in group for shape in hand.links[link].shapes)
        for group in (
            [hand.link_names.index(name) for name in group if name in hand.link_names]
            for group in hand.collision_groups.values()
        )
    ]
    assert sum(one * two for one, two in combinations(counts, 2)) < 6000
