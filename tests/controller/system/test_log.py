"""Log lines to a pipe that nobody empties: no thread waits, and what was lost is counted."""

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from inhand.controller.system.log import WAITING, LogWriter


@pytest.fixture
def full() -> Iterator[tuple[int, int]]:
    """Both ends of a full pipe."""
    near, far = os.pipe()
    fcntl.fcntl(far, fcntl.F_SETFL, os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(far, bytes(4096))
    fcntl.fcntl(far, fcntl.F_SETFL, 0)
    yield near, far
    os.close(near)
    os.close(far)


def record(number: int) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "line %d", "args": (number,)})


def test_a_full_pipe_loses_lines_and_says_so_later(full: tuple[int, int]) -> None:
    near, far = full
    writer = LogWriter(far)
    writer.start()
    for number in range(WAITING + 100):
        writer.emit(record(number))
    assert 90 <= writer.lost <= 100
    text = b""
    while b"log lines were lost" not in text:
        text += os.read(near, 65536)
    assert b"line 0\n" in text
    writer.close()


def test_a_message_that_cannot_be_formatted_is_counted(capfd: pytest.CaptureFixture[str]) -> None:
    writer = LogWriter(2)
    writer.start()
    writer.emit(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    writer.emit(record(1))
    writer.close()
    assert writer.lost == 1 and "line 1\n" in capfd.readouterr().err


def test_a_program_with_a_full_pipe_goes_on_and_ends(full: tuple[int, int]) -> None:
    program = (
        "import logging, sys\n"
        "from inhand.controller.system.log import say, start_logging\n"
        "start_logging()\n"
        "for _ in range(5000):\n"
        "    logging.warning('x' * 100)\n"
        "say('text')\n"
        "open(sys.argv[1], 'w').write('done')\n"
    )
    near, far = os.pipe()
    command = [sys.executable, "-c", program, f"/dev/fd/{far}"]
    subprocess.run(command, stdout=full[1], stderr=full[1], pass_fds=[far], timeout=300, check=True)
    assert os.read(near, 10) == b"done"
    os.close(near), os.close(far)
