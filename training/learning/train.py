"""A training run: reads a recipe, writes checkpoints, a log and a curve. It can be resumed."""

import csv
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import msgspec
import torch
import tyro

from inhand.files import whole_file
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.result import print_json
from inhand.training.learning.automatic_curriculum import begin_curriculum
from inhand.training.learning.checkpoint import read_checkpoint
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.refine import Refinement
from inhand.training.learning.run_recipe import RunRecipe, TrainingError, load_recipe
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

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen before)

LOG_EVERY = 10
SAVE_SECONDS = 120.0


Learner = Teacher | Student | Refinement


@dataclass
class Paths:
    """Paths of a run's checkpoint, log and curve."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def log(self) -> Path:
        return self.folder / "log.csv"

    @property
    def curve(self) -> Path:
        return self.folder / "curve.png"


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


@contextmanager
def _stop_requested() -> Iterator[Callable[[], bool]]:
    """Catches SIGINT and SIGTERM; gives a function that says whether one of them came."""
    requested = False

    def note(*_: object) -> None:
        nonlocal requested
        requested = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    recipe: RunRecipe, runs: Path, device: str, threads: int, minutes: float | None
) -> dict[str, float]:
    """Trains until all iterations are done, the time is over or a signal comes.

    Returns:
        The last row of the log.

    Raises:
        TrainingError: the loss is not finite, or the device cannot be used.
        CheckpointError: a checkpoint cannot be read or written.
    """
    check_device(device)
    if threads:
        torch.set_num_threads(threads)
    learner = build(recipe, runs, device, threads)
    paths = run_paths(runs, recipe)
    paths.folder.mkdir(parents=True, exist_ok=True)
    if paths.checkpoint.exists():
        learner.resume(paths.checkpoint)
        print(f"resuming {paths.checkpoint} at iteration {learner.iteration}")
    began = saved = time.monotonic()
    row: dict[str, float] = {}
    start = learner.iteration
    with _stop_requested() as stop_requested:
        while learner.iteration < recipe.iterations and not stop_requested():
            if minutes is not None and time.monotonic() - began > 60 * minutes:
                break
            try:
                row = learner.iterate()
            except FloatingPointError as error:
                raise TrainingError(f"run {recipe.run}: {error}") from error
            if learner.iteration % LOG_EVERY == 0:
                _log(paths, row)
                done, spent = learner.iteration - start, time.monotonic() - began
                _show(row, done, spent, recipe.iterations - learner.iteration)
            if time.monotonic() - saved > SAVE_SECONDS:
                learner.save(paths.checkpoint)
                draw_curve(paths)
                saved = time.monotonic()
    learner.save(paths.checkpoint)
    draw_curve(paths)
    return row


def _log(paths: Paths, row: dict[str, float]) -> None:
    fresh = not paths.log.exists()
    with paths.log.open("a", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        if fresh:
            writer.writeheader()
        writer.writerow({key: f"{value:.6g}" for key, value in row.items()})


def _show(row: dict[str, float], done: int, seconds: float, left: int) -> None:
    eta = left * seconds / done / 60
    steps = row["steps"] / row["iteration"] * done / seconds
    keys = [key for key in row if key not in ("iteration", "steps", "minutes")]
    values = "  ".join(f"{key} {row[key]:.4g}" for key in keys)
    line = f"{row['iteration']:.0f}  {row['steps'] / 1e6:.2f} M  {steps:.0f} steps/s  {values}"
    print(f"{line}  {eta:.0f} min left", file=sys.stderr, flush=True)


def draw_curve(paths: Paths) -> None:
    """Draws the columns of the log over the policy steps."""
    if not paths.log.exists():
        return
    with paths.log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [
        n for n in ("goals", "goals_per_drop", "distance", "universe_scale", "loss") if n in rows[0]
    ]
    figure, axes = plt.subplots(len(names), 1, sharex=True, figsize=(7, 2 * len(names)))
    steps = [float(row["steps"]) / 1e6 for row in rows]
    for axis, name in zip(axes, names, strict=True):
        axis.plot(steps, [float(row[name]) for row in rows])
        axis.set_ylabel(name.replace("_", " "))
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("million policy steps")
    figure.tight_layout()
    with whole_file(paths.curve) as file:
        figure.savefig(file, format="png", dpi=100)
    plt.close(figure)


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
        json: print the last log line as JSON.
    """

    recipe: tyro.conf.Positional[str]
    runs: Path = Path("runs")
    minutes: float | None = None
    device: str = "cpu"
    threads: int = 0
    json: bool = False


def main() -> int:
    """`inhand train`."""
    given = tyro.cli(Arguments, prog="inhand train")
    recipe = load_recipe(given.recipe)
    row = train(recipe, given.runs, given.device, given.threads, given.minutes)
    if given.json:
        print_json(row)
    return 0
