"""A moving picture's frames: one trial in PyBullet, drawn as an animated WebP."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from inhand.files import write_whole
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.sim_backend.picture import Studio
from inhand.training.evaluation.evaluation import prepare
from inhand.training.evaluation.evaluation_arguments import EvaluationArguments
from inhand.training.evaluation.film import FRAME_PERIOD, Moment, Reel, frame
from inhand.training.evaluation.lockstep import run_trial
from inhand.training.evaluation.trials import EvaluationError

LAST_SHOWN = 1.2
"""For how long the last frame is shown before the picture begins again [s]."""


def moments(seed: int, number: int, wanted: int) -> list[Moment]:
    """Runs a trial and keeps what the frames show.

    Args:
        seed: of the trial, as in `inhand eval`.
        number: of the trial, from 1.
        wanted: how many goals are to be reached.

    Raises:
        EvaluationError: the trial ended before so many goals were reached.
        InhandError: something in the setup does not fit.
    """
    setup, _ = prepare(EvaluationArguments("pybullet", seed=seed, cap=wanted))
    reel = Reel(wanted)
    trial = run_trial(setup, number, watch=reel.watch)
    if trial.score < wanted:
        raise EvaluationError(
            f"moving picture: the trial reached {trial.score} goals in truth ({trial.reason}); ask "
            "for fewer --goals, or for another --trial"
        )
    return reel.moments


def draw(shown: Sequence[Moment], width: int, height: int) -> list[Image.Image]:
    """Draws the frames, width by height [px]."""
    hand, target = load_hand("dactyl24"), load_object("block")
    with (
        tempfile.TemporaryDirectory(prefix="inhand-picture-") as directory,
        Studio(hand, target, Path(directory), width, height) as studio,
    ):
        return [frame(studio, moment) for moment in shown]


def save(file: Path, frames: Sequence[Image.Image], quality: int) -> None:
    """Writes the frames as a picture that repeats without end; the last one is shown longer.

    Raises:
        WriteError: the file cannot be written.
    """
    durations = [round(1000 * FRAME_PERIOD)] * len(frames)
    durations[-1] = round(1000 * LAST_SHOWN)
    first, *others = frames
    content = io.BytesIO()
    first.save(
        content,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        quality=quality,
        method=6,
    )
    write_whole(file, content.getvalue())
