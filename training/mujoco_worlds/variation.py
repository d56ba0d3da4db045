"""Universes of a batch: the deviations of each world from nominal, drawn for each episode."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from inhand.controller.policy.action import ActionState
from inhand.controller.safety.safety import Motion
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import GRAVITY, Universe, Vary
from inhand.hardware.records import Array
from inhand.sim_backend.servo_dynamics import series_gain
from inhand.sim_backend.stiction import breakaway
from inhand.training.mujoco_worlds.draws import (
    AXES,
    NAMES,
    NOMINAL_EVERY,
    Strengths,
    axes_of,
    only,
    universe_of,
)
from inhand.training.mujoco_worlds.model import OBJECT
from inhand.training.mujoco_worlds.physics import Physics
from inhand.training.mujoco_worlds.universe import FIELDS, in_finer_steps, model_fields
from inhand.training.mujoco_worlds.universe_vector import describe_reality

MAX_DELAY = 20
"""Longest delay of a command to its servo in the model, including jitter [ticks]."""

ADVERSARY = 0.1
"""Share of the adversary in the action at strength 1; automatic ranges reached 0.16 in DeXtreme
(arXiv:2210.13702)."""

MESH_SIZES = (*(0.84 + 0.01 * i for i in range(16)), *(1.01 + 0.01 * i for i in range(16)))
"""Size factors of the additional meshes of an object in a batch."""


class Variation:
    """The universes of a batch, as arrays with one row for each world.

    Args:
        batch: physics of the model of `build_spec` with `MESH_SIZES`.
        nominal: the model of the nominal world.
        hand: the hand.
        tick: length of a tick [s].
        finer: by which the time steps of the universes are divided.

    Attributes:
        universes: one for each world.
        strengths: with which the universes were drawn, (size, len(AXES)).
        delay: from command to servo [ticks], (size, n_actuators).
        late: additional delay by jitter in the present tick [ticks], (size,).
        backlash: half-width of the slack between servo and joint [rad], (size, n_actuators).
        compliance: of the tendon between servo and joint [rad/(N·m)], (size, n_actuators).
        paused: whether the controller pauses in the present tick, (size,).
        center_of_mass: offsets, object frame [m], (size, 3).
        privileged: fields of the universe, scaled to about 1, (size, n).
        reality: the same for the fields of `reality_draws`, (size, m).
    """

    def __init__(
        self, batch: Physics, nominal: mujoco.MjModel, hand: Hand, tick: float, finer: int = 1
    ) -> None:
        self._batch, self._nominal, self._hand, self._tick = batch, nominal, hand, tick
        self._finer = finer
        size = batch.nsim
        self._fields = {name: batch.expand(name) for name in FIELDS}
        self._object = nominal.geom(OBJECT).id
        self._mesh = batch.expand("geom_dataid")
        self._sizes = np.array([1.0, *MESH_SIZES])
        self.universes = [Universe()] * size
        self.strengths = np.zeros((size, len(AXES)))
        self.delay = np.zeros((size, hand.n_actuators), dtype=np.int64)
        self.late = np.zeros(size, dtype=np.int64)
        self._jitter = np.zeros(size)
        self.backlash = np.zeros((size, hand.n_actuators))
        self.compliance = np.zeros((size, hand.n_actuators))
        self.center_of_mass = np.zeros((size, 3))
        self._gain = np.tile(hand.gain, (size, 1))
        self._torque_limit = np.tile(hand.torque_limit, (size, 1))
        joints = slice(0, hand.n_joints)
        self._friction = self._fields["dof_frictionloss"][:, joints]
        self._moving, self._stiction = np.zeros((2, size, hand.n_joints))
        self._pause_rate, self._pause_time, self._pause_left = np.zeros((3, size))
        self.paused = np.zeros(size, dtype=np.bool_)
        self._plain = np.zeros(size, dtype=np.bool_)
        self.privileged = np.tile(self._describe(Universe()), (size, 1))
        self.reality = np.tile(describe_reality(hand, Universe()), (size, 1))

    @property
    def adversary(self) -> Array:
        """Share of a random network in the actions of each world, (size,)."""
        share: Array = ADVERSARY * self.strengths[:, NAMES.index("adversary")]
        return share

    def draw(
        self,
        ids: NDArray[np.int64],
        rng: np.random.Generator,
        strengths: Strengths,
        vary: Vary = "everything",
        copy_nominal: bool = False,
    ) -> NDArray[np.int64]:
        """Draws new universes for these worlds; returns those whose universe is another one now.

        Args:
            ids: the worlds, (k,).
            rng: source of randomness.
            strengths: of every axis of `inhand.training.mujoco_worlds.draws`, (k, len(AXES)).
                Worlds that stay nominal do not use theirs.
            vary: the kind of fields that change.
            copy_nominal: whether nominal universes are copied, and kept where they are, in place
                of being computed for each world. Other numbers are taken from `rng` then.
        """
        varied = (ids % NOMINAL_EVERY > 0)[:, None] & (axes_of(vary) > 0)
        self.strengths[ids] = np.where(varied, strengths, 0.0)
        plain = np.zeros(len(ids), dtype=np.bool_)
        if copy_nominal:
            plain = np.logical_not(self.strengths[ids].any(axis=1))
            other = ~(plain & self._plain[ids])
            ids, plain = ids[other], plain[other]
        for i in [*ids[~plain], *ids[plain][:1]]:
            universe = universe_of(self._hand, rng, self.strengths[i])
            self._set(int(i), only(vary, universe))
        if plain.any():
            self._copy(ids[plain])
        self._derive(ids)
        return ids

    def assign(self, ids: NDArray[np.int64], universes: Sequence[Universe]) -> None:
        """Gives these worlds universes, (k,); their strengths stay as they are."""
        for i, universe in zip(ids.tolist(), universes, strict=True):
            self._set(i, universe)
        self._derive(ids)

    def _derive(self, ids: NDArray[np.int64]) -> None:
        """Computes what follows from the fields of these worlds."""
        self._batch.set_const(ids)
        # `set_const` resets the bounding sphere of a mesh to the nominal one.
        sizes = [self.universes[i].object_size for i in ids]
        radius = self._nominal.geom_rbound[self._object]
        self._fields["geom_rbound"][ids, self._object] = radius * np.array(sizes)

    def rows(self, ids: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """What of these universes acts outside of the engine, by its name, (k, ...) each."""
        universes = [self.universes[i] for i in ids]
        return {
            **{name: array[ids] for name, array in self._arrays().items()},
            "push_rate": np.array([one.push_rate for one in universes]),
            "push_acceleration": np.array([one.push_acceleration for one in universes]),
            "adversary": self.adversary[ids],
            "strengths": self.strengths[ids],
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "delay": self.delay,
            "jitter": self._jitter,
            "backlash": self.backlash,
            "compliance": self.compliance,
            "center_of_mass": self.center_of_mass,
            "gain": self._gain,
            "torque_limit": self._torque_limit,
            "moving": self._moving,
            "stiction": self._stiction,
            "pause_rate": self._pause_rate,
            "pause_time": self._pause_time,
            "privileged": self.privileged,
            "reality": self.reality,
        }

    def _copy(self, ids: NDArray[np.int64]) -> None:
        """Gives these worlds the universe of the first one, which is nominal."""
        first = ids[0]
        for i in ids:
            self.universes[i] = self.universes[first]
        for array in (*self._arrays().values(), *self._fields.values(), self._mesh):
            array[ids] = array[first]
        self.late[ids], self._pause_left[ids], self.paused[ids] = 0, 0.0, False
        self._plain[ids] = True

    def tick(self, rng: np.random.Generator) -> None:
        """Draws the jitter of one tick's commands, and pauses of the controller."""
        if self._jitter.any():
            chance = rng.random((2, len(self.late)))
            self.late = (self._jitter * chance[0] + chance[1]).astype(np.int64)
        if self._pause_rate.any():
            begins = rng.random(len(self.late)) < self._pause_rate * self._tick
            begins &= self._pause_left <= 0.5 * self._tick
            self._pause_left = np.where(begins, self._pause_time, self._pause_left - self._tick)
            self.paused = self._pause_left > 0.5 * self._tick

    def pushes(self, rng: np.random.Generator, mass: float, rate: float) -> Array:
        """Draws forces on the objects for one policy step, world frame [N], (size, 3).

        Args:
            rng: source of randomness.
            mass: of the nominal object [kg].
            rate: policy steps a second [Hz].
        """
        chance = np.array([one.push_rate for one in self.universes]) / rate
        strength = np.array([one.push_acceleration for one in self.universes])
        pushed = rng.random(len(self.universes)) < chance
        forces = np.zeros((len(self.universes), 3))
        if pushed.any():
            drawn = rng.standard_normal((pushed.sum(), 3))
            forces[pushed] = mass * strength[pushed, None] * drawn
        return forces

    def unless_paused(self, old: ActionState, new: ActionState) -> ActionState:
        """The new state of the action path; the old one where the controller pauses."""
        paused = self.paused[:, None]
        if not paused.any():
            return new
        return ActionState(
            np.where(paused, old.previous, new.previous),
            np.where(paused, old.goal, new.goal),
            new.tick,
            Motion(
                np.where(paused, old.motion.position, new.motion.position),
                np.where(paused, old.motion.velocity, new.motion.velocity),
            ),
        )

    def stick(self, speeds: Array) -> None:
        """Sets the joints' friction at these speeds [rad/s], (size, n_joints)."""
        if self._stiction.any():
            self._friction[:] = breakaway(self._moving, self._stiction, speeds)

    def stretch(self, targets: Array, tight: Array) -> Array:
        """Stretch of the tendons [rad], (size, n_actuators).

        Args:
            targets: targets that have reached the servos [rad], (size, n_actuators).
            tight: encoder readings without the stretch of tendons [rad], (size, n_actuators).
        """
        pull = self._gain * (targets - tight)
        torque = np.clip(pull, -self._torque_limit, self._torque_limit)
        stretched: Array = self.compliance * torque
        return stretched

    def _set(self, i: int, universe: Universe) -> None:
        if self._nominal.geom_type[self._object] == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = int(np.argmin(np.abs(self._sizes - universe.object_size)))
            self._mesh[i, self._object] = mesh
            universe = replace(universe, object_size=float(self._sizes[mesh]))
        self.universes[i], self._plain[i] = universe, False
        solved = in_finer_steps(universe, self._finer)
        for name, value in model_fields(self._nominal, self._hand, solved).items():
            self._fields[name][i] = value
        late = np.array(universe.action_delay or 0.0) + universe.action_latency
        delay = np.round(late / self._tick)
        self.delay[i] = np.minimum(delay, MAX_DELAY - 1)
        self._jitter[i] = min(universe.control_jitter / self._tick, 1.0)
        self.late[i] = 0
        self.backlash[i] = universe.backlash or 0.0
        self.compliance[i] = universe.compliance or 0.0
        self.center_of_mass[i] = universe.center_of_mass
        self._gain[i] = series_gain(self._hand, universe)
        self._torque_limit[i] = self._hand.torque_limit * np.array(universe.torque_limit or 1.0)
        self._moving[i] = self._friction[i]
        self._stiction[i] = universe.stiction or 0.0
        self._pause_rate[i], self._pause_time[i] = universe.pause_rate, universe.pause_time
        self._pause_left[i], self.paused[i] = 0.0, False
        self.privileged[i] = self._describe(universe)
        self.reality[i] = describe_reality(self._hand, universe)

    def _describe(self, universe: Universe) -> Array:
        hand = self._hand

        def logs(factors: tuple[float, ...], size: int) -> Array:
            return np.log(np.array(factors)) if factors else np.zeros(size)

        def values(numbers: tuple[float, ...], size: int, unit: float) -> Array:
            return np.array(numbers) / unit if numbers else np.zeros(size)

        shape = np.log([universe.object_size, universe.object_mass, universe.friction])
        return np.concatenate(
            [
                shape * [10.0, 2.0, 3.0],
                np.array(universe.center_of_mass) / 0.002,
                (np.array(universe.gravity) + [0.0, 0.0, GRAVITY]) / 0.4,
                logs(universe.actuator_gain, hand.n_actuators) / 0.3,
                logs(universe.joint_damping, hand.n_joints) / 0.6,
                values(universe.backlash, hand.n_actuators, 0.02),
                values(universe.action_delay, hand.n_actuators, 0.05),
            ]
        )
