"""Worlds in MuJoCo Warp whose state stays on the device, as tensors."""

from typing import Any, Protocol

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inhand.training.mujoco_worlds.physics import Ids
from inhand.training.mujoco_worlds.warp_physics import LIVE, MOVED, STATE, Room, WarpPhysics


class TensorPhysics(Protocol):
    """Worlds of one model, whose state is in tensors."""

    @property
    def nsim(self) -> int:
        """Number of worlds."""
        ...

    @property
    def friction(self) -> Tensor:
        """The field `dof_frictionloss` of each world, (nsim, n), which may be written."""
        ...

    def bind(self, name: str) -> Any:
        """A part of the state, (nsim, ...), as a tensor, until the next step.

        Args:
            name: `qpos`, `qvel`, `ctrl` or `xfrc_applied`.
        """
        ...

    def expand(self, name: str) -> NDArray[Any]:
        """A field of the model on the host; see `Physics.expand`."""
        ...

    def set_const(self, ids: Ids) -> None:
        """Marks worlds in which fields were written."""
        ...

    def send(self) -> None:
        """Copies the fields of these worlds to the device, with what follows from them."""
        ...

    def reset(self, ids: Ids, *, stage: int = 0) -> None:
        """Puts these worlds into the model's first state."""
        ...

    def step(self, *, nstep: int) -> None:
        """Advances all worlds by so many time steps."""
        ...


class WarpOnDevice(WarpPhysics):
    """`TensorPhysics` in MuJoCo Warp; arguments and attributes are those of `WarpPhysics`.

    A step copies one flag to the host: whether contacts and rows had room. On a GPU, torch
    uses Warp's stream from now on, so that all that is computed there is in order.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        size: int,
        device: str = "cpu",
        room: Room | None = None,
    ) -> None:
        super().__init__(model, size, device, room)
        if self._device.is_cuda:
            torch.cuda.set_stream(self._warp.stream_to_torch(self._device))
        self._lost = torch.zeros((), dtype=torch.int64, device=self._warmstart.device)
        self._start = {
            name: torch.as_tensor(np.array(getattr(self._first, name))).to(self._views[name])
            for name in STATE
        }
        self.reset(np.arange(size))

    @property
    def friction(self) -> Tensor:
        """The field `dof_frictionloss` of each world; see `TensorPhysics.friction`."""
        friction: Tensor = self._model_views[LIVE]
        return friction

    def bind(self, name: str) -> Any:
        """A part of the state as a tensor; see `TensorPhysics.bind`."""
        return self._views[name]

    def send(self) -> None:
        """Copies changed fields; see `TensorPhysics.send`."""
        self._send_changed()

    def reset(self, ids: Ids, *, stage: int = 0) -> None:
        """Puts these worlds into the model's first state."""
        rows = torch.from_numpy(ids).to(self._warmstart.device)
        for name, first in self._start.items():
            self._views[name][rows] = first
        self._warmstart[rows] = 0.0

    def step(self, *, nstep: int = 1) -> None:
        """Advances all worlds; with too little room, the steps are repeated with more."""
        self._send_changed()
        before = [part.clone() for part in self._parts()]
        while full := self._advanced(nstep):
            self._grow(full)
            for part, value in zip(self._parts(), before, strict=True):
                part.copy_(value)
        self._restore()

    def _parts(self) -> list[Tensor]:
        """What a step begins from."""
        return [*self._views.values(), self._warmstart]

    def _restore(self) -> None:
        """Puts worlds back whose state is not finite, without a look at it from the host."""
        good = [(self._views[name].abs() < mujoco.mjMAXVAL).all(1) for name in MOVED]
        bad = ~torch.stack(good).all(0)
        self._lost += bad.sum()
        for name, first in self._start.items():
            view = self._views[name]
            view.copy_(torch.where(bad.view(-1, *[1] * first.ndim), first, view))
        self._warmstart.masked_fill_(bad[:, None], 0.0)
