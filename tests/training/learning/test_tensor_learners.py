"""Student and refinement learn in worlds whose arrays are tensors."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.refine import Refinement, RefineRecipe
from inhand.training.learning.student import Student, StudentRecipe
from inhand.training.sensors.tensor_sensors import TensorSensors
from tests.training.mujoco_worlds.test_tensor_environment import HAND, WORLDS, on_tensors

ITERATIONS = 6


def made(**settings: float) -> Student:
    torch.manual_seed(1)
    worlds = on_tensors()
    worlds.harden(float(np.pi), 1.0)
    teacher = Network(teacher_inputs(worlds, "cpu").shape[1], HAND.n_actuators, 1.0)
    # Actions that depend on the state; a new network's are nearly zero.
    torch.nn.init.normal_(teacher.actor[-1].weight, 0.0, 0.05)
    recipe = StudentRecipe(
        worlds=WORLDS, horizon=4, hidden=32, step_size=3e-3, world_loss=0.1, observation=2
    )
    return Student(worlds, teacher, recipe)


def in_full_precision(learner: Student | Refinement) -> list[str]:
    """Watches that worlds and sensors never compute in mixed precision; returns their calls."""
    calls: list[str] = []

    def watch(owner: Any, name: str) -> None:
        method = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            assert not torch.is_autocast_enabled("cpu"), name
            calls.append(name)
            return method(*arguments)

        setattr(owner, name, watched)

    for name in ("step", "reset", "observe", "privileged"):
        watch(learner.worlds, name)
    for name in ("reset", "observe", "privileged"):
        watch(learner.policy.sensors, name)
    return calls


def test_a_student_learns_to_do_what_its_teacher_does(tmp_path: Path) -> None:
    student = made()
    assert isinstance(student.policy.sensors, TensorSensors)
    calls = in_full_precision(student)
    rows = [student.iterate() for _ in range(ITERATIONS)]
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert rows[-1]["world_loss"] < rows[0]["world_loss"]
    assert calls.count("step") == 4 * ITERATIONS < calls.count("observe")
    assert rows[-1]["steps"] == ITERATIONS * 4 * WORLDS
    student.save(tmp_path / "student.pt")
    again = made()
    again.resume(tmp_path / "student.pt")
    assert again.iterate()["iteration"] == ITERATIONS + 1


def test_a_refinement_improves_its_critic() -> None:
    student = made()
    recipe = RefineRecipe(
        worlds=WORLDS, horizon=8, minibatches=2, critic_iterations=2, observation=2
    )
    learner = Refinement(student.worlds, student.network, student.teacher, recipe)
    assert isinstance(learner.policy.sensors, TensorSensors)
    calls = in_full_precision(learner)
    before = [weight.detach().clone() for weight in learner.network.parameters()]
    rows = [learner.iterate() for _ in range(6)]
    assert {"step", "observe", "privileged"} <= set(calls)
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert rows[-1]["value_error"] < rows[0]["value_error"]
    assert any(
        not torch.equal(one, other)
        for one, other in zip(before, learner.network.parameters(), strict=True)
    )
