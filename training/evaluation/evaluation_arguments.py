"""Arguments of `inhand eval`, and their checks."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from inhand.errors import remedy
from inhand.files import refuse_existing
from inhand.training.evaluation.film import missing
from inhand.training.evaluation.trials import UNSTICK, EngineName, EvaluationError

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
        policy: ONNX file; by default the one that is shipped for the hand and object.
        wires: Run the daemon and the simulated hand as processes, in real time.
        eyes: What finds the object: its tags, or the network of the program. In lockstep, poses
            have the errors that were measured of it (`inhand vision errors`).
        errors: File of a network's errors for that; by default those of the program's network.
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
        seconds: Length of a trial, from its first goal on [s]; 0 for no limit.
        unstick: Noise on actions after 5 s without success, as [goals] unstick of the
            configuration; 0 for a policy that was not trained with it.
        jobs: Trials at a time, one process each; results do not depend on it.
        ray: Spread trials over a Ray cluster: HOST:PORT of its head, or `local`.
        keep: File of finished trials; an evaluation that was interrupted goes on from it.
        video: File for a film (MP4) of the first trial that runs.
        video_seconds: Length of the film, from the first goal on [s].
        json: Print the result as one JSON object.
    """

    engine: EngineName
    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    wires: bool = False
    eyes: Literal["tags", "network"] = "tags"
    errors: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
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
    seconds: Annotated[float, tyro.conf.arg(metavar="X")] = 0.0
    unstick: Annotated[float, tyro.conf.arg(metavar="X")] = UNSTICK
    jobs: int = 1
    ray: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = ""
    keep: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    video: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    video_seconds: Annotated[float, tyro.conf.arg(metavar="X")] = 20.0
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
    elif not 0 <= given.seconds <= 36000:
        problem = f"--seconds {given.seconds} must lie in 0..36000 s"
    elif not 0 <= given.unstick <= 1:
        problem = f"--unstick {given.unstick} must lie in 0..1"
    elif given.universe is not None and given.scale is not None:
        problem = "--universe and --scale exclude each other"
    elif given.scale is not None and not 0 <= given.scale <= 10:
        problem = f"--scale {given.scale} must lie in 0..10"
    elif given.validation and given.engine != "mujoco":
        problem = "--validation goes with --engine mujoco only"
    elif given.wires and (given.engine != "pybullet" or given.jobs > 1 or given.ray):
        problem = "--wires runs in real time: with --engine pybullet and --jobs 1 only"
    elif given.errors is not None and (given.wires or given.eyes != "network"):
        problem = "--errors goes with --eyes network, without --wires: there, pictures have errors"
    elif importlib.util.find_spec(_EXTRAS[given.engine][0]) is None:
        extra = _EXTRAS[given.engine][1]
        problem = f"{given.engine} is not installed; {remedy(extra)}"
    elif given.video is not None:
        problem = _problem_of_video(given, given.video)
    if problem:
        raise EvaluationError(f"eval: {problem}")


def module_of(engine: EngineName) -> str:
    """What a machine must be able to import to run trials in an engine."""
    return _EXTRAS[engine][0]


def _problem_of_video(given: EvaluationArguments, video: Path) -> str:
    """Why the film cannot be made; empty if it can."""
    if video.suffix != ".mp4":
        return f"--video {video}: the film is MP4; end in .mp4"
    if given.wires or given.jobs > 1 or given.ray:
        return "--video goes with --jobs 1, and without --wires and --ray"
    if not 0 < given.video_seconds <= 3600:
        return f"--video-seconds {given.video_seconds} must lie in (0, 3600]"
    refuse_existing(video, "--video")
    return missing()
