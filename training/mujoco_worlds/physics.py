"""What a batch environment needs of an engine that steps MuJoCo models."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from inhand.errors import InhandError

Ids = NDArray[np.int64]
Engine = Literal["mujoco", "warp"]


class EngineError(InhandError):
    """An engine cannot be used here."""


class Physics(Protocol):
    """Worlds of one model; `mujoco.batch.Batch` is one, on the cores of this machine."""

    @property
    def nsim(self) -> int:
        """Number of worlds."""
        ...

    def bind(self, name: str) -> NDArray[Any]:
        """A part of the state, (nsim, ...): it changes with each step, and may be written.

        Args:
            name: `qpos`, `qvel`, `ctrl` or `xfrc_applied`.
        """
        ...

    def expand(self, name: str) -> NDArray[Any]:
        """A field of the model with a value for each world, (nsim, ...), which may be written.

        Args:
            name: one of `inhand.training.mujoco_worlds.universe.FIELDS`, or `geom_dataid`.
        """
        ...

    def set_const(self, ids: Ids) -> None:
        """Computes what follows from fields that were written in these worlds."""
        ...

    def reset(self, ids: Ids, *, stage: int) -> None:
        """Puts these worlds into the model's first state."""
        ...

    def step(self, *, nstep: int) -> None:
        """Advances all worlds by so many time steps."""
        ...


MakePhysics = Callable[[mujoco.MjModel, int], Physics]
"""Makes the physics of a model in so many worlds."""
