"""Worlds of tensors do what worlds of numpy do, on the same physics: C MuJoCo."""

from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from mujoco.batch import Batch
from numpy.typing import NDArray
from torch import Tensor

from inhand.controller.policy.action import ActionPath
from inhand.controller.policy.observation import attitude as attitude_of
from inhand.controller.safety.safety import Limits, Motion, limit
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds import tensor_rotations
from inhand.training.mujoco_worlds.adversary import Adversary
from inhand.training.mujoco_worlds.automatic_ranges import AutomaticRanges, Precision, RangesRecipe
from inhand.training.mujoco_worlds.draws import AXES, NAMES
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.physics import Ids
from inhand.training.mujoco_worlds.rewards import Rewards
from inhand.training.mujoco_worlds.tensor_environment import TensorEnvironment
from inhand.training.mujoco_worlds.tensor_hand import TensorHand
from inhand.training.mujoco_worlds.tensor_observation import attitude

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
WORLDS = 8
RANDOM = ("push_rate", "pause_rate", "control_jitter", "adversary")
"""Axes whose effect is drawn anew in each step."""
KINDS = [torch.float32, torch.float64]
TOLERANCE = 1e-5


class Shared:
    """C MuJoCo whose state is seen as tensors, in double precision."""

    def __init__(self, model: mujoco.MjModel, size: int) -> None:
        self._batch = Batch(model, size, 1)
        self.nsim = size
        self.friction = torch.from_numpy(self._batch.expand("dof_frictionloss"))

    def bind(self, name: str) -> Tensor:
        return torch.from_numpy(self._batch.bind(name))

    def expand(self, name: str) -> NDArray[Any]:
        field: NDArray[Any] = self._batch.expand(name)
        return field

    def set_const(self, ids: Ids) -> None:
        self._batch.set_const(ids)

    def send(self) -> None:
        pass

    def reset(self, ids: Ids, *, stage: int = 0) -> None:
        self._batch.reset(ids, stage=stage)

    def step(self, *, nstep: int) -> None:
        self._batch.step(nstep=nstep)


def on_tensors(target: str = "block", rewards: Rewards | None = None) -> TensorEnvironment:
    return TensorEnvironment(HAND, load_object(target), WORLDS, Shared, 5, rewards)


def drawn(strength: float) -> NDArray[np.float64]:
    sided = [axis.two_sided for axis in AXES.values()]
    strengths = np.tile(np.where(sided, strength, abs(strength)), (WORLDS, 1))
    strengths[:, [NAMES.index(name) for name in RANDOM]] = 0.0
    return strengths


def put(ours: BatchEnvironment, theirs: TensorEnvironment) -> None:
    """Gives the tensors' worlds state and goals of the others."""
    for name in ("qpos", "qvel", "qacc_warmstart", "ctrl", "xfrc_applied"):
        theirs.physics.bind(name)[:] = torch.from_numpy(ours._batch.bind(name))
    theirs.goal[:] = torch.from_numpy(ours.goal)
    theirs.tolerance[:] = torch.from_numpy(ours.tolerance)
    theirs._distance[:] = torch.from_numpy(ours._distance)
    theirs._goal_steps[:] = torch.from_numpy(ours._goal_steps)
    theirs._held[:] = torch.from_numpy(ours._held)


def alike(theirs: Tensor, ours: NDArray[Any], what: str = "", at: float = TOLERANCE) -> None:
    np.testing.assert_allclose(theirs.numpy(), ours, rtol=at, atol=at, err_msg=what)


@pytest.mark.parametrize(
    ("target", "strength", "hold"), [("block", 0.0, 1), ("block", 0.8, 2), ("prism", -0.8, 3)]
)
def test_steps_are_those_of_numpy(target: str, strength: float, hold: int) -> None:
    """Action path, servos, universes, observations, rewards and ends, for 24 policy steps."""
    rewards = Rewards(hold_steps=hold, seconds_per_goal=0.3, held=0.1, change=-0.1, excess=-0.2)
    ours = BatchEnvironment(HAND, load_object(target), WORLDS, 1, 5, rewards)
    theirs = on_tensors(target, rewards)
    ids = np.arange(WORLDS)
    for worlds in (ours, theirs):
        worlds.variation.draw(ids, np.random.default_rng(3), drawn(strength))
    theirs._universes.send(ids)
    assert len({one.link_mass for one in theirs.universes}) == (1 if strength == 0.0 else WORLDS)
    rng = np.random.default_rng(1)
    ours.tolerance[:] = rng.uniform(0.3, 0.6, WORLDS)
    # Beside the hand.
    ours._qpos[1, HAND.n_joints] += 0.2
    put(ours, theirs)
    start = ours._qpos.copy()
    seen = np.zeros(3)
    for step in range(24):
        if step % 4 == 0:
            # Beyond the bounds too, and without an answer.
            actions = rng.uniform(-1.5, 1.5, (WORLDS, HAND.n_actuators))
            actions[0, 0] = np.nan if step == 8 else 0.5
        one, other = ours.step(actions), theirs.step(torch.from_numpy(actions))
        for name in ("reached", "dropped", "timed_out", "reward"):
            alike(getattr(other, name), getattr(one, name), f"{name} of step {step}")
        seen += one.reached.sum(), one.dropped.sum(), one.timed_out.sum()
        alike(theirs.goals_reached, ours.goals_reached)
        ended = np.flatnonzero(one.dropped | one.timed_out)
        ours._goal_steps[ended] = 0
        ours._qpos[ended], ours._qvel[ended] = start[ended], 0.0
        if step % 5 == 0:
            # Goals are drawn by other generators; some are made to be reached.
            ours.goal[:] = rotations.multiply(
                rotations.exp(rng.uniform(-0.4, 0.4, (WORLDS, 3))), ours.object_quaternion
            )
            ours._distance[:] = rotations.angle_between(ours.goal, ours.object_quaternion)
        put(ours, theirs)
        for name in ("joint_position", "joint_velocity", "sent_target", "angular_velocity"):
            alike(getattr(theirs, name), getattr(ours, name), f"{name} of step {step}")
        assert theirs.observe().dtype == torch.float32
        alike(theirs.observe(), ours.observe(), "observation")
        alike(theirs.privileged(), ours.privileged(), "privileged")
    assert (seen > 0).all(), "some are reached, some dropped, some timed out"


@pytest.mark.parametrize("kind", KINDS)
def test_rotations_are_those_of_numpy(kind: torch.dtype) -> None:
    rng = np.random.default_rng(2)
    one, other = rotations.random_quaternion(rng, (2, 500))
    # None and half a turn, and turns of nearly nothing.
    one[:2] = [[1.0, 0.0, 0.0, 0.0], [0.0, 0.6, 0.8, 0.0]]
    other[:50] = rotations.multiply(rotations.exp(1e-4 * rng.standard_normal((50, 3))), one[:50])
    vector = rng.standard_normal((500, 3))
    vector[0] = 0.0
    p, q, v = (torch.from_numpy(array).to(kind) for array in (one, other, vector))
    module = tensor_rotations
    alike(module.normalize(3.0 * p), one)
    alike(module.multiply(p, q), rotations.multiply(one, other))
    alike(module.conjugate(p), rotations.conjugate(one))
    alike(module.rotate(p, v), rotations.rotate(one, vector))
    alike(module.to_matrix(p), rotations.to_matrix(one))
    alike(module.exp(v), rotations.exp(vector))
    alike(module.log(p), rotations.log(one))
    alike(module.angle_between(p, q), rotations.angle_between(one, other))
    group = BLOCK.symmetry
    found = attitude(torch.from_numpy(group).to(kind), p)
    # Where two of the group are equally near, either may be taken.
    clear = np.sort(np.abs(one @ rotations.conjugate(group).T), axis=1)
    clear = clear[:, -1] - clear[:, -3] > 1e-5
    assert clear.sum() > 400
    alike(found[clear], attitude_of(group, one)[clear])


@pytest.mark.parametrize("kind", KINDS)
def test_the_hand_is_that_of_numpy(kind: torch.dtype) -> None:
    """Limits, from any motion and to any target; fingertips; actions without an answer."""
    rng, n = np.random.default_rng(3), HAND.n_actuators
    made, path = TensorHand(HAND, torch.zeros(1, dtype=kind)), ActionPath(HAND)
    position = rng.uniform(HAND.lower - 0.2, HAND.upper + 0.2, (300, n))
    velocity, wanted = rng.normal(0.0, 3.0, (300, n)), rng.normal(0.0, 2.0, (300, n))
    wanted[::7, 2], wanted[::5, 3] = np.nan, np.inf
    moved = limit(Limits.of(HAND), Motion(position, velocity), wanted, 0.01)
    p, v, w = (torch.from_numpy(array).to(kind) for array in (position, velocity, wanted))
    sent, speed = made.limit(p, v, w)
    alike(sent, moved.position)
    # A difference of positions, divided by the length of a tick.
    alike(speed, moved.velocity, at=1e-3 if kind == torch.float32 else TOLERANCE)
    alike(made.fingertips(p), fingertip_positions(HAND, position))
    action = rng.uniform(-2.0, 2.0, (300, n))
    state, before = path.act(path.start(position), action), made.start(300)
    before.previous, before.goal, before.position = p, p, p
    after = made.act(before, torch.from_numpy(action).to(kind))
    for number in range(path.ticks_per_action):
        state, after = path.tick(state), made.tick(after, number + 1)
        alike(after.position, state.motion.position, f"tick {number}")


def test_the_adversary_is_that_of_numpy() -> None:
    rng = np.random.default_rng(4)
    actions, state = (
        rng.uniform(-1.5, 1.5, (WORLDS, HAND.n_actuators)),
        rng.normal(size=(WORLDS, 31)),
    )
    share = np.linspace(0.0, 0.2, WORLDS)
    ours, theirs = (Adversary(HAND, WORLDS, 3) for _ in range(2))
    for _ in range(2):
        given = [torch.from_numpy(array) for array in (actions, share, state)]
        alike(theirs.disturb(*given), ours.disturb(actions, share, state))


def test_what_is_drawn_in_each_step_is_drawn_as_often() -> None:
    """Jitter, pauses and pushes, by another generator, at the rates of a universe."""
    worlds = on_tensors()
    universes = worlds._universes
    for name, value in {
        "jitter": 0.25,
        "pause_rate": 5.0,
        "pause_time": 0.03,
        "push_rate": 4.0,
        "push_acceleration": 2.0,
    }.items():
        universes[name][:] = value
    late, paused, pushes = [], [], []
    for _ in range(2000):
        universes.tick()
        late.append(universes.late.numpy())
        paused.append(universes.paused.numpy())
        pushes.append(universes.pushes(0.1, 20.0).numpy())
    # A command is late by 0.25 of a tick in the mean: late + chance is above 1 in half of 0.25.
    assert np.mean(late) == pytest.approx(0.125, abs=0.01)
    # A pause of three ticks may begin where none is, in one tick of twenty.
    assert np.mean(paused) == pytest.approx(3 / (3 + 20 - 1), abs=0.02)
    pushed = np.array(pushes)[..., 0] != 0.0
    assert pushed.mean() == pytest.approx(4.0 / 20.0, abs=0.02)
    assert np.array(pushes)[pushed].std() == pytest.approx(0.2, rel=0.05)


def test_a_reset_touches_only_the_worlds_named_and_counts_their_goals() -> None:
    worlds = on_tensors()
    worlds.ranges = AutomaticRanges(RangesRecipe(episodes=1, boundary=1.0, start=0.7), WORLDS)
    worlds.precision = Precision(RangesRecipe(episodes=1, boundary=1.0), 0.4, 0.2, WORLDS)
    worlds.harden(float(np.pi), 0.0)
    for _ in range(3):
        worlds.step(torch.ones(WORLDS, HAND.n_actuators))
    # World 0 is nominal and has the finest tolerance, world 2 has an axis at an end.
    worlds.goals_reached[[0, 2]] = 30
    before, told = torch.cat([worlds.observe(), worlds.privileged()], 1), worlds.ranges.mean_end
    worlds.count(np.array([0, 2]))
    worlds.reset(np.array([2]))
    assert worlds.ranges.mean_end > told and worlds.precision.now == pytest.approx(0.36)
    after = torch.cat([worlds.observe(), worlds.privileged()], 1)
    others = [i for i in range(WORLDS) if i != 2]
    assert torch.equal(before[others], after[others])
    np.testing.assert_allclose(after[2, :20], HAND.rest, atol=1e-6)
    assert worlds.goals_reached[2] == 0 and not torch.equal(before[2], after[2])
    angle = tensor_rotations.angle_between(worlds.goal, worlds.object_quaternion)
    assert 0.49 < angle[2] < np.pi


def test_nominal_worlds_are_copies_and_stay_as_they_are() -> None:
    """A copy is what `BatchEnvironment` draws, and varied worlds become nominal again."""
    worlds, ids = on_tensors(), np.arange(WORLDS)
    plain = BatchEnvironment(HAND, BLOCK, WORLDS, 1, 5)
    rng = np.random.default_rng(6)
    assert len(worlds.variation.draw(ids, rng, 0.0 * drawn(0.0), copy_nominal=True)) == 0
    changed = worlds.variation.draw(ids, rng, drawn(0.7), copy_nominal=True)
    assert changed.tolist() == ids[1:].tolist(), "world 0 is always nominal"
    changed = worlds.variation.draw(ids, rng, 0.0 * drawn(0.0), copy_nominal=True)
    assert changed.tolist() == ids[1:].tolist()
    assert worlds.universes == plain.universes
    for name, value in worlds.variation.rows(ids).items():
        np.testing.assert_array_equal(value, plain.variation.rows(ids)[name], err_msg=name)
    for name, value in worlds.variation._fields.items():
        np.testing.assert_array_equal(value, plain.variation._fields[name], err_msg=name)
