"""The daemon's tick, sockets and recorder around a hand without physics.

Run as `python -m benchmarks.lone_daemon`.

Everything that determines the lateness of the tick runs as in `inhandd`. Only servo bus and
cameras are replaced by cheap functions.
"""

import os
import signal
import struct
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, thread_time

import msgspec

from inhand.controller.config.sections import RealtimeConfig
from inhand.controller.config.settings import ControlSettings
from inhand.controller.core.controller import Controller
from inhand.controller.core.goals import RandomGoal
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.ipc.server import Server
from inhand.controller.ipc.sockets import bind
from inhand.controller.policy.files import SHIPPED
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.controller.recording.file_writer import Limits
from inhand.controller.recording.reader import Header, versions
from inhand.controller.recording.recorder_link import RecorderConfig, RecorderLink
from inhand.controller.runtime.fit_watch import FitWatch
from inhand.controller.runtime.loop import TickLoop
from inhand.controller.runtime.report import statistics
from inhand.controller.safety.modes import Mode
from inhand.controller.system.child_process import Child
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.controller.system.realtime import configure_realtime
from inhand.controller.system.ticker import Ticker
from inhand.hardware.model.hand import hand_file, load_hand
from inhand.hardware.records import JointState, Targets
from inhand.perception.cameras import load_rig, save_rig
from inhand.perception.objects import load_object, object_file
from inhand.perception.records import CameraStatus, TagCorners
from inhand.sim_backend.rig import default_rig
from tests.controller.kinematic_hand import KinematicHand

PERIOD = 0.01
"""Tick period [s]."""

PRIORITY = 50
"""SCHED_FIFO priority of the tick, and of cyclictest beside it."""

MODES = tuple(Mode)
WRITTEN = struct.Struct("<d?B?")
"""Record of each write: time [s], whether the targets changed, mode, torque."""


class LoneHand:
    """Servo bus and cameras of a kinematic hand, with the interface of the loop.

    Attributes:
        spent: processor time of this thread for the emulation [s].
    """

    def __init__(self, world: KinematicHand, clock: Clock, tell: int | None = None) -> None:
        self.problem, self.servo_error, self.errors, self.lost = "", "", 0, False
        self.status: dict[str, CameraStatus] = {}
        self.malformed = 0
        self.spent = 0.0
        self.controller: Controller[TagCorners] | None = None
        self._world, self._clock, self._tell = world, clock, tell
        self._targets: Targets | None = None

    def read(self, deadline: float | None = None) -> JointState:
        began = thread_time()
        assert self.controller is not None
        self._world.move(self._clock.now(), self.controller.snapshot(), self._targets)
        joints = self._world.joints()
        self.spent += thread_time() - began
        return joints

    def take(self) -> list[TagCorners]:
        began = thread_time()
        corners = self._world.corners()
        self.spent += thread_time() - began
        return corners

    def write(self, torque: bool, targets: Targets | None) -> Targets | None:
        if targets is None:
            return None
        if self._tell is not None:
            assert self.controller is not None
            last = self._targets
            changed = last is None or bool((last.position != targets.position).any())
            mode = MODES.index(self.controller.mode)
            with suppress(BlockingIOError):
                os.write(self._tell, WRITTEN.pack(monotonic(), changed, mode, torque))
        self._targets = targets
        return targets if torque else None

    def reboot(self) -> None:
        """Does nothing: no servo shuts down."""

    def seek(self) -> None:
        """Does nothing: the hand is never lost."""


@dataclass
class Lone:
    """The parts of a lone daemon."""

    loop: TickLoop
    hand: LoneHand
    request_queue: RequestQueue
    server: Server
    policy: Policy
    recorder: Child


@contextmanager
def lone_daemon(directory: Path, clock: Clock, tell: int | None = None) -> Iterator[Lone]:
    """Runs a lone daemon with sockets and recorder until the end of the block."""
    hand, block = load_hand("dactyl24"), load_object("block")
    rig = directory / "rig.toml"
    save_rig(rig, default_rig())
    cameras = load_rig(rig)
    policy = load_policy(SHIPPED / "block.onnx", hand, block, allowed=None)
    controller = Controller[TagCorners](
        hand, block, PoseFilter(block, cameras, hand=hand), policy=policy, seed=1
    )
    request_queue, recorder = RequestQueue().open(), RecorderLink.open()
    header = Header(
        hand=hand_file("dactyl24").read_text(),
        object=object_file("block").read_text(),
        rig=rig.read_text(),
        control=ControlSettings(),
        readonly=False,
        policy_directory=str(SHIPPED),
        versions=versions(),
    )
    limits = Limits(30.0, 100_000_000, 300_000_000)
    child = recorder.start(RecorderConfig(str(directory / "recordings"), limits, header), directory)
    lone_hand = LoneHand(KinematicHand(hand, block, cameras), clock, tell)
    lone_hand.controller = controller
    loop = TickLoop(
        controller, lone_hand, lone_hand, request_queue, Ticker(clock, PERIOD), recorder.tape
    )
    server = Server(
        bind(directory),
        request_queue,
        statistics=lambda: statistics(loop, None, FitWatch(block, {})),
        load_policy=lambda name: policy,
        on_failure=loop.stop,
        recorder=recorder,
    )
    server.start()
    try:
        yield Lone(loop, lone_hand, request_queue, server, policy, child)
    finally:
        server.stop()
        recorder.close()
        child.process.wait(60)
        request_queue.close()


def drive(lone: Lone) -> None:
    """Keeps the hand turning the block, with an emergency stop after every 500 goals.

    The block has no contact with the fingers, so that its motion differs from the filter's
    prediction. Sometimes a drop is detected; then the hand is enabled again.
    """
    controller = lone.loop.controller
    snapshot = controller.snapshot()
    if controller.mode in (Mode.OFF, Mode.HOLDING) and snapshot.in_hand:
        if controller.mode == Mode.OFF:
            controller.enable()
        controller.arm()
        controller.ask([RandomGoal()], endless=True)
    elif controller.mode == Mode.RUNNING and controller.goals.reached % 500 == 499:
        controller.goals.reached += 1
        controller.estop()
    elif controller.mode == Mode.ESTOP:
        controller.clear()


def main() -> None:
    """Runs until SIGTERM, then prints the tick statistics as JSON."""
    parser = ArgumentParser(prog="python -m benchmarks.lone_daemon", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--tell", type=int, help="descriptor that gets a record of each write")
    arguments = parser.parse_args()
    clock = MonotonicClock(RealtimeConfig().spin)
    with lone_daemon(arguments.directory, clock, arguments.tell) as lone:
        granted = configure_realtime(priority=PRIORITY, affinity=(), lock_memory=True)
        signal.signal(signal.SIGTERM, lambda *_: lone.loop.stop("SIGTERM"))
        print("ready", flush=True)
        lone.loop.run()
    ticks = lone.loop.ticker.statistics
    said = {"granted": granted, "ticks": ticks.summary(), "lost": lone.loop.tape.lost}
    print(msgspec.json.encode(said).decode(), flush=True)


if __name__ == "__main__":
    main()
