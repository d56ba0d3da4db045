"""Servos in the worlds of training are protected as by the daemon."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.config.settings import ControlSettings
from inhand.controller.core.joint_watch import JointWatch
from inhand.controller.policy.action import ActionPath
from inhand.controller.safety.safety import Motion
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import JointState, frozen_array
from inhand.perception.objects import load_object
from inhand.training.learning.learners import build
from inhand.training.learning.run_recipe import load_recipe
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.physics import EngineError
from inhand.training.mujoco_worlds.protection import Protection
from inhand.training.mujoco_worlds.rewards import Rewards

LEAP = load_hand("leap")
HAND = replace(
    LEAP,
    actuators=tuple(
        msgspec.structs.replace(actuator, continuous_torque=None) for actuator in LEAP.actuators
    ),
)
"""The LEAP hand, as if nobody knew what its servos bear: a joint that stays blocked is a fault."""
REACH = HAND.torque_limit / HAND.gain
DT = 0.01


def protection(size: int) -> Protection:
    return Protection(HAND, size, ActionPath(HAND).limits, DT)


def test_a_jammed_joint_pushes_less_and_is_stopped_at_last() -> None:
    one = protection(2)
    position = np.tile(HAND.rest, (2, 1))
    wanted = position.copy()
    wanted[0, 3] += 1.3 * REACH[3]
    pushed = Motion(wanted, np.zeros_like(wanted))
    motion, stopped_at = pushed, 0.0
    for tick in range(1100):
        before, motion = motion, one.apply(motion, pushed, motion.position, position)
        assert np.array_equal(motion.position[1], wanted[1])
        others = np.arange(HAND.n_actuators) != 3
        assert np.allclose(motion.position[0, others], wanted[0, others])
        error = (before.position - position)[0, 3] / REACH[3]
        if tick < 195:
            assert error == pytest.approx(1.3)
        elif tick > 300:
            assert error < 0.51
        if one.stopped.any() and not stopped_at:
            stopped_at = tick * DT
    assert stopped_at == pytest.approx(10.0, abs=0.1)
    assert one.stopped.tolist() == [True, False] and one.backed_off.tolist() == [1, 0]
    one.reset(np.array([0]))
    assert not one.stopped.any()
    one.apply(pushed, pushed, position, position)
    assert (one.share == 1.0).all()


def test_a_servo_that_bears_the_reduced_torque_is_not_stopped() -> None:
    one = Protection(LEAP, 1, ActionPath(LEAP).limits, DT)
    position = np.array(LEAP.rest)[None]
    pushed = Motion(position + 1.3 * REACH, np.zeros_like(position))
    motion = pushed
    for _ in range(1500):
        motion = one.apply(motion, pushed, motion.position, position)
    assert (one.share <= 0.5).all() and not one.stopped.any()


def test_torque_is_shared_out_as_by_the_daemon() -> None:
    """Targets and encoders at random, for a minute: heat and blocked joints come and go."""
    many, rng = protection(3), np.random.default_rng(4)
    watches = [JointWatch(HAND, ControlSettings()) for _ in range(3)]
    scale = Units(HAND).torque_per_ampere / HAND.torque_limit
    position = np.tile(HAND.rest, (3, 1))
    reduced = 0
    for tick in range(6000):
        if tick % 300 == 0:
            push = rng.uniform(-1.3, 1.3, position.shape) * REACH
        targets = Motion(position + push, np.zeros_like(position))
        many.apply(targets, targets, targets.position, position)
        for watch, angles, asked, share in zip(
            watches, position, targets.position, many.share, strict=True
        ):
            used = np.minimum(np.abs(asked - angles) / REACH, 1.0)
            joints = JointState(
                t=tick * DT,
                position=frozen_array(angles),
                velocity=frozen_array(np.zeros(HAND.n_actuators)),
                current=frozen_array(used / scale),
            )
            watch.take(joints, DT)
            watch.derate(1.0, asked, DT)
            np.testing.assert_allclose(share, watch.share, atol=1e-9)
            reduced += int((share < 1.0).sum())
        position = position + 0.0003 * rng.standard_normal(position.shape)
    assert reduced > 1000


def test_a_joint_that_stays_blocked_ends_an_episode() -> None:
    """Fingers close around the object as far as they can, and go on pushing."""
    block = load_object("block")
    free, guarded = (
        BatchEnvironment(HAND, block, 4, 1, seed=2, protected=protected)
        for protected in (False, True)
    )
    ended = np.zeros(4, dtype=np.bool_)
    for _ in range(round(10.5 * guarded.policy_rate)):
        for worlds in (free, guarded):
            step = worlds.step(np.ones((4, HAND.n_actuators)))
        ended |= step.dropped
        if step.dropped.any():
            guarded.reset(np.flatnonzero(step.dropped))
    assert ended.any()
    reach = np.abs(guarded.sent_target - guarded.joint_position) / REACH
    assert reach.max() < np.abs((free.sent_target - free.joint_position) / REACH).max()


def test_each_joint_that_pushes_in_vain_costs() -> None:
    block, pushing = load_object("block"), np.ones((4, HAND.n_actuators))
    free, costly = (
        BatchEnvironment(
            HAND, block, 4, 1, seed=2, rewards=Rewards(blocked=blocked), protected=True
        )
        for blocked in (0.0, -0.5)
    )
    costs = []
    for _ in range(round(4.0 * free.policy_rate)):
        costs.append(costly.step(pushing).reward - free.step(pushing).reward)
    assert np.allclose(costs[0], 0.0)
    joints = np.array(costs) / -0.5
    assert joints.max() > 0.5
    np.testing.assert_allclose(joints, joints.round(), atol=1e-6)


def test_the_engine_without_protection_is_refused(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(load_recipe("leap-refined"), protected=True)
    with pytest.raises(EngineError, match="has neither `protected` servos"):
        build(recipe, tmp_path, "cpu", 1, "warp")
