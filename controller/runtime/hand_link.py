"""The shell around the hand: bus errors become missing reads, and a lost bus is sought again."""

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
"""Time between attempts to find a lost bus [s]."""


class HandLink:
    """The hand, on one bus or on several that are lost and found each by itself."""

    def __init__(
        self, backend: HandBackend, *, silent: bool = False, clock: ProcessClock | None = None
    ) -> None:
        """Takes a connected backend and its clock; a silent link reads only."""
        clock = clock or MonotonicClock()
        self._hand = backend.hand
        self._buses = [
            BusLink(part, silent=silent, pause=RECONNECT_PAUSE, clock=clock)
            for part in backend.parts
        ]
        names = list(backend.hand.actuator_names)
        self._places = [
            np.array([names.index(name) for name in part.hand.actuator_names])
            for part in backend.parts
        ]
        several = len(self._buses) > 1
        self._helpers = ThreadPoolExecutor(len(self._buses), "bus") if several else None

    @property
    def problem(self) -> str:
        """What went wrong last; empty once reading works again."""
        return "; ".join(bus.problem for bus in self._buses if bus.problem)

    @property
    def servo_error(self) -> str:
        """Which servos said at the last read that they have a hardware error; empty if none did."""
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
        """What the servos measured, NaN where they did not; None if none answered.

        Args:
            deadline: when to give up at the latest [s].
        """
        states = self._on_all([partial(bus.read, deadline) for bus in self._buses])
        if self._helpers is None:
            return states[0]
        heard = [state for state in states if state is not None]
        if not heard:
            return None
        return JointState(
            min(state.t for state in heard),
            *(
                self._joined([getattr(state, name, None) for state in states])
                for name in ("position", "velocity", "current", "temperature", "voltage")
            ),
        )

    def write(self, torque: bool, targets: Targets | None) -> Targets | None:
        """Switches torque if it is to change, and sends the targets if it is on.

        Returns:
            What was sent; None if nothing was, or not on every bus.
        """
        if self._helpers is None:
            return self._buses[0].write(torque, targets)
        sent = self._on_all(
            [
                partial(bus.write, torque, targets and _part(targets, places))
                for bus, places in zip(self._buses, self._places, strict=True)
            ]
        )
        if targets is None or not all(sent):
            return None
        return Targets(targets.t, self._joined([one.position for one in sent if one is not None]))

    def seek(self) -> None:
        """Looks for buses beside the tick where several reads or commands in a row failed."""
        for bus in self._buses:
            bus.seek()

    def reboot(self) -> None:
        """Has servos that have shut themselves down started anew, beside the tick."""
        for bus in self._buses:
            bus.reboot()

    def close(self, torque: bool) -> None:
        """Leaves the servos with or without torque, and releases the buses."""
        self._on_all([partial(bus.close, torque) for bus in self._buses])

    def _on_all(self, steps: Sequence[Callable[[], Result]]) -> list[Result]:
        """Does something on every bus, on all at once."""
        if self._helpers is None:
            return [steps[0]()]
        return [future.result() for future in [self._helpers.submit(step) for step in steps]]

    def _joined(self, values: Sequence[Array | None]) -> Array:
        """One array of the buses' own; NaN where one has none."""
        joined = np.full(self._hand.n_actuators, np.nan)
        for places, value in zip(self._places, values, strict=True):
            if value is not None:
                joined[places] = value
        return frozen_array(joined)


def _part(targets: Targets, places: NDArray[np.intp]) -> Targets:
    return Targets(targets.t, frozen_array(targets.position[places]))
