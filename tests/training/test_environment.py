"""The batch environment: one world's fate does not depend on its neighbours."""

import numpy as np

from controller.observation import observation_size
from hardware.hand import load_hand
from perception import rotations
from perception.objects import load_object
from training.environment import BatchEnvironment

HAND = load_hand("dactyl24")
BLOCK = load_object("block")


def test_stepping_is_the_same_on_any_number_of_threads() -> None:
    one, two = (BatchEnvironment(HAND, BLOCK, 8, threads=n, seed=5) for n in (1, 2))
    rng = np.random.default_rng(5)
    for _ in range(10):
        actions = rng.uniform(-1, 1, (8, HAND.n_actuators))
        first, second = one.step(actions), two.step(actions)
        np.testing.assert_array_equal(first.reward, second.reward)
    np.testing.assert_array_equal(one.observe(), two.observe())
    assert one.observe().shape == (8, observation_size(HAND))


def test_a_reset_touches_only_the_worlds_named() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 4, threads=1, seed=6)
    for _ in range(5):
        worlds.step(np.ones((4, HAND.n_actuators)))
    before = worlds.observe()
    worlds.reset(np.array([2]))
    after = worlds.observe()
    np.testing.assert_array_equal(before[[0, 1, 3]], after[[0, 1, 3]])
    np.testing.assert_allclose(after[2, :20], HAND.rest, atol=1e-6)


def test_the_open_hand_drops_the_object_and_pays_for_it() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 16, threads=1, seed=7)
    worlds._qpos[:, HAND.n_joints + 2] = -0.05
    step = worlds.step(np.zeros((16, HAND.n_actuators)))
    assert step.dropped.all()
    assert (step.reward < -1.0).all()


def test_a_goal_already_there_is_reached_and_replaced() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 4, threads=1, seed=8)
    worlds.goal[:] = worlds.object_quaternion
    step = worlds.step(np.zeros((4, HAND.n_actuators)))
    assert step.reached.all()
    assert (worlds.goals_reached == 1).all()
    now = rotations.normalize(worlds.object_quaternion)
    assert (rotations.angle_between(worlds.goal, now) >= 0.49).all()
