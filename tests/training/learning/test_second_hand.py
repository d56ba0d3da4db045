"""A hand given only by its file: 16 joints, loaded by both engines, driven over the serial line."""

import mujoco
import numpy as np

from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import fingertip_positions, link_poses
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Targets, frozen_array
from inhand.perception.objects import load_object
from inhand.sim_backend.world import World
from inhand.training.mujoco_worlds.model import build_spec
from tests.sim_backend.wires import wires

HAND = load_hand("leap")


def test_it_has_16_joints() -> None:
    assert (HAND.n_joints, HAND.n_actuators, len(HAND.fingertips)) == (16, 16, 4)
    assert HAND.couplings == ()


def test_mujoco_loads_it_as_its_kinematics_say() -> None:
    model = build_spec(HAND, load_object("block")).compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(7)
    for angles in rng.uniform(HAND.lower, HAND.upper, (20, HAND.n_actuators)):
        data.qpos[: HAND.n_joints] = HAND.joint_angles(angles)
        mujoco.mj_kinematics(model, data)
        rotations, positions = link_poses(HAND, HAND.joint_angles(angles))
        np.testing.assert_allclose(data.xpos[1:17], positions, atol=1e-4)
        np.testing.assert_allclose(data.xmat[1:17].reshape(-1, 3, 3), rotations, atol=1e-6)
        assert fingertip_positions(HAND, angles).shape == (4, 3)


def test_pybullet_loads_it_and_joints_follow_targets() -> None:
    world = World(HAND, load_object("block"), Universe(), seed=1)
    targets = HAND.rest + 0.1
    for _ in range(500):
        world.step(targets, np.ones(16, dtype=bool))
    # All but the fingers that the block lies on: gravity bends them by little.
    assert np.median(np.abs(world.encoders()[0] - targets)) < 0.05
    world.close()


def test_its_servos_are_driven() -> None:
    with wires(HAND) as line:
        servos = ServoHand(HAND, line.port, 4_000_000, 0.5, watchdog=2.0)
        servos.connect()
        servos.set_torque(True)
        sent = servos.write(Targets(0.0, frozen_array(HAND.rest + 0.1)))
        np.testing.assert_allclose(servos.read().position, sent.position, atol=2e-3)
        servos.close()
