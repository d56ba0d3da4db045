"""`inhand eval`: measures a policy in any engine, in lockstep or with the real-time daemon."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import tyro

from inhand.controller.errors import PolicyError
from inhand.controller.policy.files import shipped_policy
from inhand.controller.policy.monitor_file import load_monitor, monitor_beside
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.files import write_whole
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception.keypoints.network import shipped_network
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.readout import Readout
from inhand.result import print_json
from inhand.training.evaluation import lockstep, wires
from inhand.training.evaluation.acceptance import append_to_log, commit, is_held_out
from inhand.training.evaluation.evaluation_arguments import EvaluationArguments, check, module_of
from inhand.training.evaluation.film import Reel, film
from inhand.training.evaluation.kept_trials import KeptTrials
from inhand.training.evaluation.lockstep import Progress, Watch
from inhand.training.evaluation.packed_files import Job, pack, run_job
from inhand.training.evaluation.report import PolicyReport, Report, make_report, summary, trial_line
from inhand.training.evaluation.trials import (
    EvaluationError,
    Rules,
    Setup,
    Trial,
    plan_trial,
)
from inhand.training.evaluation.workers import cluster, silence, spread, termination_interrupts
from inhand.training.sensors.measured_errors import errors_file, load_errors


def prepare(arguments: EvaluationArguments) -> tuple[Setup, PolicyReport]:
    """Reads and checks all inputs of the trials, and describes the policy.

    Raises:
        InhandError: an input is missing or does not fit the others.
    """
    check(arguments)
    hand, target = load_hand(arguments.hand), load_object(arguments.object)
    path = arguments.policy or shipped_policy(hand.name, target.name)
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
            arguments.seconds,
        ),
        seed=arguments.seed,
        wires=arguments.wires,
        eyes=arguments.eyes,
        errors=_errors(arguments, target),
        unstick=arguments.unstick,
        monitor=_monitor(path, policy, hand),
    )
    plan_trial(setup, 1)
    about = policy.metadata
    return setup, PolicyReport(
        path.name, policy.sha256, about.engine, about.randomization_scale, about.commit
    )


def _errors(arguments: EvaluationArguments, target: ObjectDescription) -> Path | None:
    """The file of the network's errors, if it is needed."""
    if arguments.eyes != "network" or arguments.wires:
        return None
    path = arguments.errors or errors_file(shipped_network(target))
    load_errors(path)
    return path


def _monitor(path: Path, policy: Policy, hand: Hand) -> Path | None:
    """The file of the policy's monitor; None if there is none for this version of it."""
    beside = monitor_beside(path)
    if not beside.exists():
        return None
    try:
        load_monitor(beside, policy, hand)
    except PolicyError as error:
        print(f"{error}; its alarms are not counted", file=sys.stderr)
        return None
    return beside


def run_trials(
    setup: Setup,
    trials: int,
    jobs: int = 1,
    progress: Progress | None = None,
    first: int = 1,
    watch: Watch | None = None,
    on_cluster: bool = False,
) -> Iterator[Trial]:
    """Runs the trials; yields them in order, each as soon as it is complete.

    Args:
        setup: what they share.
        trials: number of the last trial.
        jobs: trials at a time.
        progress: called during a trial that runs in this process.
        first: number of the first trial.
        watch: called after each tick of the first trial, if it runs in lockstep in this process.
        on_cluster: whether they run on the cluster that this program is connected to.
    """
    numbers = range(first, trials + 1)
    run_trial = wires.run_trial if setup.wires else lockstep.run_trial
    if on_cluster:
        files = pack(setup)
        yield from spread(run_job, [Job(setup, trial, files) for trial in numbers], 1, True)
    elif jobs == 1:
        for trial in numbers:
            if watch and trial == first:
                yield lockstep.run_trial(setup, trial, progress, watch=watch)
            else:
                yield run_trial(setup, trial, progress)
    else:
        yield from spread(partial(run_trial, setup), numbers, jobs)


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
    reel = Reel(arguments.cap, arguments.video_seconds) if arguments.video else None
    watch = reel.watch if reel else None
    jobs, on_cluster = arguments.jobs, bool(arguments.ray)
    with cluster(arguments.ray, jobs, [module_of(arguments.engine)]):
        report = measure(setup, policy, arguments.trials, jobs, lines, kept, watch, on_cluster)
    if reel and arguments.video:
        plan = plan_trial(setup, 1)
        write_whole(arguments.video, film(reel.moments, plan.hand, plan.target))
        print(f"eval: wrote {arguments.video}", file=sys.stderr)
    return report


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
    watch: Watch | None = None,
    on_cluster: bool = False,
) -> Report | None:
    """Runs trials and makes a report; held-out results are logged, also after a failure.

    Args:
        setup: what the trials share.
        policy: description of the policy.
        trials: number of trials.
        jobs: trials at a time.
        lines: stream for one line per trial.
        kept: trials that were finished before; receives the others.
        watch: called after each tick of the first trial that runs.
        on_cluster: whether they run on the cluster that this program is connected to.

    Returns:
        The report on the trials that were completed before an interrupt; None if there were none.
    """
    done = kept.trials[:trials] if kept else []
    before = len(done)
    seconds = kept.wall_seconds if kept else 0.0
    report = None
    last = time.monotonic()
    try:
        for trial in run_trials(setup, trials, jobs, _show, before + 1, watch, on_cluster):
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
    with termination_interrupts(), own_output() as output:
        return _print_evaluation(arguments, output)


@contextmanager
def own_output() -> Iterator[TextIO]:
    """Standard output without PyBullet's messages, which C code prints."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w") as output:
        silence()
        try:
            yield output
        finally:
            os.dup2(output.fileno(), 1)


def _show(trial: int, passed: int, t: float) -> None:
    Readout().show(f"trial {trial:3d}  {passed:2d} goals in {t:6.1f} s")
