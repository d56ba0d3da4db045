"""A moving picture of a trial: `python -m inhand.training.evaluation.moving_picture FILE.webp`.

The trial is the one that `inhand eval --engine pybullet` runs with the same seed, drawn in real
time from its first goal on. It counts for no result.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont

from inhand.controller.core.controller import Controller
from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array
from inhand.sim_backend.picture import Studio
from inhand.sim_backend.world import World
from inhand.training.evaluation.evaluation import EvaluationArguments, prepare
from inhand.training.evaluation.lockstep import AnyWorld, run_trial
from inhand.training.evaluation.trials import EvaluationError

FRAME_PERIOD = 0.08
"""[s], a whole number of ticks."""
REACHED_SHOWN = 0.6
"""For how long a goal that was reached is announced [s]."""
LAST_SHOWN = 1.2
"""For how long the last frame stands before the picture begins again [s]."""

TEXT = (60, 63, 68)
REACHED = (30, 140, 60)


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


@dataclass(frozen=True)
class Moment:
    """What one frame shows.

    Attributes:
        t: since the first goal began [s].
        joints: true joint angles [rad], (n_joints,).
        position: of the object, world frame [m], (3,).
        quaternion: of the object, world from object, wxyz, (4,).
        goal: the orientation asked for, world from object, wxyz, (4,).
        reached: goals reached so far.
        since_reached: since the last goal was reached [s]; infinity before.
    """

    t: float
    joints: Array
    position: Array
    quaternion: Array
    goal: Array
    reached: int
    since_reached: float

    @property
    def error(self) -> float:
        """The true angle to the goal [rad]."""
        return float(rotations.angle_between(self.quaternion, self.goal))


def check(arguments: PictureArguments) -> None:
    """Raises EvaluationError if a value is out of range."""
    problem = ""
    if arguments.file.suffix != ".webp":
        problem = f"{arguments.file}: the picture is an animated WebP; end in .webp"
    elif arguments.goals < 1 or arguments.trial < 1 or arguments.seed < 0:
        problem = "--goals and --trial must be at least 1, --seed not negative"
    elif not (80 <= arguments.width <= 2000 and 80 <= arguments.height <= 2000):
        problem = "--width and --height must lie in 80..2000"
    elif not 0 <= arguments.quality <= 100:
        problem = f"--quality {arguments.quality} must lie in 0..100"
    if problem:
        raise EvaluationError(f"moving picture: {problem}")


def moments(arguments: PictureArguments) -> list[Moment]:
    """Runs the trial and keeps what the frames show.

    Raises:
        EvaluationError: the trial ended before so many goals were reached.
        InhandError: something in the setup does not fit.
    """
    check(arguments)
    setup, _ = prepare(EvaluationArguments("pybullet", seed=arguments.seed, cap=arguments.goals))
    kept: list[Moment] = []
    began = reached_at = -np.inf

    def keep(t: float, world: AnyWorld, controller: Controller[PoseReading]) -> None:
        nonlocal began, reached_at
        assert isinstance(world, World)
        goals = controller.goals
        began = began if kept else t
        if any(event.kind == "goal_reached" for event in controller.events):
            reached_at = t
        soon = kept and t - began < kept[-1].t + FRAME_PERIOD - 1e-6
        if soon and goals.reached < arguments.goals:
            return
        # The last goal has no successor; it stays in the picture.
        goal = goals.active.quaternion if goals.active else kept[-1].goal if kept else None
        if goal is not None:
            position, quaternion = world.object_pose()
            kept.append(
                Moment(
                    t - began,
                    world.joint_angles().copy(),
                    position.copy(),
                    quaternion.copy(),
                    goal,
                    goals.reached,
                    t - reached_at,
                )
            )

    trial = run_trial(setup, arguments.trial, watch=keep)
    if trial.score < arguments.goals:
        raise EvaluationError(
            f"moving picture: the trial reached {trial.score} goals in truth ({trial.reason}); ask "
            "for fewer --goals, or for another --trial"
        )
    return kept


def frame(studio: Studio, moment: Moment) -> Image.Image:
    """One frame: the hand, the block, the goal beside it, and how far there is to go."""
    image = Image.fromarray(
        studio.draw(moment.joints, moment.position, moment.quaternion, moment.goal)
    )
    draw = ImageDraw.Draw(image)
    font, margin = ImageFont.load_default(image.height // 18), image.height // 24
    to_go = f"goal: {np.degrees(moment.error):.0f}° to go"
    done = f"{moment.reached} goals reached in {moment.t:.0f} s"
    color = REACHED if moment.since_reached < REACHED_SHOWN else TEXT
    draw.text((margin, margin), to_go, TEXT, font, anchor="lt")
    draw.text((margin, image.height - margin), done, color, font, anchor="ls")
    return image


def save(file: Path, frames: Sequence[Image.Image], quality: int) -> None:
    """Writes the frames as a picture that repeats without end; the last one stands longer."""
    durations = [round(1000 * FRAME_PERIOD)] * len(frames)
    durations[-1] = round(1000 * LAST_SHOWN)
    first, *others = frames
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    first.save(
        part,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=durations,
        loop=0,
        quality=quality,
        method=6,
    )
    part.replace(file)


def main() -> None:
    """Writes the picture to the file named on the command line."""
    arguments = tyro.cli(
        PictureArguments, prog="python -m inhand.training.evaluation.moving_picture"
    )
    hand, target = load_hand("dactyl24"), load_object("block")
    try:
        shown = moments(arguments)
    except InhandError as error:
        raise SystemExit(f"error: {error}") from None
    size = (arguments.width, arguments.height)
    with (
        tempfile.TemporaryDirectory(prefix="inhand-picture-") as directory,
        Studio(hand, target, Path(directory), *size) as studio,
    ):
        frames = [frame(studio, moment) for moment in shown]
    save(arguments.file, frames, arguments.quality)
    size_in_mb = arguments.file.stat().st_size / 1e6
    print(f"{arguments.file}: {len(frames)} frames, {size_in_mb:.2f} MB")


if __name__ == "__main__":
    main()
