"""`inhand emulate` as a process, with the programs that people use with servo hands."""

import fcntl
import os
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from dynamixel_sdk import COMM_SUCCESS, PacketHandler, PortHandler

from inhand.controller.cli.bus_verbs import Scan, SetBaud, SetId
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Targets
from inhand.perception.parent import environment
from inhand.perception.rotations import Array
from inhand.sim_backend.linked_pty import LinkedPty
from tests.sim_backend.leap_client import LeapClient
from tests.sim_backend.lerobot_bus import LerobotBus

PATIENCE = 120.0
"""Longest time that a busy machine needs [s]."""
REPLY = 10.0
"""Longest time until a reply begins [s]: another process sends it, when it gets a processor."""


class Emulator:
    """The command in its own process.

    Attributes:
        port: its link.
        greeting: its first line.
    """

    def __init__(self, port: Path, *arguments: str) -> None:
        self.port = port
        command = [sys.executable, "-m", "inhand", "emulate", "--port-link", str(port), *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        self.process.stdout.readline()

    def say(self, line: str) -> str:
        """Gives it a line; returns what it says."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def emulator(port: Path, *arguments: str) -> Iterator[Emulator]:
    one = Emulator(port, *arguments)
    try:
        yield one
    finally:
        one.process.terminate()
        _, said = one.process.communicate(timeout=PATIENCE)
    assert one.process.returncode == 0, said
    assert not port.is_symlink()


@pytest.fixture(scope="module")
def leap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A hand of LEAP kind: ids 0 to 15."""
    port = tmp_path_factory.mktemp("leap") / "hand"
    with emulator(port, "--hand", "leap", "--first-id", "0") as one:
        yield one


@pytest.fixture
def sdk(leap: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK waits twice as long [ms] for each reply: others use this machine too.
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 500 * REPLY)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_greeting_names_port_servos_and_baud(leap: Emulator) -> None:
    assert leap.greeting.startswith(f"{leap.port}: 16 servos of leap, ids 0, 1, 2")
    assert "4000000 baud" in leap.greeting


@pytest.mark.usefixtures("sdk")
def test_robotis_sdk(leap: Emulator) -> None:
    port, packets = PortHandler(str(leap.port)), PacketHandler(2.0)
    assert port.openPort() and port.setBaudRate(4_000_000)
    assert packets.ping(port, 5) == (1240, COMM_SUCCESS, 0)
    # It listens for 0.8 s, in which the emulator may get no processor.
    wait_for(lambda: sorted(packets.broadcastPing(port)[0]) == list(range(16)))
    # Servos at another baud rate say nothing.
    assert port.setBaudRate(57600)
    port.setPacketTimeoutMillis = lambda _: PortHandler.setPacketTimeoutMillis(port, 50)
    assert packets.ping(port, 5)[1] != COMM_SUCCESS
    port.closePort()


@pytest.mark.usefixtures("sdk")
def test_the_loop_of_a_leap_hand(leap: Emulator) -> None:
    with LeapClient(str(leap.port)) as hand:
        rest = hand.read()[0]
        assert rest.shape == (16,)
        # The servos hold where they are, then follow.
        hand.start(current=350)
        for step in range(5):
            goals = rest + 0.02 * step
            hand.command(goals)
            position, velocity, current = hand.read()
            assert position == pytest.approx(goals, abs=0.002)
            assert velocity == pytest.approx(0.0) and current == pytest.approx(0.0)


@pytest.mark.usefixtures("sdk")
def test_the_bus_of_lerobot(tmp_path: Path) -> None:
    hand = tmp_path / "hand.toml"
    text = Path(load_hand.__code__.co_filename).parents[1] / "hands" / "leap.toml"
    hand.write_text(text.read_text().replace("XC330-M288", "XL330-M288"))
    with emulator(tmp_path / "hand", "--hand", str(hand), "--baud", "1000000") as one:
        bus = LerobotBus(str(one.port), {f"joint{id}": id for id in range(16)}, model=1200)
        bus.connect()
        bus.configure()
        offsets = bus.home()
        assert set(bus.sync_read("Present_Position").values()) == {2047}
        bus.calibrate(offsets, 1000, 3000)
        assert bus.is_calibrated(offsets, 1000, 3000)
        bus.write_all("Torque_Enable", 1)
        goals = {name: 1000 + 100 * i for i, name in enumerate(bus.ids)}
        bus.sync_write("Goal_Position", goals)
        assert bus.sync_read("Present_Position") == goals
        bus.write("Goal_Position", "joint2", 2222)
        assert bus.read("Present_Position", "joint2") == 2222
        with pytest.raises(ConnectionError, match="exceeds the limit"):
            bus.write("Goal_Current", "joint2", 2000)
        bus.disconnect()


def test_our_own_driver_and_its_lock(tmp_path: Path) -> None:
    port = tmp_path / "hand"
    with emulator(port, "--hand", "leap"):
        for _ in range(2):
            # The second time on another pty, as the first one was closed.
            servos = ServoHand(load_hand("leap"), str(port), 4_000_000, REPLY)
            servos.connect()
            servos.set_torque(True)
            assert servos.read().position.shape == (16,)
            servos.close()


@pytest.mark.usefixtures("sdk")
def test_clients_that_come_and_go(leap: Emulator) -> None:
    packets = PacketHandler(2.0)
    for _ in range(200):
        port = PortHandler(str(leap.port))
        assert port.openPort() and port.setBaudRate(4_000_000)
        assert packets.ping(port, 5)[1] == COMM_SUCCESS
        port.closePort()


def seen_on_its_way(servos: ServoHand, at: int, goal: Array) -> bool:
    """Commands a goal and waits until an actuator is there; whether a position between was read."""
    start, between = servos.read().position[at], False
    servos.write(Targets(0.0, goal))

    def there() -> bool:
        nonlocal between
        position = servos.read().position[at]
        arrived = bool(abs(position - goal[at]) < 0.05)
        between |= not arrived and bool(abs(position - start) > 0.02)
        return arrived

    wait_for(there)
    return between


def test_physics_moves_the_joints_in_time(tmp_path: Path) -> None:
    port, hand = tmp_path / "hand", load_hand("dactyl24")
    with emulator(port, "--hand", "dactyl24", "--physics"):
        servos = ServoHand(hand, str(port), 4_000_000, REPLY, watchdog=0.0)
        servos.connect()
        servos.set_torque(True)
        at = hand.actuator_names.index("FFJ3")
        bent = np.array(hand.rest)
        bent[at] += 0.2
        # On a busy machine the first reading may come after the whole movement: it moves once more.
        assert any(seen_on_its_way(servos, at, goal) for goal in (bent, hand.rest) * 50)
        servos.close()


@pytest.mark.usefixtures("sdk")
def test_bytes_take_their_time(tmp_path: Path) -> None:
    with emulator(tmp_path / "hand", "--hand", "leap", "--paced", "--baud", "57600") as one:
        port, packets = PortHandler(str(one.port)), PacketHandler(2.0)
        assert port.openPort() and port.setBaudRate(57600)
        began = time.monotonic()
        data, result, _ = packets.readTxRx(port, 3, 0, 140)
        assert result == COMM_SUCCESS and len(data) == 140
        # Request and answer, and half a millisecond of return delay.
        assert time.monotonic() - began >= 10 * (14 + 151) / 57600 + 0.0005
        port.closePort()


def test_a_client_that_locked_the_port_leaves_it_free(leap: Emulator) -> None:
    def openable() -> bool:
        try:
            os.close(os.open(leap.port, os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return False
        return True

    wait_for(openable)
    first = os.path.realpath(leap.port)
    file = os.open(leap.port, os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(file, termios.TIOCEXCL)
    # A byte, so that the emulator has noticed this client.
    os.write(file, b"\xff")
    time.sleep(0.1)
    os.close(file)
    wait_for(lambda: os.path.realpath(leap.port) != first)
    assert openable()


def test_nobody_but_the_client_has_the_port_open(leap: Emulator) -> None:
    end = os.stat(leap.port)
    files = Path(f"/proc/{leap.process.pid}/fd")
    assert not any(os.path.samestat(end, file.stat()) for file in files.iterdir() if file.exists())


def test_servos_from_the_factory_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = tmp_path / "hand"
    with emulator(port, "--hand", "leap", "--factory") as one:
        assert "all id 1, 57600 baud" in one.greeting
        for id in (2, 3):
            assert one.say(f"only {id}") == f"plugged in: {id}"
            Scan(port=str(port), baud=57600).run()
            assert "57600 baud  id   1  XC330-M288" in capsys.readouterr().out
            SetId(1, id, port=str(port), baud=57600).run()
            SetBaud(1_000_000, (id,), port=str(port), baud=57600).run()
        assert one.say("plug 2") == "plugged in: 2, 3"
        assert one.say("unplug 17").startswith("say `only ID`")
        Scan(port=str(port), baud=1_000_000).run()
        told = capsys.readouterr().out
        assert "id   2  XC330" in told and "id   3  XC330" in told and "id   1" not in told
        assert one.say("all") == f"plugged in: {', '.join(map(str, range(16)))}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--baud", "4500000"), "a servo XC330-M288 has 9600, 57600"),
        (("--physics", "--seed", "-1"), "--seed -1 must not be negative"),
        (("--first-id", "240"), "the ids of 16 servos end at 252"),
        (("--hand", "nothing"), "nothing"),
        (("--cameras", "cameras"), "without --physics there is nothing to see; add it"),
        (("--physics", "--cameras", "x" * 90), "80 bytes at most"),
        (
            ("--physics", "--cameras", "/nowhere/cameras"),
            "No such file or directory; name a",
        ),
        (("--physics", "--cameras", "/tmp"), "File exists; name a folder to be made"),
    ],
)
def test_what_is_refused(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in refusal("--port-link", str(tmp_path / "hand"), *arguments)
    assert not (tmp_path / "hand").is_symlink()


def test_a_file_at_the_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "hand").write_text("mine")
    assert "is not a link" in refusal("--port-link", str(tmp_path / "hand"))
    assert (tmp_path / "hand").read_text() == "mine"


def refusal(*arguments: str) -> str:
    command = [sys.executable, "-m", "inhand", "emulate", "--hand", "leap", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    return done.stderr


def test_a_port_that_was_found_just_before_the_last_client_closed_it(tmp_path: Path) -> None:
    line = LinkedPty(tmp_path / "hand")
    line.open()
    found = os.readlink(line.link)
    first = os.open(line.link, os.O_RDWR | os.O_NOCTTY)
    line.receive(0.0)
    os.close(first)
    line.receive(0.0)
    assert os.readlink(line.link) != found
    second = os.open(found, os.O_RDWR | os.O_NOCTTY)
    os.write(second, b"ping")
    received = b""
    while not received:
        received, _ = line.receive(1.0)
    assert received == b"ping" and os.readlink(line.link) == found
    os.close(second)
    line.close()
    assert not line.link.is_symlink()
