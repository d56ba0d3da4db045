"""Training of the keypoint network: resumable, by a recipe, with a record of its curve."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from inhand.training.vision.augment import augmented
from inhand.training.vision.crops import Crops
from inhand.training.vision.network import KeypointNetwork, loss
from inhand.training.vision.studio import VisionError


@dataclass(frozen=True)
class FitRecipe:
    """How the network is trained.

    Attributes:
        seed: of weights and order.
        steps: number of optimizer steps.
        batch: windows a step.
        rate: peak learning rate; it rises for a twentieth of the steps and then falls as a cosine.
        width: of the network.
    """

    seed: int = 1
    steps: int = 3000
    batch: int = 64
    rate: float = 3e-3
    width: int = 64


Report = Callable[[int, float], None]
"""Called with the step and the mean loss since the last call."""


class Fit:
    """A training that can be interrupted.

    Args:
        crops: what to learn from.
        recipe: how.
        checkpoint: file from which it goes on, and in which it is kept.

    Raises:
        VisionError: the checkpoint is of another recipe or object, or damaged.
    """

    def __init__(self, crops: Crops, recipe: FitRecipe, checkpoint: Path | None = None) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe, self._checkpoint = recipe, checkpoint
        self.network = KeypointNetwork(crops.points.shape[1], recipe.width)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = torch.optim.AdamW(self.network.parameters(), lr=recipe.rate)
        self.step = 0
        self.curve: list[tuple[int, float]] = []
        self._crops = crops
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)

    def run(self, until: float = np.inf, report: Report | None = None, every: int = 100) -> bool:
        """Trains to the end of the recipe, or until a time of `time.monotonic`.

        Returns:
            Whether the recipe's steps are done.
        """
        threads = torch.get_num_threads()
        # The layers are small: on two cores, a second thread made a step seven times slower.
        torch.set_num_threads(1)
        try:
            self._advance(until, report, every)
        finally:
            torch.set_num_threads(threads)
        self._keep()
        self.network.eval()
        return self.step >= self._recipe.steps

    def _advance(self, until: float, report: Report | None, every: int) -> None:
        recipe, losses = self._recipe, list[float]()
        self.network.train()
        while self.step < recipe.steps and time.monotonic() < until:
            rng = np.random.default_rng([recipe.seed, self.step])
            rows = rng.choice(len(self._crops.images), recipe.batch)
            crops = self._crops
            images, points, present = augmented(
                crops.images[rows], crops.points[rows], crops.present[rows], rng
            )
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate()
            # Both halve the time of a step on a processor that computes with 16 bits.
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_sixteen_bits()):
                found = self.network(torch.from_numpy(images).permute(0, 3, 1, 2))
            truth = torch.from_numpy(points.astype(np.float32)), torch.from_numpy(present)
            value = loss(tuple(part.float() for part in found), *truth)
            self._optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self._optimizer.step()
            losses.append(float(value.detach()))
            self.step += 1
            if self.step % every == 0:
                self.curve.append((self.step, float(np.mean(losses))))
                losses.clear()
                self._keep()
                if report:
                    report(*self.curve[-1])

    def _rate(self) -> float:
        progress = self.step / self._recipe.steps
        return (
            self._recipe.rate
            * min(1.0, 20 * progress + 0.05)
            * 0.5
            * (1 + float(np.cos(np.pi * progress)))
        )

    def _keep(self) -> None:
        if self._checkpoint is None:
            return
        fresh = self._checkpoint.with_suffix(".new")
        state = {
            "recipe": asdict(self._recipe),
            "step": self.step,
            "curve": self.curve,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        torch.save(state, fresh)
        fresh.replace(self._checkpoint)

    def _resume(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            same = state["recipe"] == asdict(self._recipe)
            if same:
                self.network.load_state_dict(state["network"])
                self._optimizer.load_state_dict(state["optimizer"])
                self.step, self.curve = state["step"], list(state["curve"])
        except Exception as error:  # torch raises errors of several libraries
            raise VisionError(f"checkpoint {path} is damaged; remove it to begin anew") from error
        if not same:
            raise VisionError(f"checkpoint {path} is of another recipe; remove it to begin anew")


def _sixteen_bits() -> bool:
    """Whether the processor multiplies numbers of 16 bits (bfloat16)."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
