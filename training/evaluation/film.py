"""Films: what one trial or recording shows, drawn frame by frame, as MP4 (H.264)."""

import importlib.util
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inhand.controller.core.controller import Controller
from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.controller.system.progress import Progress
from inhand.errors import remedy
from inhand.hardware.model.hand import Hand
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.training.evaluation.lockstep import AnyWorld
from inhand.training.evaluation.trials import EvaluationError

if TYPE_CHECKING:
    from PIL import Image

    from inhand.sim_backend.picture import Studio

FRAME_PERIOD = 0.08
"""[s], a whole number of ticks."""
REACHED_SHOWN = 0.6
"""For how long a goal that was reached is announced [s]."""
SIZE = (480, 360)
"""Width and height of a film [px]."""

TEXT = (60, 63, 68)
REACHED = (30, 140, 60)

CODEC = "libx264"
"""Every browser and presentation program shows H.264."""

_NEEDED = {"pybullet": "sim", "PIL": "view", "av": "lerobot"}
"""Packages that draw and encode, and the extras that bring them."""


def missing() -> str:
    """Why no film can be made on this installation, and what to do; empty if one can."""
    for package, extra in _NEEDED.items():
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed; {remedy(extra)}"
    return ""


@dataclass(frozen=True)
class Moment:
    """What one frame shows.

    Attributes:
        t: since the first goal began [s].
        joints: joint angles [rad], (n_joints,).
        position: of the object, world frame [m], (3,).
        quaternion: of the object, world from object, wxyz, (4,).
        goal: the orientation asked for, world from object, wxyz, (4,); None if there is none.
        reached: goals reached so far.
        since_reached: since the last goal was reached [s]; infinity before.
    """

    t: float
    joints: Array
    position: Array
    quaternion: Array
    goal: Array | None
    reached: int
    since_reached: float

    @property
    def to_go(self) -> str:
        """The angle to the goal in words."""
        if self.goal is None:
            return "no goal"
        return f"goal: {np.degrees(rotations.angle_between(self.quaternion, self.goal)):.0f}° to go"


class Reel:
    """Keeps what the frames of one trial show: `watch` is that of `run_trial`.

    Args:
        wanted: goals after which the trial ends; the last moment is when that one is reached.
        seconds: what comes later is not kept [s].

    Attributes:
        moments: what was kept, from the first goal on.
    """

    def __init__(self, wanted: int, seconds: float = np.inf) -> None:
        self.moments: list[Moment] = []
        self._wanted, self._seconds = wanted, seconds
        self._began = self._reached_at = -np.inf

    def watch(self, t: float, world: AnyWorld, controller: Controller[PoseReading]) -> None:
        """Takes the present moment if a frame is due."""
        kept, goals = self.moments, controller.goals
        self._began = self._began if kept else t
        if t - self._began > self._seconds:
            return
        if any(event.kind == "goal_reached" for event in controller.events):
            self._reached_at = t
        soon = kept and t - self._began < kept[-1].t + FRAME_PERIOD - 1e-6
        if soon and goals.reached < self._wanted:
            return
        # The last goal has no successor; it stays in the picture.
        goal = goals.active.quaternion if goals.active else kept[-1].goal if kept else None
        if goal is not None:
            position, quaternion = world.object_pose()
            kept.append(
                Moment(
                    t - self._began,
                    world.joint_angles().copy(),
                    position.copy(),
                    quaternion.copy(),
                    goal,
                    goals.reached,
                    t - self._reached_at,
                )
            )


def frame(studio: "Studio", moment: Moment) -> "Image.Image":
    """One frame: the hand, the block, the goal beside it, and how far there is to go."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(
        studio.draw(moment.joints, moment.position, moment.quaternion, moment.goal)
    )
    draw = ImageDraw.Draw(image)
    font, margin = ImageFont.load_default(image.height // 18), image.height // 24
    done = f"{moment.reached} goals reached in {moment.t:.0f} s"
    color = REACHED if moment.since_reached < REACHED_SHOWN else TEXT
    draw.text((margin, margin), moment.to_go, TEXT, font, anchor="lt")
    draw.text((margin, image.height - margin), done, color, font, anchor="ls")
    return image


def film(shown: Sequence[Moment], hand: Hand, target: ObjectDescription) -> bytes:
    """Draws the moments, one for each frame, and returns the content of an MP4 file.

    Raises:
        EvaluationError: there is nothing to show, or a package is missing.
    """
    if problem := missing():
        raise EvaluationError(f"film: {problem}")
    if not shown:
        raise EvaluationError("film: there is no moment to show: no goal began")
    import av

    from inhand.sim_backend.picture import Studio

    content = io.BytesIO()
    progress = Progress("drawing the film", len(shown) * FRAME_PERIOD)
    with (
        tempfile.TemporaryDirectory(prefix="inhand-film-") as directory,
        Studio(hand, target, Path(directory), *SIZE) as studio,
        av.open(content, "w", format="mp4") as container,
    ):
        rate = Fraction(1 / FRAME_PERIOD).limit_denominator(100)
        stream = container.add_stream(CODEC, rate=rate, options={"crf": "24"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number, moment in enumerate(shown):
            picture = av.VideoFrame.from_ndarray(np.asarray(frame(studio, moment)), format="rgb24")
            picture.pts = number
            container.mux(stream.encode(picture))
            progress.at(number * FRAME_PERIOD)
        container.mux(stream.encode())
    progress.end()
    return content.getvalue()
