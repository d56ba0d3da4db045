"""Drops of the object with occlusions of half a second: `python -m benchmarks.occlusion`.

The shipped policy turns the block in MuJoCo, in lockstep, with the same seeds with and without
occlusions. Writes the results into docs/perception.md.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from benchmarks.measure import write_section
from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.controller.policy.files import SHIPPED
from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array
from inhand.training.evaluation.lockstep import run_trial
from inhand.training.evaluation.trials import Rules, Setup, Trial
from inhand.training.sensors.lockstep_sensors import PoseSensor

OCCLUSION = 0.5
"""Duration of an occlusion [s]."""

PAUSE = (1.0, 2.0)
"""Range of the time between two occlusions [s]: most goals have one, many two."""

PAGE = Path(__file__).parent.parent / "docs" / "perception.md"


class OccludedSensor(PoseSensor):
    """A pose sensor with occlusions of `OCCLUSION`."""

    def __init__(self, universe: Universe, rng: np.random.Generator) -> None:
        super().__init__(universe, rng)
        # A second generator, so that noise and triggers are those of the trial without occlusions.
        self._gaps = np.random.default_rng(int(rng.bit_generator.random_raw()))
        self._hidden = 2.0

    def read(self, t: float, position: Array, quaternion: Array) -> list[PoseReading]:
        if t > self._hidden + OCCLUSION + 0.2:
            self._hidden += OCCLUSION + float(self._gaps.uniform(*PAUSE))
        seen = super().read(t, position, quaternion)
        return [one for one in seen if not 0 <= one.t - self._hidden < OCCLUSION]


@dataclass(frozen=True)
class Arm:
    """All trials of one condition."""

    trials: Sequence[Trial]

    @property
    def drops(self) -> int:
        """Trials that ended in a drop."""
        return sum(trial.end == "drop" for trial in self.trials)

    @property
    def goals(self) -> int:
        """Number of goals that were started."""
        return sum(len(trial.goals) + (trial.end != "cap") for trial in self.trials)

    @property
    def rate(self) -> float:
        """Drops a goal."""
        return self.drops / max(self.goals, 1)


def difference(clean: Arm, occluded: Arm) -> tuple[float, float]:
    """95 % interval of the difference of drop rates, by resampling whole trials.

    The goals of one trial are not independent of each other.
    """
    rng = np.random.default_rng(0)
    apart = []
    for _ in range(4000):
        one, other = (
            Arm([arm.trials[i] for i in rng.integers(0, len(arm.trials), len(arm.trials))])
            for arm in (clean, occluded)
        )
        apart.append(other.rate - one.rate)
    low, high = np.percentile(apart, [2.5, 97.5])
    return float(low), float(high)


def report(clean: Arm, occluded: Arm) -> str:
    """Both arms as Markdown."""
    low, high = difference(clean, occluded)
    lines = ["| | trials | goals begun | drops | drops a goal |", "|---|---|---|---|---|"]
    for name, arm in (("clean", clean), (f"{OCCLUSION} s unseen, again and again", occluded)):
        lines.append(
            f"| {name} | {len(arm.trials)} | {arm.goals} | {arm.drops} | {100 * arm.rate:.1f} % |"
        )
    apart = 100 * (occluded.rate - clean.rate)
    lines.append(
        f"\nDifference {apart:+.1f} points, 95 % interval {100 * low:+.1f} to {100 * high:+.1f} "
        "(whole trials resampled)."
    )
    return "\n".join(lines) + "\n"


def main(
    trials: Annotated[int, tyro.conf.arg(help="Of each kind.")] = 100,
    goals: Annotated[int, tyro.conf.arg(help="A trial, at most.")] = 6,
    write: bool = True,
) -> int:
    """Compares drop rates with and without occlusions, and writes them into docs/perception.md."""
    path = SHIPPED / "block.onnx"
    policy = load_policy(path, load_hand("dactyl24"), load_object("block"), allowed=None)
    rules = Rules(cap=goals, timeout=30.0)
    setup = Setup(
        path, policy.sha256, "mujoco", "dactyl24", "block", None, None, False, rules, 9, False
    )
    arms: list[list[Trial]] = [[], []]
    for number in range(1, trials + 1):
        for arm, sensor in zip(arms, (PoseSensor, OccludedSensor), strict=True):
            arm.append(run_trial(setup, number, sensor=sensor))
        print(
            f"{number} of {trials}: {[Arm(arm).drops for arm in arms]} drops in "
            f"{[Arm(arm).goals for arm in arms]} goals",
            file=sys.stderr,
            flush=True,
        )
    text = report(Arm(arms[0]), Arm(arms[1]))
    print(text, end="")
    if write:
        write_section(PAGE, "occlusion", text)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
