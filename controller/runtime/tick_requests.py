"""The requests of each tick: who may make them, which ones wait, and their answers."""

from collections.abc import Callable, Sequence
from typing import Protocol

from inhand.controller.core.controller import Controller
from inhand.controller.core.records import Event
from inhand.controller.core.requests import Arm, Clear, Control, Shutdown
from inhand.controller.ipc.authority import GIVES_CONTROL, Authority, Sender
from inhand.controller.ipc.dispatch import perform
from inhand.controller.ipc.request_queue import Answer, PendingRequest, RequestQueue
from inhand.controller.runtime.deferred_clear import DeferredClear
from inhand.hardware.records import JointState
from inhand.perception.records import TagCorners

REQUESTS_PER_TICK = 8
"""Work per tick, counted in requests without goals; the rest waits for the next ticks."""


class Servos(Protocol):
    """What a request may need of the hand."""

    @property
    def servo_error(self) -> str: ...

    def reboot(self) -> None: ...


class TickRequests:
    """Carries out requests between two ticks; used by the thread of the tick alone.

    Args:
        controller: the controller.
        link: the hand.
        queue: the queue between the server and the tick.
        authority: which program is in control.
        readonly: whether requests that could move the hand are refused.
        warnings: returns what an operator should know before arming; never waits.
        shutdown: ends the tick loop.
    """

    def __init__(
        self,
        controller: Controller[TagCorners],
        link: Servos,
        queue: RequestQueue,
        authority: Authority,
        *,
        readonly: bool,
        warnings: Callable[[], Sequence[str]],
        shutdown: Callable[[], None],
    ) -> None:
        self.authority = authority
        self._controller, self._link, self._queue = controller, link, queue
        self._readonly, self._warnings, self._shutdown = readonly, warnings, shutdown
        self._pending: list[PendingRequest] = []
        self._deferred = DeferredClear()
        self._answers: list[Answer] = []

    def carry_out(
        self, now: float, joints: JointState | None, *, ending: bool
    ) -> list[PendingRequest]:
        """Carries out the requests of this tick.

        Args:
            now: the present [s].
            joints: what was read in the last tick.
            ending: whether the daemon only holds the object before it ends.

        Returns:
            Those that the controller was asked.
        """
        link, deferred, authority = self._link, self._deferred, self.authority
        before = authority.holder
        taken = self._queue.take(REQUESTS_PER_TICK)
        overtaken = deferred.overtaken(taken, self._controller.mode)
        waited = deferred.ready(link.servo_error, joints)
        self._pending = [*waited, *taken]
        accepted = []
        while self._pending:
            pending = self._pending[0]
            servo_error = "" if self._readonly else link.servo_error
            authority.update(self._controller.mode)
            refusal = authority.refusal(pending.sender, pending.request)
            if isinstance(pending.request, Control):
                authority.change(pending.sender, pending.request)
                authority.update(self._controller.mode)
                holder = authority.holder and authority.holder.name
                self._answers.append(pending.done({"control": holder}))
            elif refusal:
                self._answers.append(pending.refused("not_in_control", refusal))
            elif ending and isinstance(pending.request, GIVES_CONTROL):
                self._answers.append(pending.refused("refused", "the daemon is ending"))
            elif deferred.concerns(pending) and servo_error:
                link.reboot()
                deferred.hold(pending, servo_error, self._controller.mode, now)
            else:
                accepted.append(pending)
                answer = self._perform(pending)
                if pending in waited and answer.result is not None:
                    answer.result["restarted"] = deferred.problem
                self._answers.append(answer)
                if answer.result is not None:
                    authority.note(pending.sender, pending.request)
            del self._pending[0]
        self._answers += [*overtaken, *deferred.expired(now)]
        authority.update(self._controller.mode)
        if authority.holder != before:
            self._report_control(before, now)
        return accepted

    def answer(self, events: list[Event]) -> None:
        """Leaves the answers of this tick, and its events, for the server."""
        answers, self._answers = self._answers, []
        self._queue.leave(answers, events)

    def refuse_all(self, reason: str) -> None:
        """Answers every client that waits, before the daemon ends."""
        unanswered = [*self._deferred.take(), *self._pending]
        self._answers += [pending.refused("refused", reason) for pending in unanswered]
        self.answer([])

    def _report_control(self, before: Sender | None, now: float) -> None:
        names = [None if one is None else one.name for one in (self.authority.holder, before)]
        change = Event(now, "control", dict(zip(("holder", "before"), names, strict=True)))
        self._queue.leave([], [change])

    def _perform(self, pending: PendingRequest) -> Answer:
        if isinstance(pending.request, Shutdown):
            self._shutdown()
            return pending.done({})
        if isinstance(pending.request, Clear) and not self._readonly:
            self._link.reboot()
        answer = perform(self._controller, pending, readonly=self._readonly)
        if isinstance(pending.request, Arm) and (warnings := self._warnings()):
            if answer.result is not None:
                return pending.done({**answer.result, "warnings": list(warnings)})
            if answer.code in ("not_ready", "no_policy"):
                return pending.refused(answer.code, "; ".join((answer.message, *warnings)))
        return answer
