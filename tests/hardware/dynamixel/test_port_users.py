"""A port is used by one program: others are kept out, or named; also the vendor's own SDK."""

import grp
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.port_users import users_of
from inhand.hardware.dynamixel.registers import TORQUE_ENABLE
from inhand.hardware.errors import BusCongestedError, BusError
from inhand.hardware.records import Targets, frozen_array
from tests.hardware import conftest
from tests.sim_backend.wires import Wires

HAND, BAUD, PATIENCE = conftest.HAND, conftest.BAUD, conftest.PATIENCE

SDK = """
import os, sys
from dynamixel_sdk import PacketHandler, PortHandler
if sys.argv[2] != "0":
    os.setuid(int(sys.argv[2]))
port, packets = PortHandler(sys.argv[1]), PacketHandler(2.0)
try:
    port.openPort()
    port.setBaudRate(4000000)
except Exception as error:
    print(repr(error), flush=True)
    raise SystemExit
print("open", flush=True)
while True:
    try:
        packets.ping(port, 3)
    except OSError:
        # The other program has read the bytes that were there a moment ago.
        port.is_using = False
"""


@contextmanager
def sdk(port: str, user: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The vendor's SDK as another process that pings a servo without end; and its first word."""
    command = [sys.executable, "-c", SDK, port, str(user)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_port_that_another_program_has_open_is_refused_by_name(line: Wires) -> None:
    with sdk(line.port) as (process, said):
        assert said == "open"
        for attempt in (ServoHand(HAND, line.port, BAUD), ServoHand(HAND, line.port, BAUD)):
            with pytest.raises(BusError, match=rf"in use by \S+ \({process.pid}\).*end "):
                attempt.connect()
        assert not line.bus.torque_on().any()


def test_torque_goes_off_beside_another_program(line: Wires) -> None:
    with sdk(line.port) as (process, said):
        assert said == "open"
        servos = ServoHand(HAND, line.port, BAUD, PATIENCE)
        for servo in line.bus.servos.values():
            servo.set(TORQUE_ENABLE, 1)
        deadline = time.monotonic() + 120
        while servos.relax() and time.monotonic() < deadline:
            pass
        assert not line.bus.torque_on().any()
        servos.close()


def fill(port: int) -> None:
    """Writes to a port until its buffer stays full: the kernel takes bytes on a little later."""
    refused = 0
    while refused < 5:
        try:
            os.write(port, bytes(1024))
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.02)


def test_a_full_send_buffer_is_no_lost_port(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE)
    for servo in line.bus.servos.values():
        servo.set(TORQUE_ENABLE, 1)
    other = os.open(line.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    with line.lock:
        # Nothing is read meanwhile, as on a line that is held up.
        fill(other)
        assert "may still pull" in servos.relax()
        fill(other)
        with pytest.raises(BusCongestedError, match="send buffer is full"):
            servos.bus.write(1, TORQUE_ENABLE.address, b"\0")
    deadline = time.monotonic() + 120
    while servos.relax() and time.monotonic() < deadline:
        pass
    assert not line.bus.torque_on().any()
    servos.close()
    os.close(other)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_the_port_is_closed_to_others_while_it_is_open(servos: ServoHand, line: Wires) -> None:
    os.chmod(line.port, 0o666)
    with sdk(line.port, 65534) as (_, said):
        assert "busy" in said
    servos.read()
    servos.close()
    with sdk(line.port, 65534) as (_, said):
        assert said == "open"


def test_a_program_that_reads_along_is_named_while_running(servos: ServoHand, line: Wires) -> None:
    targets = Targets(0.0, frozen_array(HAND.rest))
    servos.set_torque(True)
    assert servos.problem == ""
    # Root may open any port.
    with sdk(line.port) as (process, said):
        if said != "open":
            pytest.skip("this user cannot open a port that is in use")
        told, deadline = "", time.monotonic() + 120
        while f"({process.pid}) uses {line.port} too" not in told:
            assert time.monotonic() < deadline, told
            try:
                servos.read(time.monotonic() + 0.02)
                servos.write(targets)
                told = servos.problem
            except BusError as error:
                told = str(error)
        assert "only one program may use a bus; end " in told
    # The other program has ended: that is noticed without any trouble on the line.
    in_order, deadline = False, time.monotonic() + 120
    while not in_order:
        assert time.monotonic() < deadline, servos.problem
        try:
            in_order = bool(np.isfinite(servos.read().position).all()) and not servos.problem
        except BusError:
            continue


def test_the_other_end_of_a_pseudo_terminal_is_no_user(line: Wires) -> None:
    code = (
        "import sys; from inhand.hardware.dynamixel.port_users import users_of\n"
        "open_file = open(sys.argv[1], 'rb', buffering=0); print(users_of(sys.argv[1]))"
    )
    # This process has both ends of the line, as a simulated hand has.
    said = subprocess.run(
        [sys.executable, "-c", code, line.port], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"
    assert users_of("/dev/nothing") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("group", ["dialout", "root"])
def test_a_user_without_the_right_is_told_the_group(line: Wires, group: str) -> None:
    os.chown(line.port, -1, grp.getgrnam(group).gr_gid)
    os.chmod(line.port, 0o660)
    code = (
        "import os, sys; from inhand.hardware.dynamixel.port import Port\n"
        "os.setgid(65534); os.setgroups([]); os.setuid(65534); Port(sys.argv[1], 57600).open()"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, line.port], capture_output=True, text=True, check=False
    ).stderr
    assert f"may not open {line.port}, which is for group {group}" in said
    assert ("sudo usermod -aG dialout $USER, then log in again" in said) == (group == "dialout")
    assert "install the udev rules" in said and "usermod -aG root" not in said
