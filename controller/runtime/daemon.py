"""`inhandd`: the shell that owns clock, processes, sockets and the servo bus, and runs the tick."""

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from time import thread_time

import tyro

from inhand.controller.config.camera_rig import camera_rig
from inhand.controller.config.config import Config, load_config
from inhand.controller.config.eyes import check_eyes, eyes_arguments, eyes_of
from inhand.controller.core.controller import Controller
from inhand.controller.errors import StartError
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.estimation.warm_up import warm_up_pose_filter
from inhand.controller.ipc.attendance import Attendance
from inhand.controller.ipc.authority import Authority
from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.ipc.server import Server
from inhand.controller.ipc.sockets import bind
from inhand.controller.policy.files import allowed_hashes, find_policy
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.controller.recording.recorder_link import RecorderLink
from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.controller.runtime.description import describe_for_clients
from inhand.controller.runtime.fit_watch import FitWatch
from inhand.controller.runtime.loop import TickLoop
from inhand.controller.runtime.open_link import open_link
from inhand.controller.runtime.options import Options
from inhand.controller.runtime.processes import (
    SimulationReady,
    start_cameras,
    start_gateway,
    start_simulation,
    wait_for_simulation,
)
from inhand.controller.runtime.report import exit_report, statistics
from inhand.controller.runtime.start_up import (
    announce,
    first_policy,
    policy_directory,
    recorder_config,
    surroundings,
    with_monitor,
    with_warnings,
)
from inhand.controller.runtime.supervisor import Supervisor
from inhand.controller.runtime.timed_cameras import TimedCameras
from inhand.controller.runtime.watchdog import Heartbeat
from inhand.controller.system.clock import MonotonicClock, ProcessClock
from inhand.controller.system.estop_line import EstopLine
from inhand.controller.system.log import say, start_logging
from inhand.controller.system.notify import notify
from inhand.controller.system.paths import (
    let_everybody_watch,
    lock_run_directory,
    make_run_directory,
    run_directory,
)
from inhand.controller.system.realtime import configure_realtime, raise_descriptors
from inhand.controller.system.ticker import Ticker
from inhand.errors import InhandError
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.records import TagCorners
from inhand.perception.simulated_time import SimulatedClock

SERVER_PATIENCE = 1.0
"""The thread of the sockets is stuck after this time [s]."""


class Daemon:
    """One run of the daemon, from reading the configuration to the last report."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._loop: TickLoop | None = None
        self._clock: ProcessClock = MonotonicClock()

    def stop(self, reason: str, *, orderly: bool = False) -> None:
        """Asks the tick loop to end; the first reason stands.

        Args:
            reason: why.
            orderly: whether an object in the hand is held for a while first.
        """
        if self._loop is not None:
            self._loop.stop(reason, orderly=orderly)

    def run(self) -> None:
        """Starts, ticks until told to stop, and cleans up on the one way out.

        Raises:
            InhandError: something needed is missing; nothing has moved then.
        """
        options = self.options
        if (options.real_time or options.hold) and not options.sim:
            raise StartError("--real-time and --hold are for a simulated hand: add --sim")
        if options.real_time and options.hold:
            raise StartError("--hold: real time cannot be held; leave --real-time out")
        if options.seed is not None and options.seed < 0:
            raise StartError(f"--seed {options.seed} must not be negative")
        config = load_config(options.config)
        directory = run_directory(options.directory or config.sockets.directory).absolute()
        make_run_directory(directory)
        with ExitStack() as exits:
            exits.callback(os.close, lock_run_directory(directory))
            self._run(config, directory, exits)

    def _run(self, config: Config, directory: Path, exits: ExitStack) -> None:
        options = self.options
        hand, target = load_hand(config.hand), load_object(config.object)
        if options.sim:
            hand = with_servos(hand)
        children = Supervisor(self.stop, lambda: self._clock.now(), simulated=options.timed)
        exits.callback(children.stop)
        simulation = None
        if options.sim:
            seed = config.sim.seed if options.seed is None else options.seed
            seats = 0 if options.real_time else 2 if options.hold else 1
            simulation = start_simulation(config, directory, seed, seats)
            children.watch(simulation)
        # The simulated world comes up meanwhile.
        policy = first_policy(options.policy, config, hand, target)
        world = wait_for_simulation(simulation) if simulation else None
        clock = self._clock = (
            SimulatedClock.open(directory, self._stopping)
            if options.timed
            else MonotonicClock(config.realtime.spin)
        )
        inbox, filter_, fit = self._cameras(config, directory, hand, target, world, children, exits)
        controller = Controller[TagCorners](hand, target, filter_, config.control, policy=policy)
        recorder = RecorderLink.open(clock.now)
        exits.push(lambda kind, *_: recorder.close(orderly=kind is None))
        children.watch(
            recorder.start(recorder_config(options, config, directory, world), directory)
        )
        silent = options.dry_run or options.readonly
        link = open_link(hand, config, world, clock, silent=silent)

        def release() -> None:
            link.close(torque=config.safety.exit == "hold" and controller.torque)

        exits.callback(release)
        line = None
        if config.estop_line.source:
            switch = config.estop_line
            line = EstopLine(switch.source, switch.port, config.realtime.priority)
            line.start()
            exits.callback(line.close)
        request_queue = RequestQueue().open()
        exits.callback(request_queue.close)
        ticker = Ticker(clock, 1.0 / config.tick_rate)
        attendance = Attendance(children.has, clock.now)
        loop = self._loop = TickLoop(
            controller,
            link,
            inbox,
            request_queue,
            ticker,
            recorder.tape,
            estop_line=line,
            readonly=options.readonly,
            effort=clock.now if options.timed else thread_time,
            warnings=lambda: children.warnings,
            suspended=(lambda: 0.0) if options.timed else None,
            authority=Authority(attendance.connected),
            unattended=attendance.unattended,
            # A simulated object need not be kept from falling, and with `hold` none falls.
            exit_hold=config.safety.exit_hold
            if config.safety.exit == "relax" and not options.sim
            else 0.0,
        )

        def load(name: str) -> Policy:
            path = find_policy(name, policy_directory(config))
            policy = load_policy(path, hand, target, allowed=allowed_hashes(config.policy))
            return with_monitor(with_warnings(policy), path, hand)

        server = Server(
            bind(directory),
            request_queue,
            statistics=lambda: statistics(loop, world, fit, self._factor()),
            load_policy=load,
            on_failure=children.fail,
            description=describe_for_clients(config, directory, world),
            recorder=recorder,
            observers=loop.observers,
            own=children.has,
            attendance=attendance,
            now=clock.now,
        )
        exits.callback(server.stop)
        if config.sockets.observers == "everybody":
            let_everybody_watch(directory)
        server.start()
        children.watch_thread("the server", Heartbeat(lambda: server.came_round, SERVER_PATIENCE))
        if config.network.command:
            names = world.cameras if world else config.cameras.sources
            children.watch(start_gateway(config, directory, names))
        children.watch_cameras(inbox, fit)
        children.watch_bus(link)
        if config.realtime.stay_awake and not options.sim and not silent:
            children.keep_awake()
        children.start(request_queue, dry_run=options.dry_run)
        realtime = config.realtime
        granted = configure_realtime(
            priority=realtime.priority,
            affinity=realtime.affinity,
            lock_memory=realtime.lock_memory,
        )
        children.watch_surroundings(surroundings(options, config, hand, world, granted))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda n, _: self.stop(signal.Signals(n).name, orderly=True))
        if isinstance(inbox, TimedCameras):
            # Whoever asks for something from now on is to be answered soon.
            inbox.wait_for_all()
        announce(directory, world)
        try:
            loop.run()
        finally:
            # First of all: whatever else may take its time, the hand is no longer commanded.
            release()
            notify("STOPPING=1")
            say(exit_report(loop))
        if children.failure:
            raise StartError(children.failure)

    def _factor(self) -> float | None:
        """How fast simulated time goes; None if time is real."""
        return self._clock.factor() if isinstance(self._clock, SimulatedClock) else None

    def _stopping(self) -> bool:
        return self._loop is not None and bool(self._loop.stop_reason)

    def _cameras(
        self,
        config: Config,
        directory: Path,
        hand: Hand,
        target: ObjectDescription,
        world: SimulationReady | None,
        children: Supervisor,
        exits: ExitStack,
    ) -> tuple[CameraInbox, PoseFilter, FitWatch]:
        """Starts the camera processes."""
        rig = world.rig if world else config.cameras.rig
        sources = world.cameras if world else config.cameras.sources
        cameras = camera_rig(rig, sources)
        network, eyes = check_eyes(config.cameras, target, cameras), eyes_of(config.cameras, target)
        inbox = (
            TimedCameras(directory, cameras, self._clock.now, self._stopping)
            if self.options.timed
            else CameraInbox(directory, cameras)
        ).open()
        exits.callback(inbox.close)
        for child in start_cameras(
            sources,
            rig,
            config.object,
            inbox.address,
            directory,
            timed=self.options.timed,
            settings={} if world else config.cameras.devices,
            eyes=eyes_arguments(network, hand, both=eyes == "both"),
        ):
            children.watch(child)
        warm_up_pose_filter(target, cameras, hand, eyes)
        filter_ = PoseFilter(target, cameras, hand=hand if config.cameras.follow_hand else None)
        return inbox, filter_, FitWatch(target, cameras)


def main() -> None:
    """Entry point of `inhandd`."""
    options = tyro.cli(Options, prog="inhandd", config=(tyro.conf.FlagCreatePairsOff,))
    start_logging()
    # Sockets are made for their owner and group only.
    os.umask(0o007)
    raise_descriptors()
    try:
        Daemon(options).run()
    except InhandError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        # Whatever the system refuses: a directory, memory, a process, a descriptor.
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {place}{error.strerror or error}")


if __name__ == "__main__":
    main()
