"""One servo bus as the tick sees it: errors become missing reads, torque off is made sure of."""

import logging
import threading
from contextlib import AbstractContextManager

from inhand.controller.system.clock import ProcessClock
from inhand.errors import InhandError
from inhand.hardware.backend import RETRY, HandBackend, let_go
from inhand.hardware.errors import ServoError
from inhand.hardware.records import JointState, Targets

log = logging.getLogger(__name__)

EXIT_PATIENCE = 2.0
"""For torque to be read back as off when the daemon ends [s]."""
READ_BACK = 0.002
"""Time to read torque back in a tick whose time for reading is over [s]."""
SILENT_TICK = 0.01
"""The same where a read was given no deadline [s]."""
EAGER, PAUSE = 10, 10
"""Attempts to read torque back in as many ticks; from then on one in so many ticks."""

REBOOTS = 3
"""Attempts to restart an ill servo after one request: on a busy machine one can time out."""

_FAILURES_LOST = 3


class BusLink:
    """Reads and commands the servos of one bus without ever raising in the tick.

    Torque goes off by a bare write, which needs no servo to be well and no bus to be set up, and is
    repeated until it is read back. While a lost bus is sought, the thread that seeks it does so.

    Attributes:
        problem: what went wrong last; empty once reading works again.
        servo_error: which servos report a hardware error; empty if none did at the last read.
        errors: failed reads and writes so far.
    """

    def __init__(
        self, backend: HandBackend, *, silent: bool, pause: float, clock: ProcessClock
    ) -> None:
        """Takes a connected backend.

        Args:
            backend: the servos.
            silent: whether to read only.
            pause: time between two attempts to find a lost bus [s].
            clock: the hand's.
        """
        self._clock = clock
        self._pause = pause
        self.problem = ""
        self.servo_error = ""
        self.errors = 0
        self._backend = backend
        self._silent = silent
        self._torque: bool | None = None
        self._off = threading.Event()
        self._unready = False
        self._attempts = 0
        self._pulling = ""
        self._deadline = 0.0
        self._distrusted = False
        self._failed_reads = 0
        self._failed_writes = 0
        self._seeking: threading.Thread | None = None
        self._found = threading.Event()
        self._ending = False
        self._reboots = 0

    @property
    def lost(self) -> bool:
        """Whether several commands in a row could not be sent."""
        return self._failed_writes >= _FAILURES_LOST

    def read(self, deadline: float | None = None) -> JointState | None:
        """What the servos measured, those with a hardware error too; None if none answered.

        Args:
            deadline: when to give up at the latest [s].
        """
        self._deadline = self._clock.now() + SILENT_TICK if deadline is None else deadline
        if self._sought() or self._unready:
            return None
        joints: JointState | None
        try:
            joints = self._backend.read(deadline)
        except ServoError as error:
            self.problem = self.servo_error = str(error)
            self.errors += error.joints is None
            self._failed_reads = 0
            joints = error.joints
        except InhandError as error:
            self._failed(error)
            self.servo_error = ""
            self._failed_reads += 1
            joints = None
        else:
            self.problem, self.servo_error = self._backend.problem, ""
            self._failed_reads = 0
            # Nobody asks for a reboot long before the servos are ill.
            self._reboots = 0
        self._add_problem(self._pulling)
        return joints

    def write(self, torque: bool, targets: Targets | None) -> Targets | None:
        """Switches torque if it is to change, and sends the targets if it is on.

        Returns:
            What was sent; None if nothing was.
        """
        self._want(torque)
        if self._silent or self._sought():
            return None
        # Servos that were out of reach may stand anywhere: they get no torque back before the
        # controller itself has taken it away, and given it anew.
        self._distrusted = self._distrusted and torque
        if not torque or self._distrusted or targets is None:
            self._relax()
            return None
        if self._unready:
            return None
        self._pulling, self._attempts = "", 0
        try:
            if not self._torque:
                # A switch that fails half-way is done again in the next tick.
                self._torque = None
                self._backend.set_torque(True)
                self._torque = True
            sent = self._backend.write(targets)
        except InhandError as error:
            self._failed(error)
            self._failed_writes += 1
            return None
        self._failed_writes = 0
        return sent

    def seek(self) -> None:
        """Looks for the bus beside the tick, if several reads or commands in a row failed.

        Reads are missing until it is found.
        """
        failures = max(self._failed_reads, self._failed_writes)
        if not self._sought() and (self._unready or failures >= _FAILURES_LOST):
            self._begin_to_seek(self._pause)

    def reboot(self) -> None:
        """Has servos that have shut themselves down started anew, beside the tick."""
        failed = self._unready or max(self._failed_reads, self._failed_writes) > 0
        wanted = not self._silent and (failed or bool(self.servo_error))
        self._reboots = REBOOTS if wanted else 0
        if wanted and self.servo_error and not self._sought():
            self._begin_to_seek(0.0)

    def close(self, torque: bool) -> None:
        """Leaves the servos with or without torque, and releases the bus. Safe to call twice."""
        first, self._ending = not self._ending, True
        self._want(torque)
        if self._seeking is not None:
            self._seeking.join(timeout=2 * self._pause + READ_BACK)
        if first and not self._silent and not torque and self._torque is not False:
            if left := let_go(self._backend, EXIT_PATIENCE):
                self.problem = f"{left}; switch the hand's power off"
                log.error("%s", self.problem)
            else:
                self._torque = False
        self._backend.close()

    def _relax(self) -> None:
        """Takes torque away until it is read back as off, in this tick or in later ones."""
        if self._torque is False:
            return
        self._torque = None
        self._attempts += 1
        if self._attempts > EAGER and self._attempts % PAUSE:
            return
        try:
            deadline = max(self._deadline, self._clock.now() + READ_BACK)
            self._pulling = self._backend.relax(deadline)
        except InhandError as error:
            self._failed(error)
            self._failed_writes += 1
            return
        self._failed_writes = 0
        if self._pulling:
            self._add_problem(self._pulling)
        else:
            self._torque, self._attempts = False, 0

    def _sought(self) -> bool:
        """Whether the thread that seeks the bus has it."""
        if self._seeking is not None and self._found.is_set():
            self._seeking = None
        return self._seeking is not None

    def _begin_to_seek(self, pause: float) -> None:
        # What the servos do after a loss is unknown.
        self._torque, self._pulling, self._unready = None, "", True
        try:
            aside = self._clock.aside()
        except OSError as error:
            # A simulated world that has ended; the daemon ends with it.
            self.problem = f"there is no simulated time any more: {error}"
            return
        self._found.clear()
        self._seeking = threading.Thread(
            target=self._reconnect, args=(pause, aside), name="reconnect", daemon=True
        )
        self._seeking.start()

    def _reconnect(self, pause: float, aside: AbstractContextManager[None]) -> None:
        with aside:
            try:
                self._find(pause)
            finally:
                self._found.set()

    def _find(self, pause: float) -> None:
        clock = self._clock
        over = clock.now() + pause
        self._backend.close()
        while (left := over - clock.now()) > 0 and not self._ending:
            if self._off.is_set() and not self._silent and self._torque is not False:
                # Nothing may be there yet to hear it: it is said again and again.
                self._take_torque()
            clock.sleep_until(clock.now() + min(RETRY, left))
        if not self._silent:
            # Whoever was out of reach gets no torque back, so that it is taken first of all.
            self._take_torque()
        self._connect()

    def _want(self, torque: bool) -> None:
        if torque:
            self._off.clear()
        else:
            self._off.set()

    def _take_torque(self) -> None:
        try:
            left = self._backend.relax(self._clock.now() + SILENT_TICK)
        except InhandError as error:
            self.problem = str(error)
            return
        self._torque = None if left else False
        self.problem = left or self.problem

    def _connect(self) -> None:
        if self._ending:
            return
        try:
            if self._reboots:
                self._reboots -= 1
                self._backend.reboot()
                self._reboots = 0
            self._backend.connect()
        except InhandError as error:
            self.problem = str(error)
            self.servo_error = str(error) if isinstance(error, ServoError) else ""
            return
        self.servo_error, self._unready = "", False
        self._distrusted = True
        self._failed_reads = self._failed_writes = 0

    def _failed(self, error: InhandError) -> None:
        self.errors += 1
        self.problem = str(error)

    def _add_problem(self, problem: str) -> None:
        if problem and problem not in self.problem:
            self.problem = f"{self.problem}; {problem}" if self.problem else problem
