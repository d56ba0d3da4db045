"""`inhand monitor`: makes the monitor of a policy, and measures it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import numpy as np
import tyro

from inhand.controller.policy.files import shipped_policy
from inhand.controller.policy.monitor import BLOCK, BLOCKS, Model
from inhand.controller.policy.monitor_file import load_monitor, monitor_beside, packed
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.errors import InhandError
from inhand.files import write_whole
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription, load_object
from inhand.training.evaluation.monitor_fit import Background, fit
from inhand.training.evaluation.monitor_measure import Measured, false_alarms, found_in
from inhand.training.evaluation.monitor_page import page
from inhand.training.evaluation.monitor_windows import predictions, windows
from inhand.training.evaluation.monitor_worlds import (
    NOMINAL,
    Case,
    Worlds,
    in_range,
    of_files,
    single_axes,
)
from inhand.training.evaluation.result_page import deliver
from inhand.training.mujoco_worlds.draws import AXES

PREDICTED = 20.0
"""Time from which the joints' prediction is learned [s]."""

WARM = 0.05 * (BLOCKS + 3) * BLOCK
"""Time in which an adverse world fills the window a few times [s]."""

FEWEST_WINDOWS = 100
"""Windows without which no threshold can be found."""


class MonitorError(InhandError):
    """The arguments are invalid, or there is no monitor to measure."""


@dataclass(frozen=True)
class Common:
    """What both commands need.

    Attributes:
        policy: ONNX file; by default the one that is shipped for the object.
        object: Name or file of the object.
        worlds: Nominal worlds at a time.
        minutes: For how long the policy acts in each of them.
        copies: Adverse worlds of each kind.
        axes: Axes of the adverse worlds; all by default.
        seed: Makes everything random repeatable.
        threads: Of the physics; 0 for all cores.
    """

    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    object: str = "block"
    worlds: int = 128
    minutes: float = 15.0
    copies: int = 12
    axes: tuple[str, ...] = ()
    seed: int = 1
    threads: int = 0


@dataclass(frozen=True)
class Train(Common):
    """Make the monitor of a policy, and write it beside the policy's file.

    Example: inhand monitor train --policy policies/block.onnx
    """


@dataclass(frozen=True)
class Measure(Common):
    """Measure a policy's monitor: false alarms in nominal worlds, adverse worlds that it finds.

    Example: inhand monitor measure --policy policies/block.onnx

    Attributes:
        output: Page to write.
        json: Print the result as JSON.
    """

    seed: int = 2
    output: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("docs/monitor.md")
    json: bool = False


@dataclass(frozen=True)
class Scene:
    """Policy, hand and object, and how worlds are made of them."""

    policy: Policy
    path: Path
    hand: Hand
    target: ObjectDescription
    threads: int

    def worlds(self, cases: Sequence[Case], seed: int) -> Worlds:
        """A batch of worlds."""
        return Worlds(self.policy, self.hand, self.target, cases, seed, self.threads)


def scene_of(given: Common) -> Scene:
    """Checks the arguments and loads what they name.

    Raises:
        MonitorError: an argument is out of range.
        PolicyError: the policy does not fit.
    """
    sane = given.worlds >= 4 and given.copies >= 2 and min(given.threads, given.seed) >= 0
    if not (sane and 0.2 <= given.minutes <= 600):
        raise MonitorError(
            "monitor: --worlds must be at least 4, --copies at least 2, --minutes in [0.2, 600], "
            "--seed and --threads not negative"
        )
    if unknown := set(given.axes) - set(AXES):
        raise MonitorError(f"monitor: there is no axis {min(unknown)}; there are {', '.join(AXES)}")
    target = load_object(given.object)
    hand = load_hand("dactyl24")
    path = given.policy or shipped_policy(hand.name, target.name)
    policy = load_policy(path, hand, target, allowed=None)
    return Scene(policy, path, hand, target, given.threads)


def full_windows(worlds: Worlds, seconds: float, model: Model) -> Array:
    """Means over windows, (blocks, worlds, F); not a number where one is not full since a drop."""
    found = []
    for window in windows(worlds, seconds, model):
        full = window.blocks == BLOCKS
        found.append(np.where(full[:, None], window.mean, np.nan).astype(np.float32))
    return np.array(found, dtype=np.float32)


def train(given: Train) -> Model:
    """Learns the monitor of a policy and writes its file.

    Raises:
        MonitorError: an argument is out of range, or too few windows were without a drop.
        PolicyError: the policy does not fit.
        WriteError: the file cannot be written.
    """
    scene, began = scene_of(given), monotonic()
    seeds = np.random.SeedSequence(given.seed).generate_state(4).tolist()
    nominal = [NOMINAL] * given.worlds
    learned = predictions(scene.worlds(nominal, seeds[0]), PREDICTED)
    nothing = np.zeros(0)
    model = Model(*learned, nothing, nothing, nothing, (), 0)
    told(began, "prediction of the joints learned")
    axes = single_axes(given.axes)
    cases = [case for case in axes for _ in range(given.copies)]
    adverse = full_windows(scene.worlds(cases, seeds[1]), WARM, model)
    told(began, f"{len(cases)} adverse worlds watched")
    seconds = 60.0 * given.minutes
    drawn = in_range(np.random.default_rng(seeds[2]), given.worlds // 2)
    varied = full_windows(scene.worlds(drawn, seeds[2]), seconds, model)
    told(began, f"{len(drawn)} worlds in the range watched")
    kind = full_windows(scene.worlds(nominal, seeds[3]), seconds, model)
    told(began, f"{len(nominal)} nominal worlds watched")
    half = given.copies // 2
    halves = {
        case.name: (
            present(adverse[:, i * given.copies : i * given.copies + half]),
            present(adverse[:, i * given.copies + half : (i + 1) * given.copies]),
        )
        for i, case in enumerate(axes)
    }
    model = fitted(scene.hand, model, Background(present(kind), present(varied)), halves)
    path = monitor_beside(scene.path)
    write_whole(path, packed(model, scene.policy, scene.hand))
    told(began, f"{path} written; `inhand monitor measure` says what it is worth")
    return model


def present(found: Array) -> Array:
    """The windows that are complete, (n, F)."""
    flat = found.reshape(-1, found.shape[-1]) if found.size else found.reshape(0, 0)
    return flat[np.isfinite(flat).all(-1)].astype(np.float64)


def fitted(
    hand: Hand, model: Model, background: Background, adverse: dict[str, tuple[Array, Array]]
) -> Model:
    """The model with its statistics, of the axes in which the object is not dropped too early.

    Raises:
        MonitorError: there are too few windows, or nothing is found.
    """
    lasting = {name: halves for name, halves in adverse.items() if min(map(len, halves)) > 0}
    fewest = min(len(background.nominal), len(background.varied))
    if fewest < FEWEST_WINDOWS or not lasting:
        raise MonitorError(
            f"monitor: only {len(background.nominal)} windows of nominal worlds and "
            f"{len(background.varied)} of worlds in the range, at least {FEWEST_WINDOWS} are "
            "needed; take more --worlds, --copies or --minutes"
        )
    model = fit(hand, model, background, lasting)
    if not model.names:
        raise MonitorError(
            "monitor: no adverse world differs enough to be found; take more --worlds, --copies or "
            "--minutes"
        )
    return model


def measure(given: Measure) -> Measured:
    """Measures the monitor beside a policy.

    Raises:
        MonitorError: an argument is out of range, or there is no monitor.
        PolicyError: the policy or its monitor does not fit.
    """
    scene, began = scene_of(given), monotonic()
    path = monitor_beside(scene.path)
    if not path.exists():
        raise MonitorError(
            f"monitor: there is no {path}; make it with "
            f"`inhand monitor train --policy {scene.path}`"
        )
    monitor = load_monitor(path, scene.policy, scene.hand)
    model, seconds = monitor.model, 60.0 * given.minutes
    seeds = np.random.SeedSequence(given.seed).generate_state(4).tolist()
    found = []
    for cases, seed in ((single_axes(given.axes), seeds[0]), (of_files(scene.hand), seeds[1])):
        each = [case for case in cases for _ in range(given.copies)]
        found.append(found_in(scene.worlds(each, seed), each, model))
        told(began, f"{len(each)} adverse worlds watched")
    drawn = in_range(np.random.default_rng(seeds[2]), given.worlds)
    varied = false_alarms(scene.worlds(drawn, seeds[2]), len(drawn), seconds / 10, model)
    told(began, f"{varied.hours:.1f} h of worlds in the range watched")
    kind = [NOMINAL] * given.worlds
    nominal = false_alarms(scene.worlds(kind, seeds[3]), len(kind), seconds, model)
    told(began, f"{nominal.hours:.1f} h of nominal worlds watched")
    return Measured(
        policy=scene.path.name,
        policy_sha256=scene.policy.sha256,
        monitor_sha256=monitor.sha256,
        object=scene.target.name,
        seed=given.seed,
        nominal=nominal,
        in_range=varied,
        axes=found[0],
        universes=found[1],
    )


def told(began: float, what: str) -> None:
    """Says what was done, with the time since the beginning."""
    print(f"{monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Entry point of `inhand monitor`."""
    given = tyro.extras.subcommand_cli_from_dict(
        {"train": Train, "measure": Measure},
        prog="inhand monitor",
        description="Make the monitor of a policy, or measure it.",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    if isinstance(given, Train):
        train(given)
        return 0
    report = measure(given)
    deliver("monitor", report, page(report), given.output, given.json)
    return 0
