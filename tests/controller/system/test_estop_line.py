"""The emergency stop line: a real file and FIFO; serial pins where a port has them."""

import fcntl
import os
import pty
import struct
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inhand.controller.errors import StartError
from inhand.controller.system.estop_line import PATIENCE, EstopLine


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_file_says_whether_the_line_is_closed(tmp_path: Path) -> None:
    value = tmp_path / "value"
    value.write_text("1\n")
    line = EstopLine(str(value), "")
    line.start()
    assert line.problem() == ""
    value.write_text("0\n")
    until(line.problem)
    assert "is open" in line.problem()
    value.write_text("1\n")
    until(lambda: not line.problem())
    os.truncate(value, 0)
    until(line.problem)
    line.close()


def test_a_fifo_without_a_writer_is_open(tmp_path: Path) -> None:
    fifo = tmp_path / "line"
    os.mkfifo(fifo)
    line = EstopLine(str(fifo), "")
    line.start()
    assert "is open" in line.problem(), "nobody has said that it is closed"
    other = os.open(fifo, os.O_WRONLY)
    os.write(other, b"1\n")
    until(lambda: not line.problem())
    time.sleep(3 * PATIENCE)
    assert line.problem() == "", "what was said last stands"
    os.write(other, b"10")
    until(line.problem)
    os.write(other, b"1")
    until(lambda: not line.problem())
    os.close(other)
    until(line.problem)
    line.close()


def test_a_line_that_is_not_there_does_not_let_the_daemon_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        EstopLine(str(tmp_path / "none"), "").start()
    ends = pty.openpty()
    with pytest.raises(StartError, match="cts of /dev/pts"):
        # A pty has no pins.
        EstopLine("cts", os.ttyname(ends[1])).start()
    for end in ends:
        os.close(end)


def test_a_pin_of_a_serial_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No port here has pins, so the kernel's answer is made up; the rest is real."""
    pins, broken = [termios.TIOCM_DSR], [False]

    def ioctl(file: int, request: int, argument: bytes) -> bytes:
        assert request == termios.TIOCMGET and len(argument) == 4
        if broken[0]:
            raise OSError(5, "Input/output error")
        return struct.pack("I", pins[0])

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    port = tmp_path / "port"
    port.touch()
    line = EstopLine("dsr", str(port))
    assert "cannot be read" in line.problem(), "a line that was not started stops the hand"
    line.start()
    assert line.problem() == ""
    pins[0] = termios.TIOCM_CTS
    until(line.problem)
    assert "is open" in line.problem()
    pins[0] = termios.TIOCM_CTS | termios.TIOCM_DSR
    until(lambda: not line.problem())
    broken[0] = True
    until(line.problem)
    assert "cannot be read" in line.problem()
    line.close()
