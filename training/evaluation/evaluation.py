"""`inhand eval`: measures a policy in any engine, in lockstep or with the real-time daemon."""

import ctypes
import importlib.util
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TextIO

import tyro

from inhand.controller.policy.files import SHIPPED
from inhand.controller.policy.runtime import load_policy
from inhand.errors import remedy
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.perception.readout import Readout
from inhand.result import print_json
from inhand.training.evaluation import lockstep, wires
from inhand.training.evaluation.acceptance import append_to_log, commit, is_held_out
from inhand.training.evaluation.kept_trials import KeptTrials
from inhand.training.evaluation.lockstep import Progress
from inhand.training.evaluation.report import PolicyReport, Report, make_report, summary, trial_line
from inhand.training.evaluation.trials import (
    EngineName,
    EvaluationError,
    Rules,
    Setup,
    Trial,
    plan_trial,
)

_PR_SET_PDEATHSIG = 1

_EXTRAS = {
    "pybullet": ("pybullet", "sim"),
    "mujoco": ("mujoco", "train"),
    "drake": ("pydrake", "drake"),
}
"""Module and extra of each engine."""


@dataclass(frozen=True)
class EvaluationArguments:
    """Measure a policy: goals at random, one after another, until a drop or a time-out.

    Example: inhand eval --engine mujoco --trials 20 --seed 1

    Attributes:
        engine: Which physics.
        policy: ONNX file; by default the one that is shipped for the object.
        wires: Run the daemon and the simulated hand as processes, in real time.
        eyes: What finds the object with --wires: its tags, or the network of the program.
        hand: Name or file of the hand.
        object: Name or file of the object.
        goals: All orientations, or one face up with any heading.
        trials: Number of trials.
        seed: Makes everything random repeatable.
        universe: File with what differs from the nominal world.
        scale: Draw a universe for each trial; 1 is the published ranges.
        validation: MuJoCo with another time step, solver and friction cone than in training.
        tolerance: Largest error that counts as reached [rad].
        hold: Seconds the error must stay below it.
        timeout: Seconds without success after which a trial ends.
        cap: Goals after which a trial ends.
        jobs: Trials at a time, one process each; results do not depend on it.
        keep: File of finished trials; an evaluation that was interrupted goes on from it.
        json: Print the result as one JSON object.
    """

    engine: EngineName
    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    wires: bool = False
    eyes: Literal["tags", "network"] = "tags"
    hand: str = "dactyl24"
    object: str = "block"
    goals: Literal["so3", "face-up"] = "so3"
    trials: int = 20
    seed: int = 1
    universe: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    scale: Annotated[float | None, tyro.conf.arg(metavar="X")] = None
    validation: bool = False
    tolerance: float = 0.4
    hold: float = 0.0
    timeout: float = 80.0
    cap: int = 50
    jobs: int = 1
    keep: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    json: bool = False


def check(arguments: EvaluationArguments) -> None:
    """Raises EvaluationError if the arguments are invalid or a package is missing."""
    given = arguments
    problem = ""
    if given.trials < 1 or given.jobs < 1 or given.seed < 0:
        problem = "--trials and --jobs must be at least 1, --seed not negative"
    elif not 0 < given.tolerance <= 3.15:
        problem = f"--tolerance {given.tolerance} must lie in (0, 3.15] rad"
    elif not (0 <= given.hold <= 3600 and 0 < given.timeout <= 3600):
        problem = "--hold must lie in 0..3600 s and --timeout in (0, 3600] s"
    elif not 1 <= given.cap <= 1000:
        problem = f"--cap {given.cap} must lie in 1..1000"
    elif given.universe is not None and given.scale is not None:
        problem = "--universe and --scale exclude each other"
    elif given.scale is not None and not 0 <= given.scale <= 10:
        problem = f"--scale {given.scale} must lie in 0..10"
    elif given.validation and given.engine != "mujoco":
        problem = "--validation goes with --engine mujoco only"
    elif given.wires and (given.engine != "pybullet" or given.jobs > 1):
        problem = "--wires runs in real time: with --engine pybullet and --jobs 1 only"
    elif given.eyes == "network" and not given.wires:
        problem = "--eyes network needs pictures: add --wires; in lockstep there are none"
    elif importlib.util.find_spec(_EXTRAS[given.engine][0]) is None:
        extra = _EXTRAS[given.engine][1]
        problem = f"{given.engine} is not installed; {remedy(extra)}"
    if problem:
        raise EvaluationError(f"eval: {problem}")


def prepare(arguments: EvaluationArguments) -> tuple[Setup, PolicyReport]:
    """Reads and checks all inputs of the trials, and describes the policy.

    Raises:
        InhandError: an input is missing or does not fit the others.
    """
    check(arguments)
    hand, target = load_hand(arguments.hand), load_object(arguments.object)
    path = arguments.policy or SHIPPED / f"{target.name}.onnx"
    policy = load_policy(path, hand, target, allowed=None)
    for difference in policy.differences:
        print(f"policy {policy.name}: trained with another {difference}", file=sys.stderr)
    setup = Setup(
        policy=path,
        sha256=policy.sha256,
        engine=arguments.engine,
        hand=arguments.hand,
        object=arguments.object,
        universe=arguments.universe,
        scale=arguments.scale,
        validation=arguments.validation,
        rules=Rules(
            arguments.goals,
            arguments.tolerance,
            arguments.hold,
            arguments.timeout,
            arguments.cap,
        ),
        seed=arguments.seed,
        wires=arguments.wires,
        eyes=arguments.eyes,
    )
    plan_trial(setup, 1)
    about = policy.metadata
    return setup, PolicyReport(
        path.name, policy.sha256, about.engine, about.randomization_scale, about.commit
    )


def run_trials(
    setup: Setup, trials: int, jobs: int = 1, progress: Progress | None = None, first: int = 1
) -> Iterator[Trial]:
    """Runs the trials; yields them in order, each as soon as it is complete.

    Args:
        setup: what they share.
        trials: number of the last trial.
        jobs: trials at a time.
        progress: called during a trial, if `jobs` is 1.
        first: number of the first trial.
    """
    numbers = range(first, trials + 1)
    run_trial = wires.run_trial if setup.wires else lockstep.run_trial
    if jobs == 1:
        for trial in numbers:
            yield run_trial(setup, trial, progress)
        return
    # ONNX Runtime's threads do not survive a fork: a forked process would hang.
    context = multiprocessing.get_context("spawn")
    begin, parent = _begin_work, (os.getpid(),)
    with ProcessPoolExecutor(jobs, context, begin, parent) as pool:
        yield from pool.map(partial(run_trial, setup), numbers)


def evaluate(arguments: EvaluationArguments) -> Report:
    """Runs an evaluation; prints a line for each trial on standard error.

    Args:
        arguments: what to measure, and how.

    Returns:
        The report. After an interrupt `n` is less than the number of trials requested.

    Raises:
        InhandError: an input is missing or does not fit the others, or no trial was completed.
    """
    report = _measured(arguments, sys.stderr)
    if report is None:
        raise EvaluationError("eval: interrupted before the first trial was complete")
    return report


def _measured(arguments: EvaluationArguments, lines: TextIO) -> Report | None:
    setup, policy = prepare(arguments)
    kept = KeptTrials(arguments.keep, setup, commit()) if arguments.keep else None
    return measure(setup, policy, arguments.trials, arguments.jobs, lines, kept)


def _print_evaluation(arguments: EvaluationArguments, output: TextIO) -> int:
    """Runs an evaluation and prints its result; returns the exit code, 130 after an interrupt."""
    report = _measured(arguments, sys.stderr if arguments.json else output)
    if report is not None:
        if arguments.json:
            print_json(report)
        else:
            print(summary(report), file=output, flush=True)
    return 0 if report is not None and report.n == arguments.trials else 130


def measure(
    setup: Setup,
    policy: PolicyReport,
    trials: int,
    jobs: int,
    lines: TextIO,
    kept: KeptTrials | None = None,
) -> Report | None:
    """Runs trials and makes a report; held-out results are logged, also after a failure.

    Args:
        setup: what the trials share.
        policy: description of the policy.
        trials: number of trials.
        jobs: trials at a time.
        lines: stream for one line per trial.
        kept: trials that were finished before; receives the others.

    Returns:
        The report on the trials that were completed before an interrupt; None if there were none.
    """
    done = kept.trials[:trials] if kept else []
    before = len(done)
    seconds = kept.wall_seconds if kept else 0.0
    report = None
    last = time.monotonic()
    try:
        for trial in run_trials(setup, trials, jobs, _show, first=before + 1):
            now = time.monotonic()
            spent, last = now - last, now
            done.append(trial)
            seconds += spent
            if kept:
                kept.add(trial, spent)
            Readout().clear()
            print(trial_line(trial, trials), file=lines, flush=True)
    except KeyboardInterrupt:
        print("eval: interrupted", file=sys.stderr)
    finally:
        if done:
            report = make_report(setup, policy, done, seconds)
            # Results in the held-out engine are logged, also those before a failure.
            if is_held_out(report) and len(done) > before:
                print(f"eval: {append_to_log(report, trials)}", file=sys.stderr)
    return report


def main() -> int:
    """Entry point of `inhand eval`."""
    config = (tyro.conf.FlagCreatePairsOff,)
    arguments = tyro.cli(EvaluationArguments, prog="inhand eval", config=config)
    with own_output() as output:
        return _print_evaluation(arguments, output)


@contextmanager
def own_output() -> Iterator[TextIO]:
    """Standard output without PyBullet's messages, which C code prints."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w") as output:
        _silence()
        try:
            yield output
        finally:
            os.dup2(output.fileno(), 1)


def _begin_work(parent: int) -> None:
    """Prepares a worker process: no output, and it ends when its parent ends.

    Args:
        parent: process id of the parent.
    """
    _silence()
    # Also if a signal kills the parent (prctl(2)).
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have ended before that.
    if os.getppid() != parent:
        os._exit(1)


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _show(trial: int, passed: int, t: float) -> None:
    Readout().show(f"trial {trial:3d}  {passed:2d} goals in {t:6.1f} s")
