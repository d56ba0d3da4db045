"""A training run: reads a recipe, writes checkpoints, a log and a curve. It can be resumed."""

import csv
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import torch
import tyro

from inhand.files import whole_file
from inhand.result import print_json
from inhand.training.learning.learners import Run, Stopped, build
from inhand.training.learning.memory import check_memory
from inhand.training.learning.run_recipe import RunRecipe, TrainingError, load_recipe

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen before)

LOG_EVERY = 10
SAVE_SECONDS = 120.0


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
    recipe: RunRecipe,
    runs: Path,
    device: str,
    threads: int,
    minutes: float | None,
    ray: str = "",
    actors: int = 0,
) -> dict[str, float]:
    """Trains until all iterations are done, the time is over or a signal comes.

    Args:
        recipe: what to train.
        runs: folder of the runs.
        device: of the learner.
        threads: of the learner and of the physics each; 0 for all cores.
        minutes: time limit.
        ray: address of a Ray cluster whose machines step the worlds, or `local`; empty for none.
        actors: processes there that act; 0 for all its CPUs but one.

    Returns:
        The last row of the log.

    Raises:
        TrainingError: the loss is not finite, the device cannot be used, or the worlds do not fit
            into memory.
        ClusterError: the cluster cannot be used.
        CheckpointError: a checkpoint cannot be read or written.
    """
    check_device(device)
    check_memory(recipe)
    if threads:
        torch.set_num_threads(threads)
    began = saved = time.monotonic()
    # Ray sets signal handlers of its own when it is connected.
    with _connection(ray), _stop_requested() as stop_requested:

        def over() -> bool:
            late = minutes is not None and time.monotonic() - began > 60 * minutes
            return late or stop_requested()

        learner = _start(recipe, runs, device, threads, ray, actors, over)
        paths = run_paths(runs, recipe)
        paths.folder.mkdir(parents=True, exist_ok=True)
        if paths.checkpoint.exists():
            learner.resume(paths.checkpoint)
            print(f"resuming {paths.checkpoint} at iteration {learner.iteration}")
        began = time.monotonic()
        row: dict[str, float] = {}
        start = learner.iteration
        while learner.iteration < recipe.iterations and not over():
            try:
                row = learner.iterate()
            except Stopped:
                break
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


def _connection(ray: str) -> AbstractContextManager[None]:
    """The connection to a cluster for as long as a run lasts, if it has one."""
    if not ray:
        return nullcontext()
    # Ray is in an extra of its own.
    from inhand.training.cluster.connection import connected
    from inhand.training.learning.distributed import MODULES

    return connected(ray, MODULES)


def _start(
    recipe: RunRecipe,
    runs: Path,
    device: str,
    threads: int,
    ray: str,
    actors: int,
    stop: Callable[[], bool],
) -> Run:
    if not ray:
        return build(recipe, runs, device, threads)
    from inhand.training.learning.distributed import DistributedLearner

    return DistributedLearner(recipe, runs, device, threads, actors, stop)


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
        ray: step the worlds on the machines of a Ray cluster: HOST:PORT of its head, or `local`.
        actors: processes of that cluster that act; 0 for all its CPUs but one.
        json: print the last log line as JSON.
    """

    recipe: tyro.conf.Positional[str]
    runs: Path = Path("runs")
    minutes: float | None = None
    device: str = "cpu"
    threads: int = 0
    ray: str = ""
    actors: int = 0
    json: bool = False


def main() -> int:
    """`inhand train`."""
    given = tyro.cli(Arguments, prog="inhand train")
    recipe = load_recipe(given.recipe)
    row = train(
        recipe, given.runs, given.device, given.threads, given.minutes, given.ray, given.actors
    )
    if given.json:
        print_json(row)
    return 0
