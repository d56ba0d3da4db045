"""Worlds in MuJoCo Warp: the physics runs on a GPU, or for tests on a CPU.

State and fields of the model are arrays on the host, as with `mujoco.batch`. They are copied to the
device before each step; fields of the model only for worlds that changed.
"""

import copy
import math
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from inhand.training.mujoco_worlds.memory import array_bytes, check_memory, free_memory
from inhand.training.mujoco_worlds.physics import Ids
from inhand.training.mujoco_worlds.universe import FIELDS
from inhand.training.mujoco_worlds.warp_engine import check_versions, warp_device

STATE = ("qpos", "qvel", "ctrl", "xfrc_applied")
MOVED = ("qpos", "qvel")
"""Parts of the state that a step changes."""
COMMON = ("opt.iterations", "opt.cone", "geom_condim")
"""Fields of a universe that all worlds of MuJoCo Warp have in common."""
OWN = (*(name for name in FIELDS if name not in COMMON), "geom_dataid")
"""Fields of which each world has its own."""
DERIVED = ("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0")
"""Fields that follow from those."""
LIVE = "dof_frictionloss"
"""The field that changes in every tick, by stiction."""

GROWTH = 1.5
"""Factor on what was too small."""
LEAST_FRICTION = 1e-5
"""MuJoCo's mjMINMU."""


class Room(NamedTuple):
    """How much memory a world has on the device; it grows where that does not suffice.

    Attributes:
        contacts: pairs of shapes that come near each other, and their contacts.
        convex: those of them with a mesh.
        rows: of the contact solver.
    """

    contacts: int = 24
    convex: int = 8
    rows: int = 128


class WarpPhysics:
    """`Physics` in MuJoCo Warp.

    All worlds have the nominal number of solver iterations and the nominal friction cone. If one
    world has torsional friction, all have it: with the smallest coefficient if none is wanted.

    Args:
        model: of all worlds.
        size: number of worlds.
        device: as torch names it: `cpu`, `cuda`.
        room: for contacts, at first.

    Attributes:
        nsim: number of worlds.
        room: for contacts, at present.

    Raises:
        EngineError: the versions do not fit, there is no such device, or memory is too small.
        ModuleNotFoundError: MuJoCo Warp is not installed.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        size: int,
        device: str = "cpu",
        room: Room | None = None,
    ) -> None:
        check_versions()
        self._device = warp_device(device)
        import mujoco_warp
        import warp

        self._engine, self._warp = mujoco_warp, warp
        kind = mujoco_warp.OverflowType
        # The others say that iterations ended at their limit, as they are meant to.
        self._full = int(kind.NEFC | kind.NJMAX_NNZ | kind.BROADPHASE | kind.NARROWPHASE | kind.CCD)
        self.nsim = size
        self._lost: Any = 0
        self.room = room or Room()
        self._nominal = model
        # Arrays of contacts have room for torsional friction.
        self._model = copy.copy(model)
        self._model.geom_condim[:] = np.maximum(model.geom_condim, 4)
        # Two boxes touch by MuJoCo's own function for boxes then, in Warp as in C.
        self._model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_NATIVECCD
        with self._on_device():
            self._check_memory()
        self._first = mujoco.MjData(model)
        self._state = {name: _repeated(getattr(self._first, name), size) for name in STATE}
        names = (*OWN, *COMMON)
        self._fields = {name: _repeated(np.array(_member(model, name)), size) for name in names}
        self._changed = np.ones(size, dtype=np.bool_)
        with self._on_device():
            self._put_model()
            self._put_data()

    @property
    def lost(self) -> int:
        """States that were not finite and were put back to the first one."""
        return int(self._lost)

    def bind(self, name: str) -> NDArray[Any]:
        """A part of the state, (nsim, ...); see `Physics.bind`."""
        return self._state[name]

    def expand(self, name: str) -> NDArray[Any]:
        """A field of the model, (nsim, ...); writing one of `COMMON` has no effect on a world."""
        return self._fields[name]

    def set_const(self, ids: Ids) -> None:
        """Has the fields of these worlds copied and followed up before the next step."""
        self._changed[ids] = True

    def reset(self, ids: Ids, *, stage: int = 0) -> None:
        """Puts these worlds into the model's first state."""
        for name, array in self._state.items():
            array[ids] = getattr(self._first, name)
        with self._on_device():
            self._warmstart[torch.from_numpy(ids).to(self._warmstart.device)] = 0.0

    def step(self, *, nstep: int = 1) -> None:
        """Advances all worlds by so many time steps.

        If the room for contacts or rows does not suffice, it is made larger and the steps are
        repeated, so that no contact is missed.
        """
        with self._on_device():
            while True:
                self._send()
                full = self._advanced(nstep)
                if not full:
                    break
                self._grow(full)
            for name in MOVED:
                self._state[name][:] = self._views[name].cpu().numpy()
            self._restore()

    def _on_device(self) -> AbstractContextManager[object]:
        """What torch does goes to Warp's stream, so that both happen in order."""
        if not self._device.is_cuda:
            return nullcontext()
        return torch.cuda.stream(self._warp.stream_to_torch(self._device))

    def _check_memory(self) -> None:
        """Finds what a world needs on the device from the difference between two and one."""
        one, two = (array_bytes(self._make_data(worlds)) for worlds in (1, 2))
        # In single precision there, in double precision here.
        here = sum(np.array(_member(self._nominal, name)).nbytes for name in OWN)
        cuda = self._device.is_cuda
        each = float(two - one) + (0.5 if cuda else 1.5) * here
        free = float(self._device.free_memory) if cuda else free_memory()
        check_memory(self.nsim, each, free, str(self._device) if cuda else "this machine")

    def _make_data(self, worlds: int) -> Any:
        with self._warp.ScopedDevice(self._device):
            return self._engine.make_data(
                self._model,
                nworld=worlds,
                nconmax=self.room.contacts,
                nccdmax=self.room.convex,
                njmax=self.room.rows,
            )

    def _put_model(self) -> None:
        sizes = {name: self.nsim for name in (*OWN, *DERIVED) if name[:4] != "opt."}
        with self._warp.ScopedDevice(self._device), warnings.catch_warnings():
            # It warns of torsional friction of zero, which `_send_fields` never sends.
            warnings.simplefilter("ignore")
            self._m = self._engine.put_model(self._model, batch_sizes=sizes)
            self._m.opt.timestep = self._warp.zeros(self.nsim, dtype=float)
            self._m.opt.gravity = self._warp.zeros(self.nsim, dtype=self._warp.vec3)
        # Overflow is read after each step; the engine would print a line for each.
        self._m.opt.warn_overflow = 0
        view = self._warp.to_torch
        self._model_views = {
            name: view(
                getattr(self._m.opt, name[4:]) if name[:4] == "opt." else getattr(self._m, name)
            )
            for name in OWN
        }
        self._condim = view(self._m.geom_condim)

    def _put_data(self) -> None:
        self._d = self._make_data(self.nsim)
        self._graph: Any = None
        view = self._warp.to_torch
        self._views = {name: view(getattr(self._d, name)) for name in STATE}
        self._warmstart = view(self._d.qacc_warmstart)
        self._overflow = view(self._d.overflow)

    def _send(self) -> None:
        """Copies the state, and the fields of worlds that changed."""
        for name, view in self._views.items():
            view.copy_(torch.from_numpy(self._state[name]))
        live = self._model_views[LIVE]
        live.copy_(torch.from_numpy(self._fields[LIVE]).reshape(live.shape))
        self._send_changed()

    def _send_changed(self) -> None:
        if self._changed.any():
            self._send_fields(np.flatnonzero(self._changed))
            self._changed[:] = False
            with self._warp.ScopedDevice(self._device):
                self._engine.set_const(self._m, self._d)

    def _send_fields(self, ids: Ids) -> None:
        rows = torch.from_numpy(ids).to(self._condim.device)
        for name, view in self._model_views.items():
            values = self._fields[name][ids]
            if name == "geom_friction":
                values = np.maximum(values, [0.0, LEAST_FRICTION, 0.0])
            part = torch.from_numpy(values).reshape(len(ids), *view.shape[1:])
            view[rows] = part.to(view.device, view.dtype)
        condim = self._fields["geom_condim"].max(axis=0)
        self._condim.copy_(torch.from_numpy(condim))

    def _advanced(self, nstep: int) -> int:
        """Steps, and returns what of the room was too small."""
        self._advance(nstep)
        if not (self._overflow & self._full).any():
            return 0
        return self._full & int(np.bitwise_or.reduce(self._overflow.cpu().numpy()))

    def _advance(self, nstep: int) -> None:
        """Steps; on a GPU from the second call on as one recorded graph of kernels."""
        self._overflow.zero_()
        with self._warp.ScopedDevice(self._device):
            if self._graph is not None:
                for _ in range(nstep):
                    self._warp.capture_launch(self._graph)
                return
            for _ in range(nstep):
                self._engine.step(self._m, self._d)
            if self._device.is_cuda:
                # What is recorded is not executed. All kernels have been compiled by now.
                with self._warp.ScopedCapture() as capture:
                    self._engine.step(self._m, self._d)
                self._graph = capture.graph

    def _grow(self, full: int) -> None:
        """Makes room where an overflow was reported."""
        kind = self._engine.OverflowType
        small = {
            "contacts": full & int(kind.BROADPHASE | kind.NARROWPHASE),
            "convex": full & int(kind.CCD),
            "rows": full & int(kind.NEFC | kind.NJMAX_NNZ),
        }
        new = {name: math.ceil(GROWTH * getattr(self.room, name)) for name in small if small[name]}
        room = self.room._replace(**new)
        # Each convex contact is also a contact.
        self.room = room._replace(contacts=max(room.contacts, room.convex))
        print(f"engine warp: contacts need more room; now {self.room} a world", file=sys.stderr)
        self._check_memory()
        self._put_data()

    def _restore(self) -> None:
        """Puts worlds back whose state is not finite, as MuJoCo does."""
        bad = np.zeros(self.nsim, dtype=np.bool_)
        for name in MOVED:
            good = np.abs(self._state[name]) < mujoco.mjMAXVAL
            bad |= ~good.all(axis=1)
        if bad.any():
            self._lost += int(bad.sum())
            self.reset(np.flatnonzero(bad))


def _member(model: Any, name: str) -> Any:
    return getattr(model.opt, name[4:]) if name[:4] == "opt." else getattr(model, name)


def _repeated(value: NDArray[Any], size: int) -> NDArray[Any]:
    return np.tile(value, (size, *[1] * value.ndim))
