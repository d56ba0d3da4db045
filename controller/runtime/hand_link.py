"""The shell around the hand: bus errors become missing reads, and a lost bus is sought again."""

import threading
import time
from contextlib import suppress

from inhand.errors import InhandError
from inhand.hardware.backend import HandBackend
from inhand.hardware.errors import ServoError
from inhand.hardware.records import JointState, Targets

RECONNECT_PAUSE = 1.0
"""Time between attempts to find a lost bus [s]."""

_FAILURES_LOST = 3


class HandLink:
    """Reads and commands a backend without ever raising in the tick.

    Attributes:
        problem: what went wrong last; empty once reading works again.
        servo_error: which servos said at the last read that they have shut themselves down, and
            why; empty if none did.
        errors: failed reads and writes so far.
    """

    def __init__(self, backend: HandBackend, *, silent: bool = False) -> None:
        """Takes a connected backend; a silent link reads only."""
        self.problem = ""
        self.servo_error = ""
        self.errors = 0
        self._backend = backend
        self._silent = silent
        self._torque: bool | None = None
        self._distrusted = False
        self._failed_reads = 0
        self._failed_writes = 0
        self._seeking: threading.Thread | None = None
        self._reboot = False

    @property
    def lost(self) -> bool:
        """Whether several commands in a row could not be sent."""
        return self._failed_writes >= _FAILURES_LOST

    def read(self, deadline: float | None = None) -> JointState | None:
        """What the servos measured; None if they did not answer.

        Args:
            deadline: when to give up at the latest [s, CLOCK_MONOTONIC].
        """
        if self._seeking is not None:
            if self._seeking.is_alive():
                return None
            self._seeking = None
        try:
            joints = self._backend.read(deadline)
        except InhandError as error:
            self._failed(error)
            self.servo_error = str(error) if isinstance(error, ServoError) else ""
            self._failed_reads += 1
            return None
        self.problem = self._backend.problem
        self.servo_error = ""
        self._failed_reads = 0
        # Nobody asks for a reboot long before the servos are ill.
        self._reboot = False
        return joints

    def write(self, torque: bool, targets: Targets) -> Targets | None:
        """Switches torque if it is to change, and sends the targets if it is on.

        Returns:
            What was sent; None if nothing was.
        """
        if self._silent or self._seeking is not None:
            return None
        # Servos that were out of reach may stand anywhere: they get no torque back before the
        # controller itself has taken it away, and given it anew.
        self._distrusted = self._distrusted and torque
        torque = torque and not self._distrusted
        try:
            if torque != self._torque:
                # A switch that fails half-way is done again in the next tick.
                self._torque = None
                self._backend.set_torque(torque)
                self._torque = torque
            sent = self._backend.write(targets) if torque else None
        except InhandError as error:
            self._failed(error)
            self._failed_writes += 1
            return None
        self._failed_writes = 0
        return sent

    def seek(self) -> None:
        """Looks for the hand beside the tick, if several reads or commands in a row failed.

        Reads are missing until it is found.
        """
        failures = max(self._failed_reads, self._failed_writes)
        if self._seeking is None and failures >= _FAILURES_LOST:
            self._seeking = threading.Thread(target=self._reconnect, name="reconnect", daemon=True)
            self._seeking.start()

    def reboot(self) -> None:
        """Has servos that have shut themselves down started anew when the hand is sought next."""
        self._reboot = not self._silent and max(self._failed_reads, self._failed_writes) > 0

    def close(self, torque: bool) -> None:
        """Leaves the servos with or without torque, and releases the bus."""
        if self._seeking is not None:
            self._seeking.join(timeout=2 * RECONNECT_PAUSE)
        if not self._silent and self._torque is not False and not torque:
            with suppress(InhandError):
                self._backend.set_torque(False)
        self._backend.close()

    def _reconnect(self) -> None:
        self._backend.close()
        time.sleep(RECONNECT_PAUSE)
        try:
            if self._reboot:
                self._reboot = False
                self._backend.reboot()
            self._backend.connect()
        except InhandError as error:
            self.problem = str(error)
            return
        # What the servos do after a loss is unknown: the next write says it anew.
        self._torque, self._distrusted = None, True
        self._failed_reads = self._failed_writes = 0

    def _failed(self, error: InhandError) -> None:
        self.errors += 1
        self.problem = str(error)
