"""A training run: reads a recipe, writes checkpoints, a log and a curve. It can be resumed."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
import tyro

from inhand.errors import InhandError
from inhand.result import print_json
from inhand.training.learning.curve import draw_curve
from inhand.training.learning.learners import Run, Stopped, build
from inhand.training.learning.memory import check_memory, device_memory
from inhand.training.learning.run_display import Display, closing
from inhand.training.learning.run_files import Paths, RunStatus, State, sole_trainer, write_status
from inhand.training.learning.run_log import RunLog
from inhand.training.learning.run_recipe import RunRecipe, TrainingError, load_recipe
from inhand.training.learning.stop import stop_requested
from inhand.training.mujoco_worlds.physics import Engine

LOG_EVERY = 10
SAVE_SECONDS = 120.0


def run_paths(runs: Path, recipe: RunRecipe) -> Paths:
    """Paths of the files of a recipe's run."""
    return Paths(runs / recipe.run)


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
    wandb: bool = False,
    engine: Engine = "mujoco",
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
        wandb: whether the log is also written for wandb.
        engine: of the physics; `warp` runs on the device of the learner.

    Returns:
        The last row of the log.

    Raises:
        TrainingError: the loss is not finite, the device cannot be used, or the worlds do not fit
            into memory.
        ClusterError: the cluster cannot be used.
        CheckpointError: a checkpoint cannot be read or written.
        EngineError: the engine cannot be used here.
        RunError: another process trains in the run's folder, or its log cannot be used.
    """
    if ray and engine != "mujoco":
        raise TrainingError("train: --ray and --engine warp do not go together; leave one out")
    check_device(device)
    if torch.device(device).type == "cpu":
        check_memory(recipe)
    if threads:
        torch.set_num_threads(threads)
    began = time.monotonic()
    # Ray sets signal handlers of its own when it is connected.
    with _connection(ray), stop_requested() as stop:

        def over() -> bool:
            late = minutes is not None and time.monotonic() - began > 60 * minutes
            return late or stop()

        with device_memory(recipe):
            learner = _start(recipe, runs, device, threads, ray, actors, over, engine)
        paths = run_paths(runs, recipe)
        with sole_trainer(paths):
            if paths.checkpoint.exists():
                learner.resume(paths.checkpoint)
                print(f"resuming {paths.checkpoint} at iteration {learner.iteration}")
            run = _Training(recipe, paths, learner)
            log = RunLog(paths, wandb, msgspec.to_builtins(recipe))
            began = time.monotonic()
            try:
                log.open(learner.iteration, learner.steps)
                run.note("running")
                with device_memory(recipe):
                    row = run.go(log, minutes, over)
            except InhandError as error:
                run.note("failed", str(error))
                raise
            finally:
                log.close()
            state: State = "finished" if learner.iteration >= recipe.iterations else "stopped"
            run.note(state)
            print(closing(run.status(state)), file=sys.stderr, flush=True)
            return row


@dataclass
class _Training:
    """A learner with the files that its run writes."""

    recipe: RunRecipe
    paths: Paths
    learner: Run

    def go(self, log: RunLog, minutes: float | None, over: Callable[[], bool]) -> dict[str, float]:
        """Iterates and saves; returns the last row."""
        recipe, learner = self.recipe, self.learner
        start = learner.iteration
        display = Display(recipe.run, recipe.iterations - start, minutes)
        began = saved = time.monotonic()
        row: dict[str, float] = {}
        logged = start
        while learner.iteration < recipe.iterations and not over():
            try:
                row = learner.iterate()
            except Stopped:
                break
            except FloatingPointError as error:
                raise TrainingError(f"run {recipe.run}: {error}") from error
            done, spent = learner.iteration - start, time.monotonic() - began
            # The first one and the last one, too: a short run is seen to learn.
            if learner.iteration % LOG_EVERY == 0 or learner.iteration == 1:
                log.write(row)
                display.row(row, done, spent)
                logged = learner.iteration
            display.at(done, spent)
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                self.note("running")
                saved = time.monotonic()
        if row and learner.iteration > logged:
            log.write(row)
            display.row(row, learner.iteration - start, time.monotonic() - began)
        display.end()
        self.save()
        return row

    def save(self) -> None:
        """Writes checkpoint and curve."""
        self.learner.save(self.paths.checkpoint)
        draw_curve(self.paths)

    def note(self, state: State, problem: str = "") -> None:
        """Writes how far the run is."""
        write_status(self.paths, self.status(state, problem))

    def status(self, state: State, problem: str = "") -> RunStatus:
        """How far the run is."""
        learner, recipe = self.learner, self.recipe
        return RunStatus(
            run=recipe.run,
            stage=recipe.stage,
            iterations=recipe.iterations,
            iteration=learner.iteration,
            steps=learner.steps,
            minutes=learner.seconds / 60,
            state=state,
            problem=problem,
        )


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
    engine: Engine,
) -> Run:
    if not ray:
        return build(recipe, runs, device, threads, engine)
    from inhand.training.learning.distributed import DistributedLearner

    return DistributedLearner(recipe, runs, device, threads, actors, stop)


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
        engine: of the physics: MuJoCo on the cores, or MuJoCo Warp on the device of the learner.
        wandb: write the log for wandb, too; it stays on this machine until `wandb sync`.
        json: print the last log line as JSON.
    """

    recipe: tyro.conf.Positional[str]
    runs: Path = Path("runs")
    minutes: float | None = None
    device: str = "cpu"
    threads: int = 0
    ray: str = ""
    actors: int = 0
    engine: Engine = "mujoco"
    wandb: bool = False
    json: bool = False


def _problems(given: Arguments) -> Iterator[str]:
    """What of the arguments cannot be meant."""
    if min(given.threads, given.actors) < 0:
        yield "--threads and --actors must be at least 0, which stands for all"
    if given.actors and not given.ray:
        yield "--actors counts processes of a Ray cluster; add --ray ADDRESS, or --ray local"
    if given.minutes is not None and not 0 < given.minutes < math.inf:
        yield f"--minutes {given.minutes:g} must be above 0"


def main() -> int:
    """`inhand train`."""
    given = tyro.cli(Arguments, prog="inhand train")
    for problem in _problems(given):
        raise TrainingError(f"train: {problem}")
    recipe = load_recipe(given.recipe)
    row = train(
        recipe,
        given.runs,
        given.device,
        given.threads,
        given.minutes,
        given.ray,
        given.actors,
        given.wandb,
        given.engine,
    )
    if given.json:
        print_json(row)
    return 0
