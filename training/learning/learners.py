"""The learner of a recipe, with its worlds and with the networks that it starts from."""

from pathlib import Path
from typing import Protocol

import msgspec
import mujoco
import torch
from torch import nn

from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception.objects import ObjectDescription, load_object
from inhand.training.learning.automatic_curriculum import begin_curriculum
from inhand.training.learning.checkpoint import read_checkpoint
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.refine import Refinement
from inhand.training.learning.run_recipe import RunRecipe, checkpoint_of
from inhand.training.learning.student import Student
from inhand.training.learning.student_network import (
    StudentNetwork,
    load_student,
    version_of_student,
    widened_student,
)
from inhand.training.learning.teacher import Teacher
from inhand.training.learning.widening import widen_network
from inhand.training.mujoco_worlds.automatic_ranges import Precision
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.physics import Engine, EngineError
from inhand.training.mujoco_worlds.rewards import Rewards
from inhand.training.mujoco_worlds.settled_starts import collect_starts
from inhand.training.mujoco_worlds.tensor_environment import TensorEnvironment

Learner = Teacher | Student | Refinement


class Stopped(Exception):  # noqa: N818  (it is no error)
    """A run was asked to stop while its learner waited."""


class Run(Protocol):
    """What a training run does with a learner, wherever its worlds are."""

    @property
    def iteration(self) -> int:
        """Iterations so far."""
        ...

    @property
    def steps(self) -> int:
        """Policy steps of all worlds so far."""
        ...

    @property
    def seconds(self) -> float:
        """Time spent so far [s]."""
        ...

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns the row for the log."""
        ...

    def save(self, path: Path) -> None:
        """Writes a checkpoint atomically."""
        ...

    def resume(self, path: Path) -> None:
        """Continues from a checkpoint; raises as `read_checkpoint` does."""
        ...


def build(
    recipe: RunRecipe, runs: Path, device: str, threads: int, engine: Engine = "mujoco"
) -> Learner:
    """Worlds and learner of a recipe, in the state of the checkpoint of its `from_run`.

    Raises:
        CheckpointError: that checkpoint is missing, or of another hand, object or model.
        EngineError: the engine cannot be used here, or the worlds do not fit into its memory.
    """
    hand, target = load_hand(recipe.hand), load_object(recipe.object)
    worlds: BatchOfWorlds
    if engine == "warp":
        if recipe.protected or recipe.finer > 1 or recipe.settled:
            raise EngineError(
                "engine warp has neither `protected` servos nor `finer` steps nor `settled` "
                "starts; train this recipe on mujoco"
            )
        size, seed = recipe.settings.worlds, recipe.settings.seed
        worlds = worlds_on_device(hand, target, size, device, seed, rewards_of(recipe))
    else:
        worlds = make_worlds(recipe, hand, target, threads)
    learner = make_learner(recipe, worlds, load_networks(recipe, worlds, runs), device)
    start_from(learner, recipe, runs)
    return learner


def worlds_on_device(
    hand: Hand,
    target: ObjectDescription,
    size: int,
    device: str,
    seed: int = 0,
    rewards: Rewards | None = None,
) -> TensorEnvironment:
    """Worlds of which everything stays on a device, in MuJoCo Warp.

    Raises:
        EngineError: the engine cannot be used here, or the worlds do not fit into its memory.
    """
    # MuJoCo Warp is in an extra of its own.
    from inhand.training.mujoco_worlds.warp_on_device import WarpOnDevice

    def physics(model: mujoco.MjModel, worlds: int) -> WarpOnDevice:
        return WarpOnDevice(model, worlds, device)

    return TensorEnvironment(hand, target, size, physics, seed, rewards)


def rewards_of(recipe: RunRecipe) -> Rewards:
    """Weights of the reward in the worlds of a recipe; a refinement has its own time limit."""
    if recipe.stage != "refine":
        return recipe.rewards
    seconds = recipe.refine.seconds_per_goal
    return msgspec.structs.replace(recipe.rewards, seconds_per_goal=seconds)


def make_worlds(
    recipe: RunRecipe, hand: Hand, target: ObjectDescription, threads: int
) -> BatchEnvironment:
    """The worlds that a recipe trains in on cores, without its curriculum."""
    size, seed = recipe.settings.worlds, recipe.settings.seed
    return BatchEnvironment(
        hand,
        target,
        size,
        threads,
        seed,
        rewards_of(recipe),
        protected=recipe.protected,
        finer=recipe.finer,
    )


def load_networks(recipe: RunRecipe, worlds: BatchOfWorlds, runs: Path) -> tuple[nn.Module, ...]:
    """The networks that the recipe's learner starts from, on the CPU.

    None for a teacher; its teacher for a student; student and critic for a refinement.

    Raises:
        CheckpointError: a checkpoint is missing, or of another hand, object or model.
    """
    if recipe.stage == "teacher":
        return ()
    if recipe.stage == "student":
        return (load_teacher(worlds, checkpoint_of(runs, recipe.from_run)),)
    another = recipe.from_object not in ("", recipe.object)
    critic = load_teacher(worlds, checkpoint_of(runs, recipe.teacher_run), another_object=another)
    student = load_student(worlds, checkpoint_of(runs, recipe.from_run), another)
    version = recipe.refine.observation
    if version_of_student(worlds.hand, student) < version:
        student = widened_student(student, worlds.hand, version, world=True)
    return student, critic


def make_learner(
    recipe: RunRecipe, worlds: BatchOfWorlds, networks: tuple[nn.Module, ...], device: str
) -> Learner:
    """The learner of a recipe at its start.

    Args:
        recipe: of the run.
        worlds: that it acts in.
        networks: of `load_networks`.
        device: of the learner.
    """
    if recipe.stage == "teacher":
        worlds.vary = recipe.vary
        return Teacher(worlds, recipe.teacher, device)
    _vary(worlds, recipe)
    if recipe.stage == "student":
        (teacher,) = networks
        assert isinstance(teacher, Network)
        return Student(worlds, teacher.to(device), recipe.student, device)
    student, critic = networks
    assert isinstance(student, StudentNetwork) and isinstance(critic, Network)
    return Refinement(worlds, student, critic.to(device), recipe.refine, device)


def start_from(learner: Learner, recipe: RunRecipe, runs: Path) -> None:
    """Continues a teacher from the run that its recipe names; raises as `read_checkpoint` does."""
    if isinstance(learner, Teacher) and recipe.from_run:
        learner.start_from(checkpoint_of(runs, recipe.from_run))


def _vary(worlds: BatchOfWorlds, recipe: RunRecipe) -> None:
    """Sets the universes and tolerances of a student's worlds."""
    worlds.vary = recipe.vary
    rewards = recipe.rewards
    if recipe.stage == "refine" and recipe.refine.ranges:
        begin_curriculum(worlds, recipe.refine.ranges, recipe.vary)
    elif rewards.finest < rewards.tolerance:
        worlds.precision = Precision(None, rewards.tolerance, rewards.finest, worlds.size)
    if recipe.settled:
        assert isinstance(worlds, BatchEnvironment)
        worlds.starts = collect_starts(worlds, recipe.settled)
    worlds.harden(float(torch.pi), recipe.universe_scale)


def load_teacher(
    worlds: BatchOfWorlds, path: Path, device: str = "cpu", another_object: bool = False
) -> Network:
    """The network of a teacher's checkpoint, widened if it saw less of its universe.

    Raises as `read_checkpoint` does.
    """
    state = read_checkpoint(path, "teacher", worlds, "cpu", another_object)["network"]
    state = widen_network(state, teacher_inputs(worlds, "cpu").shape[1])
    network = Network(len(state["mean"]), worlds.hand.n_actuators, 1.0).to(device)
    network.load_state_dict(state)
    return network
