"""The student learns from the teacher, and its exported file computes the same actions."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from inhand.controller.policy.observation import observation_size
from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.training.learning.checkpoint import CheckpointError
from inhand.training.learning.export import export
from inhand.training.learning.student import Student, StudentRecipe
from inhand.training.learning.student_network import StudentNetwork, widened_student
from inhand.training.learning.teacher import Recipe, Teacher
from inhand.training.learning.world_head import WORLD, world_labels, world_loss
from inhand.training.mujoco_worlds.draws import AXES
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors

HAND = load_hand("dactyl24")
BLOCK = load_object("block")
TINY = StudentRecipe(worlds=16, horizon=4, hidden=32, teacher_iterations=5)


def make_student(recipe: StudentRecipe = TINY) -> Student:
    worlds = BatchEnvironment(HAND, BLOCK, recipe.worlds, seed=3)
    worlds.universe_scale = 1.0
    worlds.reset(np.arange(recipe.worlds))
    teacher = Teacher(worlds, Recipe(worlds=recipe.worlds, horizon=4))
    teacher.iterate()
    return Student(worlds, teacher.network, recipe)


@pytest.mark.parametrize(
    ("memory", "version", "world"), [(True, 1, False), (False, 1, False), (True, 2, True)]
)
def test_exported_policy_equals_torch_over_steps_with_state(
    tmp_path: Path, memory: bool, version: int, world: bool
) -> None:
    torch.manual_seed(0)
    n = observation_size(HAND, version)
    network = StudentNetwork(
        torch.randn(n), torch.rand(n) + 0.5, HAND.n_actuators, 64, memory, world
    )
    observations = np.random.default_rng(0).standard_normal((200, n)).astype(np.float32)
    path = tmp_path / "policy.onnx"
    export(path, network, HAND, "block", 1.0, observations)
    policy = load_policy(path, HAND, BLOCK, allowed=None)
    assert policy.observation_version == version
    state = network.start(1)
    for number, row in enumerate(observations):
        if number == 100:  # a reset in the middle
            policy.reset()
            state = network.start(1)
        with torch.no_grad():
            wanted, state = network(torch.as_tensor(row)[None], state)
        np.testing.assert_allclose(policy.act(row), wanted[0].numpy(), atol=1e-4)
        if network.world is not None:
            estimate = network.world(state[0])[0].detach().numpy()
            np.testing.assert_allclose(policy.world, estimate, atol=1e-4)
    assert (policy.world is None) == (not world)
    assert len(policy.metadata.world) == (len(WORLD) if world else 0)
    assert not list(tmp_path.glob("*.part"))


def test_the_imitation_loss_falls() -> None:
    student = make_student()
    losses = [student.iterate()["loss"] for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


def test_the_student_measures_its_own_inputs_before_it_learns() -> None:
    """The teacher's poses have no age, the student's have, and its scale is that of its own."""
    recipe = msgspec.structs.replace(TINY, normalize_iterations=3, observation=2)
    student = make_student(recipe)
    age = observation_size(HAND) - 1
    assert not 0.01 < student.network.deviation[age] < 0.2
    for _ in range(3):
        assert student.iterate()["loss"] == 0.0
    assert 0.01 < student.network.deviation[age] < 0.2
    assert student.iterate()["loss"] > 0.0


def test_another_normalization_leaves_a_students_actions_the_same() -> None:
    torch.manual_seed(1)
    network = StudentNetwork(torch.zeros(9), torch.ones(9), 3, 16, True)
    inputs, state = torch.randn(50, 9), network.start(50)
    before, _ = network(inputs, state)
    network.renormalize(torch.linspace(-1.0, 1.0, 9), torch.linspace(2.0, 3.0, 9))
    after, _ = network(inputs, state)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_a_widened_student_acts_as_before_and_estimates_its_world() -> None:
    torch.manual_seed(1)
    n, m = observation_size(HAND), observation_size(HAND, 2)
    network = StudentNetwork(torch.zeros(n), torch.ones(n), HAND.n_actuators, 16, True)
    wide = widened_student(network, HAND, 2, world=True)
    inputs, state = torch.randn(50, m), network.start(50)
    torch.testing.assert_close(wide(inputs, state)[0], network(inputs[:, :n], state)[0])
    assert wide.world is not None and len(wide.mean) == m
    again = widened_student(wide, HAND, 2, world=False)
    assert torch.equal(again.world.weight, wide.world.weight)


def test_the_memory_learns_to_tell_its_world_with_its_uncertainty() -> None:
    """Of strengths that lie uniformly in [-1, 1], what is told anyway has the deviation 0.58."""
    recipe = msgspec.structs.replace(TINY, world_loss=1.0, observation=2, step_size=1e-2)
    student = make_student(recipe)
    losses = [student.iterate()["world_loss"] for _ in range(40)]
    assert np.mean(losses[-5:]) < np.mean(losses[:3]) - 0.3


def test_the_loss_of_an_estimate_is_least_at_the_truth_with_its_deviation() -> None:
    rng = torch.Generator().manual_seed(2)
    labels = 0.5 * torch.randn(4000, len(WORLD), generator=rng)

    def loss(mean: float, deviation: float) -> float:
        spread = torch.full_like(labels, float(np.log(deviation)))
        estimate = torch.cat([torch.full_like(labels, mean), spread], -1)
        return float(world_loss(estimate, labels))

    best = loss(0.0, 0.5)
    assert all(best < loss(*other) for other in ((0.1, 0.5), (-0.1, 0.5), (0.0, 0.6), (0.0, 0.4)))


def test_labels_are_strengths_and_the_error_of_the_estimated_rotation() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 9, seed=4)
    worlds.harden(float(np.pi), 1.0)
    turn = rotations.exp(np.array([0.0, 0.1, 0.0]))
    believed = rotations.multiply(rotations.conjugate(turn), worlds.object_quaternion)
    labels = world_labels(worlds, rotations.normalize(believed))
    size = np.log([universe.object_size for universe in worlds.variation.universes])
    np.testing.assert_allclose(labels[:, 0], size / np.log(1.15), atol=1e-6)
    np.testing.assert_allclose(labels[:, -3:], np.tile([0.0, 0.5, 0.0], (9, 1)), atol=1e-6)


def test_student_resumes_where_it_was(tmp_path: Path) -> None:
    student = make_student()
    student.iterate()
    student.save(tmp_path / "student.pt")
    other = make_student()
    other.resume(tmp_path / "student.pt")
    assert (other.iteration, other.steps) == (1, 64)
    for one, two in zip(student.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(one, two)


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    student = make_student()
    path = tmp_path / "student.pt"
    student.save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged or half written"):
        student.resume(path)
    with pytest.raises(CheckpointError, match="no such file"):
        student.resume(tmp_path / "none.pt")
    student.save(path)
    with pytest.raises(CheckpointError, match="not one of a teacher"):
        Teacher(student.worlds, Recipe(worlds=16)).resume(path)


def test_sensors_of_nominal_worlds_have_only_the_errors_of_latency() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 8, seed=1)
    sensors = Sensors(worlds, seed=0)
    for _ in range(60):  # long enough for the blocks to lie still
        worlds.step(np.zeros((8, HAND.n_actuators)))
        seen, true = sensors.observe(), worlds.observe()
    still = np.abs(worlds._qvel).max(axis=1) < 0.02
    assert still.sum() >= 4
    np.testing.assert_allclose(seen[still, :-1], true[still, :-1], atol=2e-3)
    assert np.all(seen[:, -1] >= 0.02) and np.all(seen[:, -1] <= 0.05 + 1 / 12)
    worlds.step(np.random.default_rng(0).uniform(-1, 1, (8, HAND.n_actuators)))
    seen, true = sensors.observe(), worlds.observe()
    joints = slice(0, 2 * HAND.n_actuators)
    np.testing.assert_allclose(seen[:, joints], true[:, joints], atol=1e-6)


def test_sensors_have_the_errors_of_their_universe() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 256, seed=1)
    worlds.variation.draw(np.arange(256), worlds.rng, np.ones((256, len(AXES))))
    sensors = Sensors(worlds, seed=0)
    errors = []
    for _ in range(20):
        worlds.step(np.zeros((256, HAND.n_actuators)))
        errors.append(sensors.observe() - worlds.observe())
    error = np.array(errors)  # (steps, worlds, n)
    noisy = np.arange(256) % 8 != 0
    joints = error[:, noisy, : HAND.n_actuators]
    bias = joints.mean(0)
    assert bias.std() == pytest.approx(0.02, rel=0.15)
    assert (joints - bias).std() == pytest.approx(0.01, rel=0.1)
    ages = error[:, noisy, -1]
    assert ages.max() > 0.4, "no pose stayed away in 20 steps of 224 worlds"
    assert np.allclose(error[:, ~noisy, : HAND.n_actuators], 0.0, atol=1e-6)


def test_few_outliers_are_accepted_and_only_until_the_next_frames() -> None:
    worlds = BatchEnvironment(HAND, BLOCK, 400, seed=2)
    sensors = Sensors(worlds, seed=0)
    sensors._levels[:, 6] = 0.01
    steps = []
    for _ in range(40):
        sensors.observe()
        position, _, _ = sensors._poses.predict()
        steps.append(np.linalg.norm(position - worlds.object_position, axis=-1) > 1e-3)
    wild = np.array(steps)
    # Worlds stand still. A wild pose is believed for a picture, and the velocity it implied for
    # another: 2 to 4 policy steps of 0.75 pictures each.
    assert 0.01 < wild.mean() < 0.04
    longest = np.lib.stride_tricks.sliding_window_view(wild, 8, axis=0).all(-1)
    assert longest.mean() < 0.001
