"""A training run: reads a recipe, writes checkpoints, a log and a curve. It can be resumed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
import tyro

from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.result import print_json
from inhand.training.learning.automatic_curriculum import begin_curriculum
from inhand.training.learning.checkpoint import read_checkpoint
from inhand.training.learning.curve import draw_curve
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.refine import Refinement
from inhand.training.learning.run_display import Display
from inhand.training.learning.run_files import (
    Paths,
    RunStatus,
    State,
    sole_trainer,
    write_status,
)
from inhand.training.learning.run_log import RunLog
from inhand.training.learning.run_recipe import RunRecipe, TrainingError, load_recipe
from inhand.training.learning.stop import stop_requested
from inhand.training.learning.student import Student
from inhand.training.learning.student_network import (
    load_student,
    version_of_student,
    widened_student,
)
from inhand.training.learning.teacher import Teacher
from inhand.training.learning.widening import widen_network
from inhand.training.mujoco_worlds.automatic_ranges import Precision
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.environment import BatchEnvironment

LOG_EVERY = 10
SAVE_SECONDS = 120.0


Learner = Teacher | Student | Refinement


def run_paths(runs: Path, recipe: RunRecipe) -> Paths:
    """Paths of the files of a recipe's run."""
    return Paths(runs / recipe.run)


def build(recipe: RunRecipe, runs: Path, device: str, threads: int) -> Learner:
    """Worlds and learner of a recipe, in the state of the checkpoint of its `from_run`.

    Raises:
        CheckpointError: that checkpoint is missing, or of another hand, object or model.
    """
    hand, target = load_hand(recipe.hand), load_object(recipe.object)
    if recipe.stage == "teacher":
        settings = recipe.teacher
        size, seed = settings.worlds, settings.seed
        worlds = BatchEnvironment(hand, target, size, threads, seed, recipe.rewards)
        worlds.vary = recipe.vary
        teacher = Teacher(worlds, settings, device)
        if recipe.from_run:
            teacher.start_from(Paths(runs / recipe.from_run).checkpoint)
        return teacher
    if recipe.stage == "refine":
        refine = recipe.refine
        seconds = refine.seconds_per_goal
        rewards = msgspec.structs.replace(recipe.rewards, seconds_per_goal=seconds)
        worlds = BatchEnvironment(hand, target, refine.worlds, threads, refine.seed, rewards)
        another = recipe.from_object not in ("", recipe.object)
        critic = load_teacher(worlds, Paths(runs / recipe.teacher_run).checkpoint, device, another)
        student = load_student(worlds, Paths(runs / recipe.from_run).checkpoint, another)
        if version_of_student(hand, student) < refine.observation:
            student = widened_student(student, hand, refine.observation, world=True)
        _vary(worlds, recipe)
        return Refinement(worlds, student, critic, refine, device)
    size, seed = recipe.student.worlds, recipe.student.seed
    worlds = BatchEnvironment(hand, target, size, threads, seed, recipe.rewards)
    network = load_teacher(worlds, Paths(runs / recipe.from_run).checkpoint, device)
    _vary(worlds, recipe)
    return Student(worlds, network, recipe.student, device)


def _vary(worlds: BatchOfWorlds, recipe: RunRecipe) -> None:
    """Sets the universes and tolerances of a student's worlds."""
    worlds.vary = recipe.vary
    rewards = recipe.rewards
    if recipe.stage == "refine" and recipe.refine.ranges:
        begin_curriculum(worlds, recipe.refine.ranges, recipe.vary)
    elif rewards.finest < rewards.tolerance:
        worlds.precision = Precision(None, rewards.tolerance, rewards.finest, worlds.size)
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


def check_device(device: str) -> None:
    """Computes on a device of torch once.

    Raises:
        TrainingError: there is no such device here.
    """
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise TrainingError(
            f"train: --device {device} cannot be used on this machine ({reason}); use --device cpu"
        ) from error


def train(
    recipe: RunRecipe,
    runs: Path,
    device: str,
    threads: int,
    minutes: float | None,
    wandb: bool = False,
) -> dict[str, float]:
    """Trains until all iterations are done, the time is over or a signal comes.

    Returns:
        The last row of the log.

    Raises:
        TrainingError: the loss is not finite, or the device cannot be used.
        CheckpointError: a checkpoint cannot be read or written.
        RunError: another process trains in the run's folder, or its log cannot be used.
    """
    check_device(device)
    if threads:
        torch.set_num_threads(threads)
    learner = build(recipe, runs, device, threads)
    paths = run_paths(runs, recipe)
    with sole_trainer(paths), stop_requested() as stop:
        if paths.checkpoint.exists():
            learner.resume(paths.checkpoint)
            print(f"resuming {paths.checkpoint} at iteration {learner.iteration}")
        run = _Run(recipe, paths, learner)
        log = RunLog(paths, wandb, msgspec.to_builtins(recipe))
        try:
            log.open(learner.iteration, learner.steps)
            run.note("running")
            row = run.go(log, minutes, stop)
        except InhandError as error:
            run.note("failed", str(error))
            raise
        finally:
            log.close()
        run.note("finished" if learner.iteration >= recipe.iterations else "stopped")
        return row


@dataclass
class _Run:
    """A learner with the files that its run writes."""

    recipe: RunRecipe
    paths: Paths
    learner: Learner

    def go(self, log: RunLog, minutes: float | None, stop: Callable[[], bool]) -> dict[str, float]:
        """Iterates and saves; returns the last row."""
        recipe, learner = self.recipe, self.learner
        start = learner.iteration
        display = Display(recipe.run, recipe.iterations - start, minutes)
        began = saved = time.monotonic()
        row: dict[str, float] = {}
        while learner.iteration < recipe.iterations and not stop():
            if minutes is not None and time.monotonic() - began > 60 * minutes:
                break
            try:
                row = learner.iterate()
            except FloatingPointError as error:
                raise TrainingError(f"run {recipe.run}: {error}") from error
            done, spent = learner.iteration - start, time.monotonic() - began
            if learner.iteration % LOG_EVERY == 0 or learner.iteration == recipe.iterations:
                log.write(row)
                display.row(row, done, spent)
            display.at(done, spent)
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                self.note("running")
                saved = time.monotonic()
        display.end()
        self.save()
        return row

    def save(self) -> None:
        """Writes checkpoint and curve."""
        self.learner.save(self.paths.checkpoint)
        draw_curve(self.paths)

    def note(self, state: State, problem: str = "") -> None:
        """Writes how far the run is."""
        learner, recipe = self.learner, self.recipe
        status = RunStatus(
            run=recipe.run,
            stage=recipe.stage,
            iterations=recipe.iterations,
            iteration=learner.iteration,
            steps=learner.steps,
            minutes=learner.seconds / 60,
            state=state,
            problem=problem,
        )
        write_status(self.paths, status)


@dataclass
class Arguments:
    """Train a policy, or continue a run that was stopped.

    Example: inhand train block-teacher --minutes 60

    Attributes:
        recipe: name of a recipe, or a TOML file.
        runs: folder of the runs' checkpoints, logs and curves.
        minutes: stop after this time; the same command continues the run.
        device: of the learner, as torch names it: cpu, cuda.
        threads: of the learner and of the physics each; 0 for all cores.
        wandb: write the log for wandb, too; it stays on this machine until `wandb sync`.
        json: print the last log line as JSON.
    """

    recipe: tyro.conf.Positional[str]
    runs: Path = Path("runs")
    minutes: float | None = None
    device: str = "cpu"
    threads: int = 0
    wandb: bool = False
    json: bool = False


def main() -> int:
    """`inhand train`."""
    given = tyro.cli(Arguments, prog="inhand train")
    recipe = load_recipe(given.recipe)
    row = train(recipe, given.runs, given.device, given.threads, given.minutes, given.wandb)
    if given.json:
        print_json(row)
    return 0
