"""The frames of a moving picture: one trial in PyBullet, what it shows, and the file."""

import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inhand.controller.core.controller import Controller
from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.files import write_whole
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
"""For how long the last frame is shown before the picture begins again [s]."""

TEXT = (60, 63, 68)
REACHED = (30, 140, 60)


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
        if soon and goals.reached < wanted:
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

    trial = run_trial(setup, number, watch=keep)
    if trial.score < wanted:
        raise EvaluationError(
            f"moving picture: the trial reached {trial.score} goals in truth ({trial.reason}); ask "
            "for fewer --goals, or for another --trial"
        )
    return kept


def draw(shown: Sequence[Moment], width: int, height: int) -> list[Image.Image]:
    """Draws the frames, width by height [px]."""
    hand, target = load_hand("dactyl24"), load_object("block")
    with (
        tempfile.TemporaryDirectory(prefix="inhand-picture-") as directory,
        Studio(hand, target, Path(directory), width, height) as studio,
    ):
        return [frame(studio, moment) for moment in shown]


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
