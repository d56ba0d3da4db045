"""The batch environment: one world's fate does not depend on its neighbours."""

import mujoco
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


def test_a_batched_world_is_a_plain_mujoco_loop_to_the_bit() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 4, threads=2, seed=9)
    worlds.universe_scale = 1.0
    worlds.reset(np.arange(4))
    rng = np.random.default_rng(9)
    for _ in range(3):
        worlds.step(rng.uniform(-1, 1, (4, HAND.n_actuators)))
    model, data = worlds._batch.get_model(3), worlds._batch.get_data(3)
    assert model.body_mass[model.body("object").id] != BLOCK.mass
    for _ in range(20):
        mujoco.mj_step(model, data)
    worlds._batch.step(nstep=20)
    np.testing.assert_array_equal(worlds._qpos[3], data.qpos)


def test_a_delayed_servo_follows_later_by_its_delay() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 2, threads=1, seed=10)
    worlds.variation.delay[1] = 5
    action = np.full((2, HAND.n_actuators), 0.5)
    worlds.step(action)
    sent = worlds.state.motion.position
    np.testing.assert_array_equal(worlds._delayed_targets()[0], sent[0])
    np.testing.assert_array_equal(worlds._delayed_targets()[1], HAND.rest)
    worlds.step(action)
    np.testing.assert_array_equal(worlds._delayed_targets()[1], sent[1])


def test_an_encoder_stands_within_the_slack_of_the_joint() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 2, threads=1, seed=11)
    worlds.variation.backlash[1] = 0.05
    rng = np.random.default_rng(11)
    for _ in range(5):
        worlds.step(rng.uniform(-1, 1, (2, HAND.n_actuators)))
        joints = worlds._qpos[:, list(HAND.driven_joint)]
        np.testing.assert_array_equal(worlds.joint_position[0], joints[0])
        assert np.abs(worlds.joint_position[1] - joints[1]).max() <= 0.05 + 1e-12
    assert np.abs(worlds.joint_position[1] - joints[1]).max() > 0.001
