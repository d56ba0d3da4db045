"""A moving picture of a trial: `python -m inhand.training.evaluation.moving_picture FILE.webp`.

The trial is the one that `inhand eval --engine pybullet` runs with the same seed, drawn in real
time from its first goal on. It counts for no result.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from inhand.errors import InhandError
from inhand.training.evaluation.trials import EvaluationError

_EXTRAS = {"pybullet": "sim", "PIL": "train"}
"""Packages that are optional, and the extras that install them."""


@dataclass(frozen=True)
class PictureArguments:
    """Draw a moving picture of the block's policy in the simulated hand, as an animated WebP.

    Attributes:
        file: Where to write it; ends in .webp.
        goals: The picture ends when so many goals are reached.
        seed: Of the trial, as in `inhand eval`.
        trial: Its number, from 1.
        width: Of the picture [px].
        height: Of the picture [px].
        quality: Of the compression, 0 to 100.
    """

    file: Annotated[Path, tyro.conf.Positional]
    goals: int = 5
    seed: int = 1
    trial: int = 1
    width: int = 480
    height: int = 360
    quality: int = 80


def check(arguments: PictureArguments) -> None:
    """Raises EvaluationError if a value is out of range or a package is missing."""
    problem = ""
    if arguments.file.suffix != ".webp":
        problem = f"{arguments.file}: the picture is an animated WebP; end in .webp"
    elif arguments.goals < 1 or arguments.trial < 1 or arguments.seed < 0:
        problem = "--goals and --trial must be at least 1, --seed not negative"
    elif not (80 <= arguments.width <= 2000 and 80 <= arguments.height <= 2000):
        problem = "--width and --height must lie in 80..2000"
    elif not 0 <= arguments.quality <= 100:
        problem = f"--quality {arguments.quality} must lie in 0..100"
    elif missing := {p: e for p, e in _EXTRAS.items() if importlib.util.find_spec(p) is None}:
        problem = (
            f"{' and '.join(missing)} not installed; "
            f"run `pip install 'inhand[{','.join(missing.values())}]'`"
        )
    if problem:
        raise EvaluationError(f"moving picture: {problem}")


def write_moving_picture(arguments: PictureArguments) -> None:
    """Runs the trial, and draws and writes the picture.

    Raises:
        EvaluationError: an argument is out of range, a package is missing, or the trial ended
            before so many goals were reached.
        InhandError: the policy does not fit, or the file cannot be written.
    """
    check(arguments)
    # Needs packages that may be missing, which `check` reports.
    from inhand.training.evaluation import picture_frames

    moments = picture_frames.moments(arguments.seed, arguments.trial, arguments.goals)
    frames = picture_frames.draw(moments, arguments.width, arguments.height)
    try:
        arguments.file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationError(
            f"moving picture: folder {arguments.file.parent} cannot be made: {error.strerror}"
        ) from error
    picture_frames.save(arguments.file, frames, arguments.quality)
    size = arguments.file.stat().st_size / 1e6
    print(f"{arguments.file}: {len(frames)} frames, {size:.2f} MB")


def main() -> None:
    """Writes the picture to the file named on the command line."""
    arguments = tyro.cli(
        PictureArguments, prog="python -m inhand.training.evaluation.moving_picture"
    )
    try:
        write_moving_picture(arguments)
    except InhandError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
