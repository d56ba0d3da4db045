"""A running daemon whose serial line and cameras are served by a test, which injects faults.

The daemon is told of its serial port and cameras by a configuration file, as it would be told of a
robot's; what it finds there is `wires`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from inhand.controller.client.sync import Client
from inhand.controller.errors import RefusedError
from inhand.controller.ipc.keys import KeyRing
from inhand.hardware.model.hand import load_hand
from inhand.perception.cameras import save_rig
from inhand.perception.objects import load_object
from inhand.perception.tags import Image
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene
from tests.controller.ipc.network import free_port
from tests.faults import policies
from tests.faults.far_end import FarEnd
from tests.faults.wires import CAMERA_RATE

HAND = load_hand("dactyl24")
PATIENCE = 30.0
"""For whatever has no deadline of its own [s]."""
JOINT_TICKS = 20
"""As much patience with joints as a configuration may ask for: others use this machine too."""

ROLLS, ROLL_SPEED = 0.12, 0.5
"""How long [s] and how fast [m/s] a block that is dropped rolls aside before it falls."""

RUDE = """
import sys, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
message = bytes(100_000_000)
if sys.stdin.readline():
    socket.send(message)
    socket.poll(500)
socket.close(linger=0)
"""
"""A client that sends a message of 100 MB when told to."""


class Station:
    """Wires and daemon.

    Attributes:
        directory: everything is below it; the daemon's sockets are in `run`.
        servos: on their line.
        cameras: on theirs.
        recordings: where recordings go; a disk of 4 MB if `small_disk`.
        switch: what its emergency stop line reads.
        rude: a client that waits to send too much.
        config: the daemon's configuration file.
        process: the daemon.
        hand: a client of it.
    """

    def __init__(self, directory: Path, *, clock: Path | None = None) -> None:
        self.directory = directory
        # The daemon and its children inherit it: what is tested is not how busy the machine is.
        self._niceness = os.getpriority(os.PRIO_PROCESS, 0)
        hurry(-10)
        run = directory / "run"
        self.clock = directory / "clock"
        tricks: tuple[policies.Trick, ...] = ("none", "nan", "slow", "raise", "swing")
        store = directory / "policies"
        store.mkdir()
        allowed = [policies.write(store / f"{trick}.onnx", HAND, trick) for trick in tricks]
        self.ports = free_port(), free_port()
        self.ring = KeyRing(directory / "keys")
        addresses = [f"tcp://127.0.0.1:{port}" for port in self.ports]
        for name, role in (("commander", "command"), ("observer", "observe")):
            self.ring.generate(name, role, *addresses, directory / name)
        rig = default_rig()
        save_rig(directory / "rig.toml", rig)
        self._far = FarEnd(directory, HAND.name, _pictures())
        self.servos, self.cameras = self._far.servos, self._far.cameras
        sources = ", ".join(f'{name} = "{at}"' for name, at in self.cameras.sources.items())
        self.recordings = directory / "recordings"
        self.recordings.mkdir()
        self.small_disk = mount_small(self.recordings)
        self.switch = directory / "switch"
        self.switch.write_text("1\n")
        self.config = directory / "inhandd.toml"
        self.config.write_text(
            f"""
[bus]
port = "{self.servos.port}"
[cameras]
rig = "{directory / "rig.toml"}"
sources = {{{sources}}}
[policy]
directory = "{store}"
file = "none.onnx"
allow = {allowed}
[safety]
joint_ticks = {JOINT_TICKS}
[recording]
directory = "{self.recordings}"
[estop_line]
source = "{self.switch}"
[goals]
unstick = 0.0
[network]
command = "{addresses[0]}"
state = "{addresses[1]}"
keys = "{directory / "keys"}"
""".replace("'", '"')
        )
        variables = dict(os.environ)
        if clock is not None:
            self.set_clock(0)
            variables |= {"LD_PRELOAD": str(clock), "WALL_CLOCK_OFFSET": str(self.clock)}
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.daemon_command(run), "--config", str(self.config)],
                env=variables,
                stdout=log,
                stderr=log,
            )
        # Started in advance: a fork holds up the threads that answer on the wires.
        self.rude = subprocess.Popen(
            [sys.executable, "-c", RUDE, f"ipc://{run}/command.sock"], stdin=subprocess.PIPE
        )
        self.wait(lambda: "inhandd ready" in self.log.read_text())
        self.hand = Client(run, timeout=PATIENCE)

    @staticmethod
    def daemon_command(run: Path) -> list[str]:
        return [sys.executable, "-m", "inhand.controller.runtime.daemon", "--directory", str(run)]

    def wait(
        self, what: Callable[[], Any], patience: float = PATIENCE, *, alive: bool = True
    ) -> None:
        """Waits until something holds; the daemon must be `alive` meanwhile."""
        deadline = time.monotonic() + patience
        while not what():
            assert not alive or self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.02)

    def set_clock(self, offset: int) -> None:
        """Sets the daemon's clock on the wall that far ahead of the real one [s]."""
        with self.clock.open("r+b" if self.clock.exists() else "wb") as file:
            file.write(offset.to_bytes(8, sys.byteorder, signed=True))

    @property
    def mode(self) -> str:
        return str(self.hand.status()["mode"])

    def load(self, policy: policies.Trick) -> None:
        """Has another policy loaded, and the hand at work with it."""
        with suppress(RefusedError):
            self.hand.call("disarm")
        self.hand.call("load_policy", policy=f"{policy}.onnx")
        self.work()

    def work(self, steady: float = 0.0) -> float:
        """Has the hand at work on a goal, from any mode, and so for a `steady` time [s].

        Returns:
            How long it took to get there [s].
        """
        began = since = time.monotonic()

        def steadily() -> bool:
            nonlocal since
            if self._working():
                return time.monotonic() - since >= steady
            since = time.monotonic()
            return False

        self.wait(steadily)
        return since - began

    def _working(self) -> bool:
        status = self.hand.status()
        if status["mode"] == "starting":
            return False
        mode, seen = status["mode"], status["object"]
        if mode == "running":
            return not status["paused"]
        if mode not in ("off", "fault", "estop") and seen["pose"] and not seen["in_hand"]:
            with suppress(RefusedError):
                self.hand.call("disarm")
                self.hand.call("home")
                self.cameras.show = 0
        step: Mapping[str, tuple[str, dict[str, object]]] = {
            "off": ("enable", {}),
            "holding": ("arm", {}),
            "ready": ("goal", {"face": "-x", "tolerance": 0.01}),
            "fault": ("clear", {}),
            "estop": ("clear", {}),
        }
        request, members = step[mode]
        with suppress(RefusedError):
            self.hand.call(request, **members)
        return False

    def number(self) -> int:
        """The number of the newest event."""
        return int(self.hand.call("events", since=2**31)["last"])

    def events(self, since: int) -> list[dict[str, Any]]:
        """The events after a number."""
        found: list[dict[str, Any]] = self.hand.call("events", since=since)["events"]
        return found

    def until(self, since: int, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Waits for an event; returns it."""
        found: list[dict[str, Any]] = []

        def came() -> bool:
            found.extend(event for event in self.events(since) if wanted(event))
            return bool(found)

        self.wait(came)
        return found[0]

    def child(self, arguments: str) -> int:
        """Process id of the daemon's child that has these in its command line."""
        for child in children(self.process.pid):
            if arguments in Path(f"/proc/{child}/cmdline").read_text():
                return child
        raise AssertionError(f"no process with {arguments}")

    def has_child(self, arguments: str) -> bool:
        """Whether the daemon has such a child now."""
        with suppress(AssertionError, OSError):
            return bool(self.child(arguments))
        return False

    def close(self) -> None:
        """Ends everything."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            if self.small_disk:
                subprocess.run(["umount", "--lazy", str(self.recordings)], check=True)
            self.rude.kill()
            self.rude.wait()
            self.hand.close()
            self._far.close()
            hurry(self._niceness)


@cache
def _pictures() -> dict[str, list[Image]]:
    """What the cameras see: the block lying in the hand, and then rolling off and falling."""
    start = np.array(HAND.workspace.object_start)
    times = np.arange(0.0, 0.6, 1.0 / CAMERA_RATE)
    fall = [9.81 / 2 * max(0.0, t - ROLLS) ** 2 for t in times]
    places = [start + [ROLL_SPEED * t, 0.0, -z] for t, z in zip(times, fall, strict=True)]
    joints = HAND.joint_angles(HAND.rest)
    with TemporaryDirectory() as scratch:
        scene = Scene(HAND, load_object("block"), Path(scratch))
        seen: dict[str, list[Image]] = {name: [] for name in default_rig()}
        for place in places:
            scene.place(joints, place, np.array([1.0, 0.0, 0.0, 0.0]))
            for name, camera in default_rig().items():
                seen[name].append(scene.render(camera))
        scene.close()
    return seen


def hurry(nice: int) -> None:
    """Sets the niceness of this process, if this user may."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def mount_small(place: Path) -> bool:
    """Puts a disk of 4 MB at a directory, if this user may."""
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"]
    done = subprocess.run(["mount", *options, str(place)], capture_output=True, check=False)
    return done.returncode == 0


def children(process: int) -> Iterator[int]:
    """Its child processes."""
    for task in Path(f"/proc/{process}/task").iterdir():
        yield from map(int, (task / "children").read_text().split())
