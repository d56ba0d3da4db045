"""`inhand vision`: pictures, training and judgement of a network for an object without tags."""

import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception.keypoints.network import VertexNetwork
from inhand.perception.objects import load_object
from inhand.training.sensors.measured_errors import errors_file
from inhand.training.vision.calibrate import calibrate
from inhand.training.vision.crops import (
    draw_in_parallel,
    load_crops,
    rig_of,
    save_crops,
    size_of,
)
from inhand.training.vision.export import export
from inhand.training.vision.fit import Fit, FitRecipe
from inhand.training.vision.judge import judge, log_judgement, save_sheets
from inhand.training.vision.refusals import count_refusals
from inhand.training.vision.sequences import measure_errors
from inhand.training.vision.states import trial_states
from inhand.training.vision.studio import PictureStudio, VisionError

CHECKED_SEED, CHECKED_TRIALS = 500_000, 6
"""Seed and number of trials for the network's deviations: others than those of the pictures."""

ERRORS_SEED, FRAME = 600_000, 0.07
"""Seed of the trials for `inhand vision errors`, and time between their pictures [s]."""

GOALS = 5
"""Goals in each of these trials."""

JUDGED_SEED = 1_000_000
"""Added to the seed of judged trials, so that no picture of a training shows one of them."""


@dataclass(frozen=True)
class Render:
    """Draw windows of the object in states of its policy's trials, in MuJoCo's renderer.

    Example: inhand vision render pictures.npz --count 24000

    Attributes:
        file: Where the windows are kept (NPZ).
        hand: Name or file of the hand.
        object: Name or file of the object.
        rig: File of the cameras, all with one picture size; the simulated ones if not given.
        count: Number of windows.
        trials: Trials of the policy, for the states.
        seed: Of all that is random.
        jobs: Processes that draw.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    hand: str = "dactyl24"
    object: str = "block"
    rig: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    count: int = 24000
    trials: int = 24
    seed: int = 1
    jobs: int = 2

    def run(self) -> None:
        """Draws them."""
        if min(self.count, self.trials, self.jobs) < 1 or self.seed < 0:
            raise VisionError("vision render: --count, --trials and --jobs are 1 at least")
        # Without a renderer, it ends before the trials are run.
        hand = load_hand(self.hand)
        with PictureStudio(hand, load_object(self.object)):
            size_of(rig_of(hand, self.rig))
        states = trial_states(self.object, self.trials, self.seed)
        begin = time.monotonic()
        what = self.hand, self.object, self.rig, states
        crops = draw_in_parallel(*what, self.count, self.seed, self.jobs)
        save_crops(crops, self.file)
        each = 1e3 * (time.monotonic() - begin) / len(crops.images)
        print(f"{self.file}: {len(crops.images)} windows, {each:.0f} ms each")


@dataclass(frozen=True)
class Train:
    """Train a network on windows; run it again to go on after an interruption.

    Example: inhand vision train pictures.npz block-eyes.onnx

    Attributes:
        pictures: File of `inhand vision render`.
        network: Where the network is kept (ONNX).
        object: Name or file of the object.
        hand: Name or file of the hand.
        rig: File of the cameras; the simulated ones if not given.
        steps: Steps of the optimizer.
        batch: Windows a step.
        width: Channels of the network.
        seed: Of weights and order.
        checks: Instants in MuJoCo by which the network's deviations are adjusted; 0 for none.
    """

    pictures: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PICTURES")]
    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NETWORK")]
    object: str = "block"
    hand: str = "dactyl24"
    rig: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    steps: int = 6000
    batch: int = 64
    width: int = 64
    seed: int = 1
    checks: int = 300

    def run(self) -> None:
        """Trains, then writes the network."""
        if min(self.steps, self.batch, self.width) < 1 or min(self.seed, self.checks) < 0:
            raise VisionError("vision train: --steps, --batch and --width are 1 at least")
        target, crops = load_object(self.object), load_crops(self.pictures)
        if crops.points.shape[1] != len(target.vertices):
            raise VisionError(
                f"pictures {self.pictures} show an object with {crops.points.shape[1]} vertices; "
                f"{target.name!r} has {len(target.vertices)}"
            )
        if self.checks:
            # Without a renderer, it ends before the training.
            with PictureStudio(load_hand(self.hand), target):
                pass
        recipe = FitRecipe(self.seed, self.steps, self.batch, width=self.width)
        fit = Fit(crops, recipe, self.network.with_suffix(".checkpoint"))
        fit.run(report=lambda step, value: print(f"step {step}: loss {value:.3f}", flush=True))
        export(fit.network, target, self.network, crops.picture_size)
        print(f"{self.network}: trained on {len(crops.images)} windows", flush=True)
        if not self.checks:
            return
        print(calibrated(self.network, self.object, self.hand, self.rig, self.checks, self.seed))


@dataclass(frozen=True)
class Calibrate:
    """Fit a network's deviations to fresh pictures in MuJoCo, with a factor for each camera.

    `inhand vision train` ends with it. Use it for other cameras than those of the training.

    Example: inhand vision calibrate block-eyes.onnx --rig rig.toml

    Attributes:
        network: ONNX file; its factors are replaced.
        object: Name or file of the object.
        hand: Name or file of the hand.
        rig: File of the cameras; the simulated ones if not given.
        checks: Number of instants, in other trials than those of the pictures.
        seed: Of trials, choice and looks.
    """

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NETWORK")]
    object: str = "block"
    hand: str = "dactyl24"
    rig: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    checks: int = 300
    seed: int = 1

    def run(self) -> None:
        """Fits them."""
        if self.checks < 1 or self.seed < 0:
            raise VisionError("vision calibrate: --checks is 1 at least, --seed not negative")
        print(calibrated(self.network, self.object, self.hand, self.rig, self.checks, self.seed))


def calibrated(
    network: Path, object_name: str, hand_name: str, rig: Path | None, checks: int, seed: int
) -> str:
    """Fits a network's deviations; returns what was found, for a person."""
    target, hand = load_object(object_name), load_hand(hand_name)
    cameras = rig_of(hand, rig)
    seen = VertexNetwork(network, target)
    for camera in cameras.values():
        seen.check_size(camera)
    states = trial_states(object_name, CHECKED_TRIALS, CHECKED_SEED + seed, cap=GOALS)
    found, factors = calibrate(network, hand, target, cameras, states, checks, seed)
    listed = ", ".join(f"{name} {factor:.2f}" for name, factor in factors.items())
    return f"in MuJoCo, other trials: {found.text}\n{network}: deviations times {listed}"


@dataclass(frozen=True)
class Errors:
    """Measure a network's errors in sequences of pictures, in MuJoCo's renderer.

    `inhand eval --eyes network` gives them to the poses of a trial in lockstep.

    Example: inhand vision errors block-eyes.onnx

    Attributes:
        network: ONNX file; the errors are kept beside it (.errors.npz).
        object: Name or file of the object.
        hand: Name or file of the hand.
        rig: File of the cameras; the simulated ones if not given.
        trials: Trials of the policy, each with other looks.
        instants: Instants of each trial, all cameras each, from its beginning.
        seed: Of trials and looks.
    """

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NETWORK")]
    object: str = "block"
    hand: str = "dactyl24"
    rig: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    trials: int = 20
    instants: int = 100
    seed: int = 1

    def run(self) -> None:
        """Measures them."""
        if min(self.trials, self.instants) < 1 or self.seed < 0:
            raise VisionError("vision errors: --trials and --instants are 1 at least")
        target, hand = load_object(self.object), load_hand(self.hand)
        network, cameras = VertexNetwork(self.network, target), rig_of(hand, self.rig)
        with PictureStudio(hand, target):
            pass
        first = ERRORS_SEED + 1000 * self.seed
        states = [
            trial_states(self.object, 1, first + trial, cap=GOALS, period=FRAME).first(
                self.instants
            )
            for trial in range(self.trials)
        ]
        source = (
            f"{self.network.name} {digest(self.network)}, inhand vision errors --trials "
            f"{self.trials} --instants {self.instants} --seed {self.seed}"
        )
        measured = measure_errors(network, hand, target, cameras, states, self.seed, source)
        path = errors_file(self.network)
        measured.save(path)
        print(f"{path}: {measured.text}")


@dataclass(frozen=True)
class Judge:
    """Judge a network in PyBullet's renderer, and log the result.

    Example: inhand vision judge block-eyes.onnx

    Attributes:
        network: ONNX file.
        hand: Name or file of the hand.
        object: Name or file of the object.
        rig: File of the cameras; the simulated ones if not given.
        views: Number of instants, three cameras each.
        trials: Trials of the policy, for the states.
        seed: Of trials and choice.
        pictures: Folder for pictures of good, bad and refused views.
        refusals: Number of pictures of each kind that do not show the object; 0 for none.
    """

    network: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NETWORK")]
    hand: str = "dactyl24"
    object: str = "block"
    rig: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    views: int = 1000
    trials: int = 10
    seed: int = 1
    pictures: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    refusals: int = 60

    def run(self) -> None:
        """Judges it."""
        if min(self.views, self.trials) < 1 or min(self.seed, self.refusals) < 0:
            raise VisionError("vision judge: --views and --trials are 1 at least")
        target = load_object(self.object)
        network = VertexNetwork(self.network, target)
        states = trial_states(self.object, self.trials, JUDGED_SEED + self.seed)
        hand = load_hand(self.hand)
        cameras = rig_of(hand, self.rig)
        result = judge(network, hand, cameras, target, states, self.views, self.seed)
        print(result.text)
        for (true, taken), count in result.confusion.items():
            print(f"{true} taken for {taken}: {count}")
        seeing = network, hand, cameras, target, states
        counts = count_refusals(*seeing, self.refusals, self.seed) if self.refusals else {}
        for kind, (refused, shown) in counts.items():
            print(f"{kind}: {refused} of {shown} refused")
        if self.pictures is not None:
            print(*save_sheets(result, self.pictures))
        print(log_judgement(result, f"{self.network.name} {digest(self.network)}", self.seed))


def digest(network: Path) -> str:
    """The beginning of the SHA-256 of a file."""
    return hashlib.sha256(network.read_bytes()).hexdigest()[:12]


_VERBS: dict[str, Any] = {
    "render": Render,
    "train": Train,
    "calibrate": Calibrate,
    "errors": Errors,
    "judge": Judge,
}


def main() -> None:
    """Entry point of `inhand vision`."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            _VERBS,
            prog="inhand vision",
            description=__doc__,
            config=(tyro.conf.FlagCreatePairsOff,),
        ).run()
    except InhandError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
