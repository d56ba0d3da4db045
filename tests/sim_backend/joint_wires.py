"""Servos that move joints, on a pty, with a virtual clock.

Bytes take the real way; how long the processor is kept waiting does not matter.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pybullet

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.world import World
from tests.sim_backend.decoupled_joints import DecoupledJoints
from tests.sim_backend.wires import Wires


class Moving(Protocol):
    """What servos may move."""

    timestep: float

    def step(self, bus: ServoBus) -> None: ...

    def encoders(self) -> tuple[Array, Array, Array]: ...


class WorldJoints:
    """The joints of a whole hand in PyBullet, which has nothing in it."""

    def __init__(self, hand: Hand, universe: Universe) -> None:
        self.world = World(hand, load_object("block"), universe, seed=1)
        self.timestep = self.world.timestep
        pybullet.resetBasePositionAndOrientation(
            self.world.object_body, [5, 5, 0], [0, 0, 0, 1], physicsClientId=self.world.client
        )

    def step(self, bus: ServoBus) -> None:
        """Advances one time step."""
        self.world.step(bus.targets(), bus.torque_on())

    def encoders(self) -> tuple[Array, Array, Array]:
        """Position [rad], velocity [rad/s] and current [A], each (n_actuators,)."""
        return self.world.encoders()


class JointWires(Wires):
    """A line with joints behind it; is also the clock that they move by.

    Attributes:
        joints: behind the servos.
    """

    def __init__(self, hand: Hand, joints: Moving) -> None:
        self.joints = joints
        self._now = 0.0
        super().__init__(hand)

    def now(self) -> float:
        """Time of the joints [s]."""
        return self._now

    def sleep_until(self, deadline: float) -> None:
        """Lets the joints move on."""
        steps = max(0, round((deadline - self._now) / self.joints.timestep))
        with self.lock:
            for _ in range(steps):
                self.joints.step(self.bus)
        self._now += steps * self.joints.timestep

    def _measure(self) -> tuple[Array, Array, Array]:
        return self.joints.encoders()


@contextmanager
def joint_wires(hand: Hand, universe: Universe, *, world: bool = False) -> Iterator[JointWires]:
    """A line with joints for the length of a test: each by itself, or all of one in PyBullet."""
    joints: Moving = WorldJoints(hand, universe) if world else DecoupledJoints(hand, universe)
    line = JointWires(hand, joints)
    try:
        yield line
    finally:
        line.unplug()
        if isinstance(joints, WorldJoints):
            joints.world.close()
