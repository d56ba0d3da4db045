"""The universes of a batch on a device: effects between policy and physics, drawn on the host."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inhand.sim_backend.stiction import STICK_SPEED
from inhand.training.mujoco_worlds.variation import Variation


class TensorUniverses:
    """What of `Variation` acts outside of the engine, one row for each world.

    Args:
        variation: draws the universes.
        tick: length of a tick [s].
        like: a tensor of the type and on the device that all numbers shall have.
        generator: source of randomness, on that device.

    Attributes:
        late: additional delay by jitter in the present tick [ticks], (size,).
        paused: whether the controller pauses in the present tick, (size,).
        adversary: share of a random network in the actions, (size,).
        disturbs: whether there is such a share in any world.
    """

    def __init__(
        self, variation: Variation, tick: float, like: Tensor, generator: torch.Generator
    ) -> None:
        self._variation, self._tick, self._rng = variation, tick, generator
        size = len(variation.universes)
        self._rows = {
            name: self._here(values, like)
            for name, values in variation.rows(np.arange(size)).items()
        }
        self.late = torch.zeros(size, dtype=torch.int64, device=like.device)
        self.paused = torch.zeros(size, dtype=torch.bool, device=like.device)
        self._pause_left = torch.zeros_like(self._rows["pause_time"])
        self.disturbs = False

    @staticmethod
    def _here(values: NDArray[np.generic], like: Tensor) -> Tensor:
        kind = like.dtype if values.dtype.kind == "f" else None
        return torch.as_tensor(values, dtype=kind).to(like.device, copy=True)

    def send(self, ids: NDArray[np.int64]) -> None:
        """Takes the universes that were drawn for these worlds."""
        if not len(ids):
            return
        rows = torch.from_numpy(ids).to(self.late.device)
        for name, values in self._variation.rows(ids).items():
            self._rows[name][rows] = self._here(values, self._rows[name])
        self.disturbs = bool(self._variation.adversary.any())

    def begin(self, rows: Tensor) -> None:
        """Begins new episodes in these worlds: nothing is late, and no controller pauses."""
        self.late[rows] = 0
        self._pause_left[rows] = 0.0
        self.paused[rows] = False

    def __getitem__(self, name: str) -> Tensor:
        """Rows of all worlds, by the names of `Variation.rows`."""
        return self._rows[name]

    def tick(self) -> None:
        """Draws the jitter of one tick's commands, and pauses of the controller."""
        chance = self._uniform(3)
        self.late = (self["jitter"] * chance[0] + chance[1]).long()
        begins = chance[2] < self["pause_rate"] * self._tick
        begins &= self._pause_left <= 0.5 * self._tick
        self._pause_left = torch.where(begins, self["pause_time"], self._pause_left - self._tick)
        self.paused = self._pause_left > 0.5 * self._tick

    def pushes(self, mass: float, rate: float) -> Tensor:
        """Draws forces on the objects for one policy step, world frame [N], (size, 3).

        Args:
            mass: of the nominal object [kg].
            rate: policy steps a second [Hz].
        """
        pushed = self._uniform(1)[0] < self["push_rate"] / rate
        strength = torch.where(pushed, mass * self["push_acceleration"], 0.0)
        drawn = torch.randn(
            (len(pushed), 3), generator=self._rng, device=pushed.device, dtype=strength.dtype
        )
        return strength[:, None] * drawn

    def friction(self, speeds: Tensor) -> Tensor:
        """Friction torques of the joints [N·m] at these speeds [rad/s], (size, n_joints)."""
        return self["moving"] + torch.where(speeds.abs() < STICK_SPEED, self["stiction"], 0.0)

    def tight(self, targets: Tensor, angles: Tensor) -> Tensor:
        """Encoder readings without the stretch of tendons [rad], (size, n_actuators).

        Args:
            targets: targets that have reached the servos [rad], (size, n_actuators).
            angles: of the driven joints [rad], (size, n_actuators).
        """
        slack = self["backlash"]
        return targets.maximum(angles - slack).minimum(angles + slack)

    def stretch(self, targets: Tensor, tight: Tensor) -> Tensor:
        """Stretch of the tendons [rad], (size, n_actuators); see `Variation.stretch`."""
        most = self["torque_limit"]
        torque = (self["gain"] * (targets - tight)).maximum(-most).minimum(most)
        return self["compliance"] * torque

    def _uniform(self, count: int) -> Tensor:
        """Numbers in [0, 1), (count, size)."""
        like = self._pause_left
        size = (count, len(like))
        return torch.rand(size, generator=self._rng, device=like.device, dtype=like.dtype)
