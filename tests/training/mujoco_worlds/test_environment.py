"""The batch environment: a world does not depend on the others in the batch."""

import mujoco
import numpy as np
import pytest
from msgspec.structs import replace

from inhand.controller.policy.observation import observation_size
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import SENSING, MujocoSettings, Universe, Vary, sample
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.draws import AXES, NAMES, universe_of
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.universe import FIELDS
from inhand.training.mujoco_worlds.world import MujocoWorld, universe_model

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


def test_the_open_hand_drops_the_object_with_a_negative_reward() -> None:
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


@pytest.mark.parametrize("shape", ["block", "prism"])
def test_finer_steps_leave_the_length_of_a_tick(shape: str) -> None:
    """In free fall a position does not depend on the time step, but for its error."""
    target = load_object(shape)
    coarse, fine = (BatchEnvironment(HAND, target, 8, 1, seed=3, finer=n) for n in (1, 4))
    assert coarse.digests == fine.digests
    for worlds, timestep in ((coarse, 0.01), (fine, 0.0025)):
        worlds._qpos[:, HAND.n_joints + 2] += 1.0
        worlds.variation.assign(np.array([1]), [Universe()])
        drawn = Universe(mujoco=MujocoSettings(timestep=0.0104, contact_time=0.03))
        worlds.variation.assign(np.array([2]), [drawn])
        models = [worlds._batch.get_model(i) for i in range(3)]
        steps = [model.opt.timestep for model in models]
        assert steps == pytest.approx([timestep, timestep, 1.04 * timestep])
        times = [model.geom_solref[model.geom("object").id, 0] for model in models]
        assert times == pytest.approx([2 * timestep, 2 * timestep, 3 * timestep])
    height = [worlds._qpos[0, HAND.n_joints + 2] for worlds in (coarse, fine)]
    seconds = 4 / coarse.policy_rate
    for _ in range(4):
        for worlds in (coarse, fine):
            worlds.step(np.zeros((8, HAND.n_actuators)))
    fallen = [
        before - worlds._qpos[0, HAND.n_joints + 2]
        for before, worlds in zip(height, (coarse, fine), strict=True)
    ]
    exact = 0.5 * 9.81 * seconds**2
    assert fallen[0] == pytest.approx(exact, rel=0.06)
    assert fallen[1] == pytest.approx(exact, rel=0.015)


@pytest.mark.parametrize("shape", ["block", "prism"])
def test_batched_worlds_are_worlds_one_by_one_to_the_bit(shape: str) -> None:
    """Drawn universes, pushes, delays and all: actions, commands and physics."""
    n, steps = 5, 6
    worlds = BatchEnvironment(HAND, load_object(shape), n, threads=2, seed=9)
    worlds.harden(np.pi, 1.0)
    worlds.variation._pause_rate[:] = 0.0
    worlds.variation.strengths[:, NAMES.index("adversary")] = 0.0
    singles = [(worlds._batch.get_model(i), worlds._batch.get_data(i)) for i in range(n)]
    states = [worlds.path.start(HAND.rest) for _ in range(n)]
    commands, forces, frictions, advance = [], [], [], worlds._batch.step

    def watched(nstep: int) -> None:
        commands.append(worlds._ctrl.copy())
        forces.append(worlds._force.copy())
        frictions.append(worlds.variation._friction.copy())
        advance(nstep=nstep)

    worlds._batch.step = watched
    rng = np.random.default_rng(9)
    for _ in range(steps):
        actions = rng.uniform(-1, 1, (n, HAND.n_actuators))
        worlds.step(actions)
        for i in range(n):
            states[i] = worlds.path.act(states[i], actions[i])
            for _ in range(worlds.path.ticks_per_action):
                states[i] = worlds.path.tick(states[i])
            np.testing.assert_array_equal(
                states[i].motion.position, worlds.state.motion.position[i]
            )
    assert len(commands) == steps * worlds.path.ticks_per_action
    assert len({model.opt.timestep for model, _ in singles}) == n
    for i, (model, data) in enumerate(singles):
        for command, force, friction in zip(commands, forces, frictions, strict=True):
            data.ctrl[:] = command[i]
            model.dof_frictionloss[: HAND.n_joints] = friction[i]
            data.xfrc_applied[worlds._object, :3] = force[i]
            mujoco.mj_step(model, data)
        np.testing.assert_array_equal(worlds._qpos[i], data.qpos)
        np.testing.assert_array_equal(worlds._qvel[i], data.qvel)


@pytest.mark.parametrize("shape", ["block", "prism"])
def test_every_field_of_a_universe_reaches_its_world(shape: str) -> None:
    """A batch's models are those that evaluation builds of the same universes.

    Vertices of meshes have six digits.
    """
    target = load_object(shape)
    worlds = BatchEnvironment(HAND, target, 6, threads=1, seed=12)
    worlds.harden(np.pi, 1.0)
    for i, universe in enumerate(worlds.variation.universes):
        ours, alone = worlds._batch.get_model(i), universe_model(HAND, target, universe)
        for name in FIELDS:
            values = [
                getattr(model.opt, name[4:]) if name[:4] == "opt." else getattr(model, name)
                for model in (ours, alone)
            ]
            np.testing.assert_allclose(*values, rtol=1e-6, atol=1e-9, err_msg=f"{i} {name}")
        np.testing.assert_allclose(ours.dof_invweight0, alone.dof_invweight0, rtol=1e-6)
        np.testing.assert_allclose(mesh(ours), mesh(alone), atol=1e-7)
        late = np.array(universe.action_delay) + universe.action_latency
        delay = np.round(late / 0.01)
        np.testing.assert_array_equal(worlds.variation.delay[i], delay)
        np.testing.assert_array_equal(worlds.variation.backlash[i], universe.backlash)
        np.testing.assert_array_equal(worlds.variation.compliance[i], universe.compliance)
        np.testing.assert_array_equal(worlds.variation._stiction[i], universe.stiction)
    sizes = {universe.object_size for universe in worlds.variation.universes}
    assert len(sizes) > 3


def mesh(model: mujoco.MjModel) -> np.ndarray:
    """Vertices of the object's mesh; none of a box."""
    number = model.geom("object").dataid[0]
    if number < 0:
        return np.zeros((0, 3))
    first = model.mesh_vertadr[number]
    return model.mesh_vert[first : first + model.mesh_vertnum[number]]


@pytest.mark.parametrize(
    ("vary", "physics", "sensing"),
    [("everything", True, True), ("physics", True, False), ("sensing", False, True)],
)
def test_a_draw_changes_the_kind_of_fields_it_may(vary: Vary, physics: bool, sensing: bool) -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 2, threads=1, seed=13)
    worlds.vary = vary
    worlds.harden(np.pi, 1.0)
    drawn, nominal = worlds.variation.universes[1], Universe()
    for name in Universe.__struct_fields__:
        if name in ("pybullet", "drake"):
            continue
        differs = getattr(drawn, name) != getattr(nominal, name)
        assert differs == (sensing if name in SENSING else physics), name


def test_solvers_vary_about_the_nominal_one_and_stay_stable() -> None:
    rng = np.random.default_rng(14)
    low = np.array([-1.0 if axis.two_sided else 0.0 for axis in AXES.values()])
    assert universe_of(HAND, rng, 0.0 * low).mujoco == MujocoSettings()
    strengths = rng.uniform(low, 1.0, (300, len(AXES)))
    drawn = [universe_of(HAND, rng, row).mujoco for row in strengths]
    for name, low, high in (("timestep", 0.0096, 0.0104), ("contact_time", 0.02, 0.03)):
        values = np.array([getattr(one, name) for one in drawn])
        assert low - 1e-4 <= values.min() < values.max() <= high + 1e-4
        assert values.max() - values.min() > 0.9 * (high - low)
    assert {one.iterations for one in drawn} >= set(range(4, 10))
    assert 0.15 < np.mean([one.elliptic_cone for one in drawn]) < 0.35


def test_commands_that_jitter_come_late_by_half_of_it_on_average() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 200, threads=1, seed=15)
    worlds.variation._jitter[1::2] = 0.5
    late = []
    for _ in range(50):
        worlds.variation.tick(worlds.rng)
        late.append(worlds.variation.late.copy())
    assert not np.array(late)[:, ::2].any()
    assert np.mean(np.array(late)[:, 1::2]) == pytest.approx(0.25, abs=0.03)


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


@pytest.mark.parametrize("seed", [16, 17])
def test_a_world_of_a_batch_does_what_the_same_universe_does_alone(seed: int) -> None:
    """Servos, tendons, sticking joints and contacts, step by step; encoders too."""
    universe = replace(
        sample(HAND, np.random.default_rng(seed), 1.0),
        control_jitter=0.0,
        push_rate=0.0,
        pause_rate=0.0,
    )
    worlds = BatchEnvironment(HAND, BLOCK, 2, threads=1, seed=seed)
    worlds.variation._set(1, universe)
    worlds._batch.set_const(np.array([1]))
    alone = MujocoWorld(HAND, BLOCK, universe, seed=1)
    alone.reset(worlds.object_quaternion[1].copy())
    at_rest = HAND.joint_angles(HAND.rest)
    alone.data.qpos[: HAND.n_joints] = at_rest
    rng, on = np.random.default_rng(seed), np.ones(HAND.n_actuators, dtype=np.bool_)
    sent, advance = [], worlds._batch.step

    def watched(nstep: int) -> None:
        sent.append(worlds.state.motion.position[1].copy())
        advance(nstep=nstep)

    worlds._batch.step = watched
    for _ in range(10):
        worlds.step(rng.uniform(-1, 1, (2, HAND.n_actuators)))
    for targets in sent:
        alone.step(targets, on)
    np.testing.assert_allclose(worlds._qpos[1], alone.data.qpos, atol=1e-6)
    np.testing.assert_allclose(worlds.joint_position[1], alone.encoders()[0], atol=1e-6)
    ahead = worlds.joint_position[1] - worlds._qpos[1, list(HAND.driven_joint)]
    assert np.abs(ahead).max() > 0.001


def test_a_controller_that_pauses_sends_what_it_sent_last() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 2, threads=1, seed=18)
    actions = np.full((2, HAND.n_actuators), 0.5)
    worlds.step(actions)
    before = worlds.state.motion.position.copy()
    worlds.variation._pause_rate[1] = worlds.variation._pause_time[1] = 1e9
    worlds.step(actions)
    after = worlds.state.motion.position
    np.testing.assert_array_equal(after[1], before[1])
    assert np.abs(after[0] - before[0]).max() > 0.01


def test_pauses_are_as_many_and_as_long_as_they_should_be() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 100, threads=1, seed=19)
    worlds.variation._pause_rate[:50], worlds.variation._pause_time[:50] = 1.0, 0.15
    paused = []
    for _ in range(3000):
        worlds.variation.tick(worlds.rng)
        paused.append(worlds.variation.paused.copy())
    seen = np.array(paused)
    assert not seen[:, 50:].any()
    began = np.sum(np.diff(seen[:, :50].astype(int), axis=0) == 1)
    # One begins a second of what is no pause; one that follows another at once is not seen.
    assert began / (50 * 30.0) == pytest.approx(1.0 / 1.15, rel=0.08)
    assert seen[:, :50].sum() * 0.01 / began == pytest.approx(0.15, rel=0.05)
