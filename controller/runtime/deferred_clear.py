"""`clear` while a servo reports a hardware error: it waits until the servo was restarted."""

import numpy as np

from inhand.controller.core.requests import Clear, Estop
from inhand.controller.ipc.request_queue import OVERTAKEN, Answer, PendingRequest
from inhand.controller.safety.modes import Mode
from inhand.hardware.records import JointState

PATIENCE = 4.0
"""Longest time for the restart and the bring-up [s]; clients wait 5 s for an answer."""


class DeferredClear:
    """Holds `clear` requests back until the servos that have shut down are set up again.

    Attributes:
        problem: the servos that reported a hardware error.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._waiting: list[PendingRequest] = []
        self._until = 0.0
        self._mode = Mode.OFF

    def hold(self, pending: PendingRequest, problem: str, mode: Mode, now: float) -> None:
        """Holds a request back.

        Args:
            pending: the request.
            problem: the servos that report a hardware error.
            mode: the present mode.
            now: the present [s].
        """
        if not self._waiting:
            self._until, self._mode = now + PATIENCE, mode
        self._waiting.append(pending)
        self.problem = problem

    def overtaken(self, taken: list[PendingRequest], mode: Mode) -> list[Answer]:
        """Refusals, if an emergency stop came after the requests: they must not undo it."""
        stopped = any(isinstance(pending.request, Estop) for pending in taken)
        if stopped or (mode == Mode.ESTOP and self._mode != Mode.ESTOP):
            return [pending.refused("refused", OVERTAKEN) for pending in self.take()]
        return []

    def ready(self, problem: str, joints: JointState | None) -> list[PendingRequest]:
        """Requests to carry out now.

        Args:
            problem: the servos that report a hardware error now; empty if none does.
            joints: what was measured in the last tick.
        """
        if not self._waiting:
            return []
        self.problem = problem or self.problem
        if problem or joints is None or not np.isfinite(joints.position).all():
            return []
        return self.take()

    def expired(self, now: float) -> list[Answer]:
        """Refusals of requests that have waited too long at a time [s]."""
        if not self._waiting or now < self._until:
            return []
        message = (
            f"clear: {self.problem}; it was restarted and did not recover within {PATIENCE:g} s; "
            "remove the cause, then send clear again; `inhand doctor` looks closer"
        )
        return [pending.refused("not_ready", message) for pending in self.take()]

    @staticmethod
    def concerns(pending: PendingRequest) -> bool:
        """Whether a request is a `clear`."""
        return isinstance(pending.request, Clear)

    def take(self) -> list[PendingRequest]:
        """All requests that wait; none waits any longer."""
        taken, self._waiting = self._waiting, []
        return taken
