"""The tick loop: requests, read joints, fuse, decide, limit, write targets, report."""

from collections.abc import Callable, Sequence
from time import perf_counter, thread_time
from typing import Protocol

from inhand.controller.core.controller import Controller
from inhand.controller.core.observers import Observers
from inhand.controller.core.records import Event, Snapshot
from inhand.controller.core.requests import Hold
from inhand.controller.ipc.authority import Authority
from inhand.controller.ipc.request_queue import PendingRequest, RequestQueue
from inhand.controller.recording.tick_record import Inputs, RecordSender, Times, recorded_requests
from inhand.controller.runtime.tick_requests import TickRequests
from inhand.controller.safety.modes import STOPPED, Happening, Mode
from inhand.controller.system.clock import SuspendWatch
from inhand.controller.system.estop_line import EstopLine
from inhand.controller.system.statistics import Histogram
from inhand.controller.system.ticker import Ticker
from inhand.hardware.records import JointState, Targets
from inhand.perception.records import CameraStatus, TagCorners

READ_SHARE = 0.8
"""Share of the tick period for reading the joints; the rest is for deciding and writing."""


class Link(Protocol):
    """Interface to the hand; implemented by `inhand.controller.runtime.hand_link.HandLink`."""

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
    """Interface to the cameras; implemented by `runtime.camera_inbox.CameraInbox`."""

    status: dict[str, CameraStatus]
    malformed: int

    def take(self) -> list[TagCorners]: ...


class TickLoop:
    """Runs the ticks until it is stopped. Only the ticker waits, and the loop writes no log.

    Attributes:
        controller: the controller.
        link: the hand.
        inbox: the cameras.
        ticker: starts each tick on time, and keeps the timing statistics.
        tape: the connection to the recorder.
        observers: calls everything that only observes the tick.
        requests: carries out the requests of each tick.
        sections: histogram of the real time of each part of the tick [s].
        stop_reason: why the loop ends; empty while it runs.
    """

    def __init__(
        self,
        controller: Controller[TagCorners],
        link: Link,
        inbox: Inbox,
        request_queue: RequestQueue,
        ticker: Ticker,
        tape: RecordSender,
        *,
        estop_line: EstopLine | None = None,
        readonly: bool = False,
        effort: Callable[[], float] = thread_time,
        warnings: Callable[[], Sequence[str]] = tuple,
        suspended: Callable[[], float] | None = None,
        authority: Authority | None = None,
        unattended: Callable[[], float] = lambda: 0.0,
        exit_hold: float = 0.0,
    ) -> None:
        """Stores its parts.

        Args:
            controller: the controller.
            link: the hand.
            inbox: the cameras.
            request_queue: the queue between the server and the tick.
            ticker: starts each tick on time.
            tape: the connection to the recorder.
            estop_line: the emergency stop line, if there is one.
            readonly: whether requests that could move the hand are refused.
            effort: clock that measures the controller's computing time [s]. Processor time by
                default, so that other programs on the machine are not blamed on the policy.
            warnings: returns what an operator should know before arming; never waits.
            suspended: returns for how long the machine was suspended since the last call [s].
            authority: which program is in control.
            unattended: returns for how long nobody who may command has been connected [s].
            exit_hold: time for which an object in the hand is held before an orderly end [s].
        """
        self.controller = controller
        self.link = link
        self.inbox = inbox
        self.ticker = ticker
        self.tape = tape
        self.observers = Observers(lambda event: request_queue.leave([], [event]))
        self.sections = {name: Histogram() for name in ("read", "think", "write", "tell")}
        self.stop_reason = ""
        self._request_queue = request_queue
        self._estop_line = estop_line
        self._effort = effort
        self._suspended = suspended or SuspendWatch().suspended
        self.requests = TickRequests(
            controller,
            link,
            request_queue,
            authority or Authority(),
            readonly=readonly,
            warnings=warnings,
            shutdown=lambda: self.stop("shutdown was requested", orderly=True),
        )
        self._unattended = unattended
        self._exit_hold, self._held_until = exit_hold, 0.0
        self._happenings: list[tuple[str, str]] = []
        self._joints: JointState | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The state after the last tick; None before the first."""
        return self._request_queue.snapshot

    def stop(self, reason: str, *, orderly: bool = False) -> None:
        """Asks the loop to end; only the first reason is kept.

        Args:
            reason: why it ends.
            orderly: whether an object in the hand is held for a while first. A second call ends
                the loop at once.
        """
        if self.stop_reason or not orderly:
            self._exit_hold = 0.0
        self.stop_reason = self.stop_reason or reason

    def run(self) -> None:
        """Runs the ticks until it is stopped.

        Raises:
            Exception: a defect in the tick; the caller releases the hand, as at a normal end.
        """
        try:
            for woken in self.ticker:
                if self.stop_reason and not self._holds_object():
                    return
                self._tick(woken)
        except Exception as error:
            reason = f"the tick failed: {error!r}"
            self.stop(reason)
            self.requests.refuse_all(reason)
            raise

    def _holds_object(self) -> bool:
        """Whether the object is still held before the end."""
        controller, snapshot, now = self.controller, self.snapshot, self.ticker.clock.now()
        may_fall = controller.torque and controller.mode not in STOPPED
        if not self._exit_hold or not may_fall or snapshot is None or not snapshot.in_hand:
            return False
        if not self._held_until:
            self._held_until = now + self._exit_hold
            self._request_queue.post(PendingRequest([], Hold(v=1, id="exit")))
        return now < self._held_until

    def _tick(self, woken: float) -> None:
        controller, link, now = self.controller, self.link, self.ticker.clock.now
        self._happenings = []
        line = None if self._estop_line is None else self._estop_line.problem()
        if line is not None:
            controller.watch_line(line)
        if asleep := self._suspended():
            self._wake_up(asleep)
        earlier, self._happenings = self._happenings, []
        marks = [perf_counter()]
        accepted = self.requests.carry_out(now(), self._joints, ending=self._held_until > 0.0)
        joints = self._joints = link.read(woken + READ_SHARE * self.ticker.period)
        read = now()
        marks.append(perf_counter())
        corners = self.inbox.take()
        began = self._effort()
        targets = controller.tick(read, joints, corners)
        spent = self._effort() - began
        if spent > controller.settings.safety.think:
            self._report(Happening.POLICY_FAILED, f"the decision took {spent:.3f} s")
        self._watch_operator()
        thought = now()
        marks.append(perf_counter())
        # Torque is switched off even if the joints were never read.
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
        # The snapshot comes before the answer: a client that has the answer sees its effect in
        # `status`.
        snapshot = self.observers.call("snapshot", self._publish_snapshot)
        self.requests.answer(events)
        sent_position = None if sent is None else sent.position
        inputs = Inputs(
            line,
            recorded_requests(accepted),
            read,
            joints,
            corners,
            sent_position,
            self._happenings,
            earlier,
        )
        times = Times(self.ticker.deadline, woken, read, thought, written)
        if snapshot is not None:
            self.observers.call("recorder", self._record, inputs, snapshot, events, times)
        marks.append(perf_counter())
        self.observers.call("statistics", self._count, marks)

    def _publish_snapshot(self) -> Snapshot:
        snapshot = self._request_queue.snapshot = self.controller.snapshot()
        return snapshot

    def _record(
        self, inputs: Inputs, snapshot: Snapshot, events: list[Event], times: Times
    ) -> None:
        self.tape.write(inputs, snapshot, events, times)
        self.tape.checkpoint(self.controller, snapshot)

    def _count(self, marks: list[float]) -> None:
        for section, began, ended in zip(self.sections.values(), marks, marks[1:], strict=False):
            section.add(ended - began)

    def _wake_up(self, asleep: float) -> None:
        """Forgets what is from before the machine was suspended, and stops a hand with torque."""
        self.inbox.take()
        if self.controller.torque:
            reason = f"the machine was suspended for {asleep:.1f} s"
            self._report(Happening.JOINTS_STALE, reason)

    def _watch_operator(self) -> None:
        """Stops a running hand if nobody has been connected for too long who could stop it."""
        longest = self.controller.settings.safety.operator
        if longest and self.controller.mode == Mode.RUNNING and self._unattended() > longest:
            reason = f"no program that may command was connected for {longest:g} s"
            self._report(Happening.OPERATOR_LOST, reason)

    def _report(self, happening: Happening, reason: str) -> None:
        self.controller.report(happening, reason)
        self._happenings.append((happening.value, reason))
