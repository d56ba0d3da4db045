"""The tick as it runs: requests, read, fuse, decide, limit, write, tell."""

from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Protocol

from inhand.controller.core.controller import Controller
from inhand.controller.core.observers import Observers
from inhand.controller.core.records import Event, Snapshot
from inhand.controller.core.requests import Clear, Shutdown
from inhand.controller.ipc.dispatch import perform
from inhand.controller.ipc.request_queue import Answer, PendingRequest, RequestQueue
from inhand.controller.recording.tick_record import Inputs, Tape, Times, heard
from inhand.controller.safety.modes import STOPPED, Happening
from inhand.controller.system.estop_line import EstopLine
from inhand.controller.system.statistics import Histogram
from inhand.controller.system.ticker import Ticker
from inhand.hardware.records import JointState, Targets
from inhand.perception.records import CameraStatus, TagCorners

REQUESTS_PER_TICK = 8
"""Work that is done before a tick, in requests without goals; the rest waits for the next ones."""
READ_SHARE = 0.8
"""Share of a tick that reading the joints may take: the rest is for deciding and writing."""


class Link(Protocol):
    """The hand; `inhand.controller.runtime.hand_link.HandLink` is the real one."""

    @property
    def problem(self) -> str: ...

    @property
    def servo_error(self) -> str: ...

    @property
    def errors(self) -> int: ...

    @property
    def lost(self) -> bool: ...

    def read(self, deadline: float | None = None) -> JointState | None: ...

    def write(self, torque: bool, targets: Targets | None) -> Targets | None: ...

    def seek(self) -> None: ...

    def reboot(self) -> None: ...


class Inbox(Protocol):
    """What the cameras deliver; `runtime.camera_inbox.CameraInbox` is the real one."""

    status: dict[str, CameraStatus]
    malformed: int

    def take(self) -> list[TagCorners]: ...


class TickLoop:
    """Ticks until told to stop. Nothing in it waits but the ticker, and nothing in it logs.

    Attributes:
        controller: what decides.
        link: the hand.
        inbox: the cameras.
        ticker: the rhythm, and how well it was kept.
        tape: the line to the recorder.
        observers: what only observes the tick is called through it.
        sections: real time that each part of the tick took [s].
        stop_reason: why the loop is to end; empty while it is not.
    """

    def __init__(
        self,
        controller: Controller[TagCorners],
        link: Link,
        inbox: Inbox,
        request_queue: RequestQueue,
        ticker: Ticker,
        tape: Tape,
        *,
        estop_line: EstopLine | None = None,
        readonly: bool = False,
        effort: Callable[[], float] = thread_time,
    ) -> None:
        """Takes its parts.

        Args:
            controller: what decides.
            link: the hand.
            inbox: the cameras.
            request_queue: the way to the server.
            ticker: the rhythm.
            tape: the line to the recorder.
            estop_line: the emergency stop line, if there is one.
            readonly: whether requests that could move the hand are refused.
            effort: what the time to decide is measured with [s]. Processor time: a busy machine is
                no fault of the policy's.
        """
        self.controller = controller
        self.link = link
        self.inbox = inbox
        self.ticker = ticker
        self.tape = tape
        self.observers = Observers(lambda event: request_queue.leave([], [event]))
        self.sections = {name: Histogram() for name in ("read", "think", "write", "tell")}
        self.stop_reason = ""
        self._mailbox = request_queue
        self._estop_line = estop_line
        self._readonly = readonly
        self._effort = effort
        self._happenings: list[tuple[str, str]] = []
        self._letters: list[PendingRequest] = []
        self._answers: list[Answer] = []

    def stop(self, reason: str) -> None:
        """Asks the loop to end; the first reason stands."""
        self.stop_reason = self.stop_reason or reason

    def run(self) -> None:
        """Ticks until told to stop.

        Raises:
            Exception: a defect in the tick; whoever runs the loop releases the hand, as at its end.
        """
        try:
            for woken in self.ticker:
                if self.stop_reason:
                    return
                self._tick(woken)
        except Exception as error:
            reason = f"the tick failed: {error!r}"
            self.stop(reason)
            # Whoever waits for an answer has one before the daemon ends.
            undone = self._letters[len(self._answers) :]
            self._answers += [pending.refused("refused", reason) for pending in undone]
            self._answer([])
            raise

    def _tick(self, woken: float) -> None:
        controller, link, now = self.controller, self.link, self.ticker.clock.now
        self._happenings.clear()
        line = None if self._estop_line is None else self._estop_line.problem()
        if line is not None:
            controller.watch_line(line)
        marks = [perf_counter()]
        taken = self._letters = self._mailbox.take(REQUESTS_PER_TICK)
        letters = []
        for pending in taken:
            refusal = self._refusal(pending)
            if refusal is None:
                letters.append(pending)
            self._answers.append(refusal or self._perform(pending))
        joints = link.read(woken + READ_SHARE * self.ticker.period)
        read = now()
        marks.append(perf_counter())
        corners = self.inbox.take()
        began = self._effort()
        targets = controller.tick(read, joints, corners)
        spent = self._effort() - began
        if spent > controller.settings.safety.think:
            self._report(Happening.POLICY_FAILED, f"deciding took {spent:.3f} s")
        thought = now()
        marks.append(perf_counter())
        # Torque goes off also where the joints were never read.
        sent = link.write(controller.torque, targets)
        if sent is not None:
            controller.note_sent(sent)
        if link.servo_error:
            self._report(Happening.SERVO_ERROR, link.servo_error)
        if link.lost:
            self._report(Happening.BUS_LOST, link.problem)
        if controller.mode in STOPPED:
            link.seek()
        written = now()
        marks.append(perf_counter())
        events = controller.take_events()
        # Whoever has the answer sees what came of the request in `status`.
        snapshot = self.observers.call("snapshot", self._show)
        self._answer(events)
        told = None if sent is None else sent.position
        inputs = Inputs(line, heard(letters), read, joints, corners, told, self._happenings)
        times = Times(self.ticker.deadline, woken, read, thought, written)
        if snapshot is not None:
            self.observers.call("recorder", self._record, inputs, snapshot, events, times)
        marks.append(perf_counter())
        self.observers.call("statistics", self._count, marks)

    def _answer(self, events: list[Event]) -> None:
        answers, self._answers, self._letters = self._answers, [], []
        self._mailbox.leave(answers, events)

    def _show(self) -> Snapshot:
        snapshot = self._mailbox.snapshot = self.controller.snapshot()
        return snapshot

    def _record(
        self, inputs: Inputs, snapshot: Snapshot, events: list[Event], times: Times
    ) -> None:
        self.tape.write(inputs, snapshot, events, times)
        self.tape.checkpoint(self.controller, snapshot)

    def _count(self, marks: list[float]) -> None:
        for section, began, ended in zip(self.sections.values(), marks, marks[1:], strict=False):
            section.add(ended - began)

    def _refusal(self, pending: PendingRequest) -> Answer | None:
        """Why the hand cannot do what is asked; None where that is for the controller to say."""
        if not isinstance(pending.request, Clear) or self._readonly or not self.link.servo_error:
            return None
        said = self.link.servo_error
        self.link.reboot()
        return Answer(
            pending.client,
            pending.request.id,
            None,
            "not_ready",
            f"clear: {said}; it is being started anew, without torque: clear once more",
        )

    def _perform(self, pending: PendingRequest) -> Answer:
        if isinstance(pending.request, Shutdown):
            self.stop("shutdown was asked for")
            return pending.done({})
        if isinstance(pending.request, Clear) and not self._readonly:
            self.link.reboot()
        return perform(self.controller, pending, readonly=self._readonly)

    def _report(self, happening: Happening, reason: str) -> None:
        self.controller.report(happening, reason)
        self._happenings.append((happening.value, reason))
