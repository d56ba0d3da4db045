"""A controller on a kinematic hand whose ticks are recorded, in virtual time."""

import socket
import tempfile
from pathlib import Path
from typing import Any

from inhand.controller.config.settings import ControlSettings
from inhand.controller.core.controller import Controller
from inhand.controller.core.requests import AnyRequest, Arm, Enable, RandomGoals
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.ipc.dispatch import perform
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.recording.file_writer import Limits
from inhand.controller.recording.flight_recorder import FlightRecorder
from inhand.controller.recording.foxglove_channels import Translator
from inhand.controller.recording.reader import Header, versions
from inhand.controller.recording.tick_record import Inputs, RecordSender, Times, recorded_requests
from inhand.controller.recording.writer import RecordingFile
from inhand.hardware.model.hand import hand_file
from inhand.hardware.records import Targets
from inhand.perception.cameras import load_rig, save_rig
from inhand.perception.objects import object_file
from inhand.perception.records import TagCorners
from inhand.sim_backend.rig import default_rig
from tests.controller.bench_hand import BLOCK, HAND, TICK, learned
from tests.controller.kinematic_hand import KinematicHand

OFFSET = 1_700_000_000.0
MEGABYTE = 1_000_000


with tempfile.TemporaryDirectory() as _directory:
    # As the daemon has it: from a file.
    _rig = Path(_directory) / "rig.toml"
    save_rig(_rig, default_rig())
    RIG_FILE = _rig.read_text()
    RIG = load_rig(_rig)


def header(policies: Path) -> Header:
    """What a daemon would say of itself."""
    return Header(
        hand=hand_file("dactyl24").read_text(),
        object=object_file("block").read_text(),
        rig=RIG_FILE,
        control=ControlSettings(),
        readonly=False,
        policy_directory=str(policies),
        versions=versions(),
        monitors=True,
    )


class Recorded:
    """The daemon's loop without clock and wires; its records go straight to a recorder.

    Attributes:
        controller: the real one.
        recorder: the real one.
        told: what the recorder told.
        answered: whether the servos answer.
        seen: whether the cameras see the object.
        line: what the emergency stop line says; None without one.
        t: the present [s].
    """

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.directory = directory / "recordings"
        said = header(directory)
        self.told: list[tuple[str, dict[str, Any]]] = []

        def open_file(path: Path, reason: str) -> RecordingFile:
            return RecordingFile.open(path, said, Translator(HAND, OFFSET), reason)

        self.recorder = FlightRecorder(
            self.directory,
            limits or Limits(30.0, 100 * MEGABYTE, 1000 * MEGABYTE),
            open_file,
            lambda kind, data: self.told.append((kind, data)),
        )
        self.recorder.start()
        self.controller = Controller[TagCorners](
            HAND, BLOCK, PoseFilter(BLOCK, RIG, hand=HAND), policy=learned(directory), seed=1
        )
        self.world = KinematicHand(HAND, BLOCK, RIG)
        self.answered = self.seen = True
        self.line: str | None = None
        self.t = 50.0
        self._targets: Targets | None = None
        line, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.tape = RecordSender(line)
        self._line = line

    def tick(self, *requests: AnyRequest) -> None:
        """One tick, after these requests."""
        controller = self.controller
        self.t += TICK
        self.world.move(self.t, controller.snapshot(), self._targets)
        if self.line is not None:
            controller.watch_line(self.line)
        pending = [PendingRequest([], request) for request in requests]
        for one in pending:
            answer = perform(controller, one, readonly=False)
            assert answer.result is not None, answer.message
        joints = self.world.joints() if self.answered else None
        corners = self.world.corners() if self.seen else []
        self._targets = controller.tick(self.t, joints, corners)
        sent = self._targets if controller.torque else None
        if sent is not None:
            controller.note_sent(sent)
        snapshot = controller.snapshot()
        events = controller.take_events()
        times = Times(self.t, self.t, self.t, self.t, self.t)
        told = None if sent is None else sent.position
        inputs = Inputs(self.line, recorded_requests(pending), self.t, joints, corners, told)
        self.tape.write(inputs, snapshot, events, times)
        self.tape.checkpoint(controller, snapshot)
        while self.pending():
            self.recorder.take(self._end.recv(1 << 20))

    def pending(self) -> bool:
        try:
            return bool(self._end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.tick()

    def start(self) -> None:
        """From off to running, with goals without end."""
        self.run(0.3)
        self.tick(Enable(1, 1))
        self.tick(Arm(1, 2), RandomGoals(1, 3, count=0, seed=5))

    def files(self) -> list[Path]:
        """The recordings that are complete."""
        return sorted(self.directory.glob("*.mcap"))

    def close(self) -> None:
        self.recorder.close()
        self._line.close()
        self._end.close()
