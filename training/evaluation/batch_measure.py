"""`inhand measure`: consecutive successes of a run's policy, in many worlds at once.

The published measure (any orientation, 0.4 rad, 80 s a goal, cap 50; Dactyl, arXiv:1808.00177,
section 6.1) in the worlds of training, scored with the true pose. A teacher, which no robot can
run, is measured in the same way as its students. `inhand eval` measures policy files, one world at
a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from inhand.controller.policy.action import ActionPath
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import MujocoSettings, Universe, load_universe
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.result import print_json
from inhand.training.evaluation.report import bootstrap
from inhand.training.learning.learners import load_teacher
from inhand.training.learning.networks import teacher_inputs
from inhand.training.learning.run_recipe import RunRecipe, TrainingError, load_recipe
from inhand.training.learning.student_network import StudentPolicy, load_student, version_of_student
from inhand.training.learning.train import run_paths
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.rewards import Rewards
from inhand.training.sensors.sensors import Sensors

CAP = 50
SECONDS_PER_GOAL = 80.0

Act = Callable[[], Array]
"""Actions of all worlds, (worlds, actuators)."""
Restart = Callable[[NDArray[np.int64]], None]
"""Clears the policy's state in worlds that have been reset."""


class Score(msgspec.Struct, frozen=True):
    """Goals in a row, one trial in each world; intervals are 95 % by bootstrap.

    Attributes:
        goals_per_minute: of a world, over all trials.
        drops_per_goal: over all trials.
        drops, timeouts, capped: numbers of trials by their end; the others were cut off.
    """

    run: str
    scale: float
    seed: int
    n: int
    median: float
    median_interval: tuple[float, float]
    mean: float
    mean_interval: tuple[float, float]
    goals_per_minute: float
    drops_per_goal: float
    drops: int
    timeouts: int
    capped: int


class Task(msgspec.Struct, frozen=True):
    """The rule of success, and the length of a trial.

    Attributes:
        tolerance: largest error of a goal that is reached [rad].
        hold: time for which the error must stay below it [s].
        seconds: after which a trial is cut off [s].
    """

    tolerance: float = 0.4
    hold: float = 0.0
    seconds: float = float("inf")


def measure(
    recipe: RunRecipe,
    runs: Path,
    trials: int,
    scale: float,
    seed: int,
    task: Task | None = None,
    universe: Universe | None = None,
) -> Score:
    """Runs one trial of a run's policy in every world, without exploration.

    Args:
        recipe: of the run.
        runs: folder of the runs.
        trials: number of worlds.
        scale: of their universes; 0 for nominal ones.
        seed: of everything random.
        task: rule of success and length of a trial.
        universe: of all worlds, in place of drawn ones.

    Raises:
        CheckpointError: the run has no checkpoint, or one of another hand, object or model.
        TrainingError: the universe has another time step.
    """
    task = task or Task()
    hand, target = load_hand(recipe.hand), load_object(recipe.object)
    rate = ActionPath(hand).policy_rate
    rewards = Rewards(
        seconds_per_goal=SECONDS_PER_GOAL,
        tolerance=task.tolerance,
        finest=task.tolerance,
        hold_steps=max(1, round(task.hold * rate)),
    )
    worlds = BatchEnvironment(
        hand,
        target,
        trials,
        seed=seed,
        rewards=rewards,
        protected=recipe.protected,
        finer=recipe.finer,
    )
    act, restart = _policy(recipe, worlds, runs, seed)
    worlds.harden(float(np.pi), scale)
    if universe is not None:
        _check_timestep(universe.mujoco.timestep)
        every = np.arange(trials)
        worlds.variation.assign(every, [universe] * trials)
        restart(every)
    scores = np.zeros(trials)
    going = np.ones(trials, dtype=np.bool_)
    drops = timeouts = steps = spent = 0
    while going.any() and steps < task.seconds * rate:
        steps, spent = steps + 1, spent + int(going.sum())
        step = worlds.step(np.clip(act(), -1.0, 1.0))
        scores += step.reached & going
        drops += int((step.dropped & going).sum())
        timeouts += int((step.timed_out & ~step.dropped & going).sum())
        over = step.dropped | step.timed_out
        going &= ~over & (scores < CAP)
        ids = np.flatnonzero(over)
        worlds.reset(ids)
        restart(ids)
    median_interval, mean_interval = bootstrap(scores, seed)
    return Score(
        run=recipe.run,
        scale=scale,
        seed=seed,
        n=trials,
        median=float(np.median(scores)),
        median_interval=median_interval,
        mean=float(scores.mean()),
        mean_interval=mean_interval,
        goals_per_minute=float(scores.sum() / max(1, spent) * rate * 60),
        drops_per_goal=float(drops / max(1.0, scores.sum())),
        drops=drops,
        timeouts=timeouts,
        capped=int((scores >= CAP).sum()),
    )


def _check_timestep(timestep: float) -> None:
    """Refuses a time step with which a tick, of as many steps in all worlds, has another length."""
    if timestep != (nominal := MujocoSettings().timestep):
        raise TrainingError(
            f"measure: [mujoco] timestep = {timestep:g}: all worlds of a batch have {nominal:g} s; "
            "use `inhand eval --engine mujoco` with an exported policy"
        )


def _policy(recipe: RunRecipe, worlds: BatchOfWorlds, runs: Path, seed: int) -> tuple[Act, Restart]:
    checkpoint = run_paths(runs, recipe).checkpoint
    if recipe.stage == "teacher":
        teacher = load_teacher(worlds, checkpoint)

        @torch.no_grad()
        def act_on_truth() -> Array:
            return np.asarray(teacher.act(teacher_inputs(worlds, "cpu")), dtype=np.float64)

        return act_on_truth, lambda ids: None

    network = load_student(worlds, checkpoint)
    version = version_of_student(worlds.hand, network)
    student = StudentPolicy(Sensors(worlds, seed, version), network, worlds.size)

    @torch.no_grad()
    def act_on_sensors() -> Array:
        return np.asarray(student.act(student.observe()), dtype=np.float64)

    return act_on_sensors, student.restart


@dataclass
class Arguments:
    """Measure a run's policy, teacher or student, in many MuJoCo worlds at once.

    Example: inhand measure block-teacher --trials 200

    Attributes:
        recipe: name of the run's recipe, or its TOML file.
        runs: folder of the runs.
        trials: number of worlds, with one trial each.
        scale: of their universes; 0 for nominal ones, 1 for the published ranges.
        seed: makes everything random repeatable.
        tolerance: largest error of a goal that is reached [rad].
        hold: time for which the error must stay below it [s].
        seconds: after which a trial is cut off [s]; 0 for never.
        universe: file with what differs from the nominal world, in all of them.
        json: print the result as one JSON object.
    """

    recipe: tyro.conf.Positional[str]
    runs: Path = Path("runs")
    trials: int = 200
    scale: float = 0.0
    seed: int = 1
    tolerance: float = 0.4
    hold: float = 0.0
    seconds: float = 0.0
    universe: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    json: bool = False


def main() -> int:
    """`inhand measure`."""
    given = tyro.cli(Arguments, prog="inhand measure", config=(tyro.conf.FlagCreatePairsOff,))
    if given.trials < 1 or not 0 <= given.scale <= 10 or given.seed < 0:
        raise TrainingError(
            "measure: --trials must be at least 1, --scale in [0, 10], --seed not negative"
        )
    if not (0 < given.tolerance <= np.pi and given.hold >= 0 and given.seconds >= 0):
        raise TrainingError(
            "measure: --tolerance must be in (0, 3.14], --hold and --seconds not negative"
        )
    if given.universe is not None and given.scale:
        raise TrainingError("measure: --universe and --scale exclude each other")
    recipe = load_recipe(given.recipe)
    universe = None
    if given.universe is not None:
        universe = load_universe(given.universe, load_hand(recipe.hand))
    task = Task(given.tolerance, given.hold, given.seconds or float("inf"))
    score = measure(recipe, given.runs, given.trials, given.scale, given.seed, task, universe)
    if given.json:
        print_json(score)
        return 0
    (low, high), (mean_low, mean_high) = score.median_interval, score.mean_interval
    worlds = given.universe or f"universes at scale {score.scale:g}"
    print(
        f"{score.run} in {score.n} MuJoCo worlds, {worlds}, "
        f"seed {score.seed}\n"
        f"goals a trial: median {score.median:g} [{low:g}, {high:g}], "
        f"mean {score.mean:.1f} [{mean_low:.1f}, {mean_high:.1f}]\n"
        f"goals a minute {score.goals_per_minute:.1f}, drops a goal {score.drops_per_goal:.3f}\n"
        f"ends: {score.drops} drops, {score.timeouts} time-outs, {score.capped} at the cap"
    )
    return 0
