"""Servos that move joints, on a pty, in a time that only moves when told to.

Bytes take the real way; how long the processor is kept waiting does not matter.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from hardware.hand import Hand
from hardware.records import Array
from sim_backend.lone_joints import LoneJoints
from sim_backend.universe import Universe
from tests.sim_backend.wires import Wires


class JointWires(Wires):
    """A line with joints behind it; is also the clock that they move by.

    Attributes:
        joints: behind the servos.
    """

    def __init__(self, hand: Hand, universe: Universe) -> None:
        self.joints = LoneJoints(hand, universe)
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
def joint_wires(hand: Hand, universe: Universe) -> Iterator[JointWires]:
    """A line with joints for the length of a test."""
    line = JointWires(hand, universe)
    try:
        yield line
    finally:
        line.unplug()
