"""Watches child processes, cameras and bus, in a thread that runs four times a second."""

import logging
import threading
import time
from collections.abc import Callable

from inhand.controller.core.records import Event
from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.runtime.arm_check import Surroundings
from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.controller.runtime.camera_watch import CameraWatch
from inhand.controller.runtime.fit_watch import FitWatch
from inhand.controller.runtime.hand_link import HandLink
from inhand.controller.runtime.watchdog import Heartbeat, Watchdog
from inhand.controller.system.child_process import Child, stop_all
from inhand.controller.system.sleep_lock import SleepLock
from inhand.perception.parent import Parent

log = logging.getLogger(__name__)

RESTART_PAUSE = 1.0
"""A process that has ended is started again after this time [s]."""

_PERIOD = 0.25
_PATIENCE = 5.0
"""The supervisor is stuck after this time [s]; starting a process on a busy machine takes less."""


class Supervisor:
    """Owns the child processes and the watchdog, prints the dry run.

    Attributes:
        failure: why the daemon cannot go on; empty while it can.
        warnings: what an operator should know before arming.
    """

    def __init__(
        self,
        on_failure: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
        *,
        simulated: bool = False,
    ) -> None:
        """Stores its parts.

        Args:
            on_failure: called with the reason when the daemon must end.
            now: returns the daemon's time [s].
            simulated: whether time is simulated; it may then stand still without a fault.
        """
        self.failure = ""
        self.warnings: tuple[str, ...] = ()
        self._surroundings: Surroundings | None = None
        self._on_failure = on_failure
        self._now = now
        self._simulated = simulated
        self._children: list[Child] = []
        self._link: HandLink | None = None
        self._bus_problem = self._bus_reported = ""
        self._fusion_problem = self._fusion_reported = ""
        self._cameras: tuple[CameraInbox, CameraWatch, FitWatch] | None = None
        self._sleep_lock: SleepLock | None = None
        self._due: dict[Child, float] = {}
        self._heartbeats = {"the supervisor": Heartbeat(lambda: self._came_round, _PATIENCE)}
        self._came_round = 0.0
        self._watchdog: Watchdog | None = None
        # The program that started the daemon and waits for it, if there is one.
        self._parent = Parent.waiting()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, child: Child) -> None:
        """Adds a process to those that are watched and stopped."""
        self._children.append(child)

    def has(self, process: int) -> bool:
        """Whether a process id is that of one of the processes."""
        return any(child.number == process for child in self._children)

    def watch_cameras(self, inbox: CameraInbox, fit: FitWatch) -> None:
        """From now on reports camera and tag problems as events, when they begin and end."""
        self._cameras = inbox, CameraWatch(inbox.cameras, self._now()), fit

    def watch_bus(self, link: HandLink) -> None:
        """From now on reports problems of the servo bus as events, when they begin and end."""
        self._link = link

    def watch_surroundings(self, surroundings: Surroundings) -> None:
        """From now on keeps `warnings` up to date."""
        self._surroundings = surroundings

    def keep_awake(self) -> None:
        """From now on keeps the machine from going to sleep while the hand has torque."""
        self._sleep_lock = SleepLock()

    def watch_thread(self, name: str, heartbeat: Heartbeat) -> None:
        """Adds a thread without whose heartbeat the service manager's watchdog is not fed."""
        self._heartbeats[name] = heartbeat

    def start(self, request_queue: RequestQueue, *, dry_run: bool) -> None:
        """Starts the thread, and the watchdog's."""

        def tick() -> float | None:
            return None if request_queue.snapshot is None else request_queue.snapshot.t

        self._came_round = time.monotonic()
        self._watchdog = Watchdog(tick, self._heartbeats, simulated=self._simulated)
        self._watchdog.start()
        self._thread = threading.Thread(
            target=self._run, args=(request_queue, dry_run), name="supervisor", daemon=True
        )
        self._thread.start()

    def fail(self, reason: str) -> None:
        """Stores why the daemon cannot go on, and ends it."""
        self.failure = reason
        self._on_failure(reason)

    def stop(self) -> None:
        """Stops all processes at the same time."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        if self._sleep_lock is not None:
            self._sleep_lock.close()
        stop_all(self._children)
        if self._watchdog is not None:
            self._watchdog.stop()

    def _run(self, request_queue: RequestQueue, dry_run: bool) -> None:
        periods = 0
        while not self._ended.wait(_PERIOD):
            periods += 1
            self._came_round = time.monotonic()
            if self._parent is not None and not self._parent.alive:
                self._on_failure("the program that started it has ended")
            self._restart()
            self._check_cameras(request_queue)
            self._check_bus(request_queue)
            self._check_surroundings(request_queue)
            self._check_fusion(request_queue)
            snapshot = request_queue.snapshot
            if snapshot is None:
                continue
            if self._sleep_lock is not None:
                self._sleep_lock.want(snapshot.torque)
            if dry_run and periods % 4 == 0:
                pose = snapshot.pose
                seen = "not seen" if pose is None else f"seen {pose.age:.2f} s ago"
                joints = "silent" if snapshot.joints is None else "read"
                log.info(
                    "dry run: mode %s, joints %s, object %s, in hand %s",
                    snapshot.mode.value,
                    joints,
                    seen,
                    snapshot.in_hand,
                )

    def _check_surroundings(self, request_queue: RequestQueue) -> None:
        if self._surroundings is None:
            return
        snapshot = request_queue.snapshot
        joints = None if snapshot is None else snapshot.joints
        self.warnings = self._surroundings.warnings(
            {} if self._cameras is None else self._cameras[1].problems,
            [child.name for child in self._children if child.ended],
            self._bus_reported,
            None if joints is None else joints.voltage,
        )
        if self._sleep_lock is not None and self._sleep_lock.problem:
            self.warnings += (self._sleep_lock.problem,)

    def _check_bus(self, request_queue: RequestQueue) -> None:
        if self._link is None:
            return
        problem, before = self._link.problem, self._bus_problem
        self._bus_problem = problem
        # A problem is reported only if it lasts for two periods; a single missed reply is not.
        if bool(problem) == bool(before) and problem != self._bus_reported:
            self._bus_reported = problem
            request_queue.leave([], [Event(self._now(), "bus", {"problem": problem})])

    def _check_fusion(self, request_queue: RequestQueue) -> None:
        """Reports a problem of the pose filter that lasts for two periods, and its end."""
        snapshot = request_queue.snapshot
        if snapshot is None or snapshot.pose is None:
            return
        problem, before = snapshot.fusion.problem, self._fusion_problem
        self._fusion_problem = problem
        if bool(problem) == bool(before) and bool(problem) != bool(self._fusion_reported):
            self._fusion_reported = problem
            request_queue.leave([], [Event(self._now(), "fusion", {"problem": problem})])

    def _check_cameras(self, request_queue: RequestQueue) -> None:
        if self._cameras is None:
            return
        inbox, watch, fit = self._cameras
        now = self._now()
        for camera, problem in watch.changes(inbox.status.copy(), now):
            request_queue.leave([], [Event(now, "camera", {"camera": camera, "problem": problem})])
        snapshot = request_queue.snapshot
        if snapshot is not None and fit.look(inbox.seen.copy(), snapshot.pose, now):
            request_queue.leave([], [Event(now, "tags", {"problem": fit.problem})])

    def _restart(self) -> None:
        """Restarts processes that ended; the end of the simulation ends the daemon."""
        now = time.monotonic()
        for child in self._children:
            if not child.ended or self._ended.is_set():
                continue
            if child.name == "simulation":
                self.fail(f"the simulation ended with code {child.process.returncode}")
                return
            if child not in self._due:
                code = child.process.returncode
                log.error("%s ended with code %s; starting it again", child.name, code)
                if self._cameras is not None:
                    self._cameras[0].forget(child.name.removeprefix("camera "))
                self._due[child] = now + RESTART_PAUSE
            elif now >= self._due[child]:
                del self._due[child]
                self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            # Without memory or descriptors now, there may be some later.
            log.error("%s: cannot be started now: %s", child.name, error.strerror)
