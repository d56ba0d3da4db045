"""One servo bus: errors become missing reads, and torque off is verified by reading it back."""

import logging
import threading
from contextlib import AbstractContextManager

from inhand.controller.system.clock import ProcessClock
from inhand.errors import InhandError
from inhand.hardware.backend import RETRY, HandBackend, switch_torque_off
from inhand.hardware.errors import ServoError
from inhand.hardware.records import JointState, Targets

log = logging.getLogger(__name__)

EXIT_PATIENCE = 2.0
"""Time limit for reading torque back as off when the daemon ends [s]."""
READ_BACK = 0.002
"""Time for reading torque back if the read deadline of the tick has passed [s]."""
SILENT_TICK = 0.01
"""Time for reading torque back if no deadline was given [s]."""
FAST_ATTEMPTS, SLOW_PERIOD = 10, 10
"""Ticks with an attempt to read torque back in each; after them, ticks between two attempts."""

REBOOTS = 3
"""Attempts to reboot a servo after one request: on a busy machine an attempt can time out."""

_FAILURES_LOST = 3


class BusLink:
    """Reads and commands the servos of one bus; never raises an exception into the tick.

    Torque is switched off by a plain write, which works with faulty servos and before the bus is
    set up. It is repeated until torque reads back as off. While a lost bus is reconnected,
    the reconnecting thread does this.

    Attributes:
        problem: the latest problem; empty once reading works again.
        servo_error: the servos that reported a hardware error at the last read; empty if none did.
        errors: failed reads and writes so far.
    """

    def __init__(
        self, backend: HandBackend, *, silent: bool, pause: float, clock: ProcessClock
    ) -> None:
        """Takes a connected backend.

        Args:
            backend: the servos.
            silent: whether to only read.
            pause: time between two attempts to reconnect a lost bus [s].
            clock: the hand's clock.
        """
        self._clock = clock
        self._pause = pause
        self.problem = ""
        self.servo_error = ""
        self.errors = 0
        self._backend = backend
        self._silent = silent
        self._torque: bool | None = None
        self._off_wanted = threading.Event()
        self._not_ready = False
        self._attempts = 0
        self._torque_problem = ""
        self._deadline = 0.0
        self._torque_withheld = False
        self._failed_reads = 0
        self._failed_writes = 0
        self._reconnect_thread: threading.Thread | None = None
        self._reconnect_ended = threading.Event()
        self._ending = False
        self._reboots = 0

    @property
    def lost(self) -> bool:
        """Whether several commands in a row could not be sent."""
        return self._failed_writes >= _FAILURES_LOST

    def read(self, deadline: float | None = None) -> JointState | None:
        """The measured joint state, also of servos with a hardware error; None if none replied.

        Args:
            deadline: time at which the read ends at the latest [s].
        """
        self._deadline = self._clock.now() + SILENT_TICK if deadline is None else deadline
        if self._reconnecting() or self._not_ready:
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
            # A reboot request made while all servos were healthy does not count for later errors.
            self._reboots = 0
        self._add_problem(self._torque_problem)
        return joints

    def write(self, torque: bool, targets: Targets | None) -> Targets | None:
        """Switches torque if it changes, and sends the targets if it is on.

        Returns:
            The targets that were sent; None if none were.
        """
        self._set_wanted(torque)
        if self._silent or self._reconnecting():
            return None
        # After a reconnection the joints may be anywhere: torque stays off until the controller
        # has switched it off and on again.
        self._torque_withheld = self._torque_withheld and torque
        if not torque or self._torque_withheld or targets is None:
            self._relax()
            return None
        if self._not_ready:
            return None
        self._torque_problem, self._attempts = "", 0
        try:
            if not self._torque:
                # If this fails for some servos, it is repeated for all in the next tick.
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
        """Reconnects the bus in a thread, if several reads or writes in a row failed.

        Reads return None until it is connected.
        """
        failures = max(self._failed_reads, self._failed_writes)
        if not self._reconnecting() and (self._not_ready or failures >= _FAILURES_LOST):
            self._start_reconnecting(self._pause)

    def reboot(self) -> None:
        """Reboots, in a thread, servos that have shut down with a hardware error."""
        failed = self._not_ready or max(self._failed_reads, self._failed_writes) > 0
        wanted = not self._silent and (failed or bool(self.servo_error))
        self._reboots = REBOOTS if wanted else 0
        if wanted and self.servo_error and not self._reconnecting():
            self._start_reconnecting(0.0)

    def close(self, torque: bool) -> None:
        """Closes the bus, with torque left as it is or off. May be called twice."""
        first, self._ending = not self._ending, True
        self._set_wanted(torque)
        if self._reconnect_thread is not None:
            self._reconnect_thread.join(timeout=2 * self._pause + READ_BACK)
        if first and not self._silent and not torque and self._torque is not False:
            if left := switch_torque_off(self._backend, EXIT_PATIENCE):
                self.problem = f"{left}; switch the hand's power off"
                log.error("%s", self.problem)
            else:
                self._torque = False
        self._backend.close()

    def _relax(self) -> None:
        """Switches torque off; repeated in later ticks until torque reads back as off."""
        if self._torque is False:
            return
        self._torque = None
        self._attempts += 1
        if self._attempts > FAST_ATTEMPTS and self._attempts % SLOW_PERIOD:
            return
        try:
            deadline = max(self._deadline, self._clock.now() + READ_BACK)
            self._torque_problem = self._backend.relax(deadline)
        except InhandError as error:
            self._failed(error)
            self._failed_writes += 1
            return
        self._failed_writes = 0
        if self._torque_problem:
            self._add_problem(self._torque_problem)
        else:
            self._torque, self._attempts = False, 0

    def _reconnecting(self) -> bool:
        """Whether the reconnecting thread is using the bus."""
        if self._reconnect_thread is not None and self._reconnect_ended.is_set():
            self._reconnect_thread = None
        return self._reconnect_thread is not None

    def _start_reconnecting(self, pause: float) -> None:
        # After a lost connection the state of the servos is unknown.
        self._torque, self._torque_problem, self._not_ready = None, "", True
        try:
            aside = self._clock.aside()
        except OSError as error:
            # The simulated world has ended, and the daemon ends with it.
            self.problem = f"simulated time has ended: {error}"
            return
        self._reconnect_ended.clear()
        self._reconnect_thread = threading.Thread(
            target=self._reconnect, args=(pause, aside), name="reconnect", daemon=True
        )
        self._reconnect_thread.start()

    def _reconnect(self, pause: float, aside: AbstractContextManager[None]) -> None:
        with aside:
            try:
                self._reconnect_with_pause(pause)
            finally:
                self._reconnect_ended.set()

    def _reconnect_with_pause(self, pause: float) -> None:
        clock = self._clock
        over = clock.now() + pause
        self._backend.close()
        while (left := over - clock.now()) > 0 and not self._ending:
            if self._off_wanted.is_set() and not self._silent and self._torque is not False:
                # The servos may not be connected yet, so the command is repeated.
                self._switch_torque_off()
            clock.sleep_until(clock.now() + min(RETRY, left))
        if not self._silent:
            # Servos that were unreachable must not keep torque: it is switched off first.
            self._switch_torque_off()
        self._connect()

    def _set_wanted(self, torque: bool) -> None:
        if torque:
            self._off_wanted.clear()
        else:
            self._off_wanted.set()

    def _switch_torque_off(self) -> None:
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
        self.servo_error, self._not_ready = "", False
        self._torque_withheld = True
        self._failed_reads = self._failed_writes = 0

    def _failed(self, error: InhandError) -> None:
        self.errors += 1
        self.problem = str(error)

    def _add_problem(self, problem: str) -> None:
        if problem and problem not in self.problem:
            self.problem = f"{self.problem}; {problem}" if self.problem else problem
