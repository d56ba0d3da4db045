"""The recipe of a training run, read from a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from inhand.errors import InhandError
from inhand.hardware.model.universe import Vary
from inhand.training.learning.ppo import PpoRecipe
from inhand.training.learning.refine import RefineRecipe
from inhand.training.learning.student import StudentRecipe
from inhand.training.learning.teacher import Recipe
from inhand.training.mujoco_worlds.bounded_numbers import Count, PositiveOrZero, Share
from inhand.training.mujoco_worlds.rewards import Rewards

RECIPES = Path(__file__).parents[1] / "recipes"


_FOLDER = r"[^\W_][\w.,=+-]*"
RunName = Annotated[str, Meta(pattern=rf"^{_FOLDER}(/{_FOLDER})?$", max_length=200)]
"""Name of a folder; the runs of a sweep lie in a folder of their own, as `SWEEP/RUN`."""


class TrainingError(InhandError):
    """A recipe is invalid, or a run cannot continue."""


class RunRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage of training, read from a TOML file.

    Attributes:
        stage: what is trained.
        run: name of the folder under `runs/`.
        iterations: number of iterations after which the run is complete.
        hand: name of the hand.
        object: name of the object.
        universe_scale: scale of the universes of a student or a refinement; a teacher's grows
            with its success.
        vary: the kind of fields that universes differ in.
        from_run: the run that this one starts from: of the teacher that a student imitates, of
            the network that a teacher starts with, or of the student to refine; empty for none.
        teacher_run: the run whose critic a refinement starts with.
        protected: whether servos are derated and stopped as by the daemon; not with engine warp.
        finer: by which MuJoCo's time step is divided; its contacts become as much harder, as their
            time constant is at least two steps. Not with engine warp.
        settled: share of the episodes that begin half a second after the object was put in the
            resting hand, as those of a service; of students alone, not with engine warp.
        rewards: weights of the rewards, and the rule of success. A refinement has its own limit
            of time; a student's tolerances lie anywhere between `tolerance` and `finest`.
        from_object: the object of those runs, if a refinement continues with another one.
        teacher: settings of the teacher.
        student: settings of the student.
        refine: settings of the refinement.
    """

    stage: Literal["teacher", "student", "refine"]
    run: RunName
    iterations: Count
    hand: str = "dactyl24"
    object: str = "block"
    universe_scale: PositiveOrZero = 1.0
    vary: Vary = "everything"
    from_run: str = ""
    teacher_run: str = ""
    protected: bool = False
    finer: Annotated[int, Meta(ge=1, le=10)] = 1
    settled: Share = 0.0
    rewards: Rewards = Rewards()
    from_object: str = ""
    teacher: Recipe = Recipe()
    student: StudentRecipe = StudentRecipe()
    refine: RefineRecipe = RefineRecipe()

    def __post_init__(self) -> None:
        if self.rewards.finest > self.rewards.tolerance:
            raise ValueError("[rewards] finest must not exceed tolerance")
        if self.rewards.blocked and not self.protected:
            raise ValueError("[rewards] blocked has no effect without `protected = true`")
        if self.settled and self.stage == "teacher":
            raise ValueError("settled has no effect in stage `teacher`; it is for students")
        settings = self.settings
        if isinstance(settings, PpoRecipe) and settings.minibatches > settings.worlds:
            raise ValueError(f"[{self.stage}] minibatches must not exceed worlds")

    @property
    def settings(self) -> Recipe | StudentRecipe | RefineRecipe:
        """Settings of its stage."""
        if self.stage == "teacher":
            return self.teacher
        return self.student if self.stage == "student" else self.refine


def checkpoint_of(runs: Path, run: str) -> Path:
    """Path of the checkpoint of a run."""
    return runs / run / "checkpoint.pt"


def load_recipe(name: str) -> RunRecipe:
    """Reads a recipe: a file, or the name of one in `training/recipes`.

    Raises:
        TrainingError: there is no such recipe, or it has unknown keys or wrong types.
    """
    path = Path(name)
    if not path.suffix:
        path = RECIPES / f"{name}.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), RunRecipe)
    except FileNotFoundError as error:
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise TrainingError(f"recipe {path}: no such file; there are: {known}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"recipe {path}: {error}") from error
    except msgspec.ValidationError as error:
        raise TrainingError(f"recipe {path}: {error}") from error
