"""Connection to the hand: bus errors become missing reads; a lost bus is reconnected."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inhand.controller.runtime.bus_link import BusLink
from inhand.controller.system.clock import MonotonicClock, ProcessClock
from inhand.hardware.backend import HandBackend
from inhand.hardware.records import Array, JointState, Targets, frozen_array

Result = TypeVar("Result")

RECONNECT_PAUSE = 1.0
"""Time between attempts to reconnect a lost bus [s]."""


class HandLink:
    """The hand, on one bus or on several; each bus is lost and reconnected independently."""

    def __init__(
        self, backend: HandBackend, *, silent: bool = False, clock: ProcessClock | None = None
    ) -> None:
        """Takes a connected backend and its clock; a silent link only reads."""
        clock = clock or MonotonicClock()
        self._hand = backend.hand
        self._buses = [
            BusLink(part, silent=silent, pause=RECONNECT_PAUSE, clock=clock)
            for part in backend.parts
        ]
        names = list(backend.hand.actuator_names)
        self._indices = [
            np.array([names.index(name) for name in part.hand.actuator_names])
            for part in backend.parts
        ]
        several = len(self._buses) > 1
        self._pool = ThreadPoolExecutor(len(self._buses), "bus") if several else None

    @property
    def problem(self) -> str:
        """The latest problem; empty once reading works again."""
        return "; ".join(bus.problem for bus in self._buses if bus.problem)

    @property
    def servo_error(self) -> str:
        """The servos that reported a hardware error at the last read; empty if none did."""
        return "; ".join(bus.servo_error for bus in self._buses if bus.servo_error)

    @property
    def errors(self) -> int:
        """Failed reads and writes so far."""
        return sum(bus.errors for bus in self._buses)

    @property
    def lost(self) -> bool:
        """Whether several commands in a row could not be sent on a bus."""
        return any(bus.lost for bus in self._buses)

    def read(self, deadline: float | None = None) -> JointState | None:
        """The measured joint state, NaN for servos without a reply; None if none replied.

        Args:
            deadline: time at which the read ends at the latest [s].
        """
        states = self._on_all([partial(bus.read, deadline) for bus in self._buses])
        if self._pool is None:
            return states[0]
        replied = [state for state in states if state is not None]
        if not replied:
            return None
        return JointState(
            min(state.t for state in replied),
            *(
                self._joined([getattr(state, name, None) for state in states])
                for name in ("position", "velocity", "current", "temperature", "voltage")
            ),
        )

    def write(self, torque: bool, targets: Targets | None) -> Targets | None:
        """Switches torque if it changes, and sends the targets if it is on.

        Returns:
            The targets that were sent; None if they were not sent on every bus.
        """
        if self._pool is None:
            return self._buses[0].write(torque, targets)
        sent = self._on_all(
            [
                partial(bus.write, torque, targets and _part(targets, indices))
                for bus, indices in zip(self._buses, self._indices, strict=True)
            ]
        )
        if targets is None or not all(sent):
            return None
        return Targets(targets.t, self._joined([one.position for one in sent if one is not None]))

    def seek(self) -> None:
        """Reconnects, in a thread, each bus on which several reads or writes in a row failed."""
        for bus in self._buses:
            bus.seek()

    def reboot(self) -> None:
        """Reboots, in a thread, servos that have shut down with a hardware error."""
        for bus in self._buses:
            bus.reboot()

    def close(self, torque: bool) -> None:
        """Closes the buses, with torque left as it is or off."""
        self._on_all([partial(bus.close, torque) for bus in self._buses])

    def _on_all(self, steps: Sequence[Callable[[], Result]]) -> list[Result]:
        """Runs one step for every bus, on all buses in parallel."""
        if self._pool is None:
            return [steps[0]()]
        return [future.result() for future in [self._pool.submit(step) for step in steps]]

    def _joined(self, values: Sequence[Array | None]) -> Array:
        """Joins the buses' arrays in actuator order; NaN for a bus without values."""
        joined = np.full(self._hand.n_actuators, np.nan)
        for indices, value in zip(self._indices, values, strict=True):
            if value is not None:
                joined[indices] = value
        return frozen_array(joined)


def _part(targets: Targets, indices: NDArray[np.intp]) -> Targets:
    return Targets(targets.t, frozen_array(targets.position[indices]))
