"""An emulation that is late answers before it makes up for the time."""

import os
import termios
import threading
import time
import tty
from contextlib import closing, suppress
from pathlib import Path

import pytest

from inhand.hardware.dynamixel.protocol import Instruction, Packet, Parser, encode
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array
from inhand.sim_backend.emulate import Emulation, Followers, Options
from inhand.sim_backend.linked_pty import LinkedPty
from inhand.sim_backend.servo_dynamics import Mask


class SlowJoints(Followers):
    """Joints whose every step takes longer than its time, and asks a servo something meanwhile.

    Args:
        port: the emulated port.
        ended: set when enough is known.

    Attributes:
        answered: whether the question of each step was answered before the next one.
    """

    timestep = 0.001

    def __init__(self, port: Path, ended: threading.Event) -> None:
        super().__init__(load_hand("leap"))
        self._line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)
        settings = termios.tcgetattr(self._line)
        settings[4:6] = [termios.B4000000] * 2
        termios.tcsetattr(self._line, termios.TCSANOW, settings)
        self._ended, self._parser = ended, Parser()
        self.answered: list[bool] = []

    def step(self, targets: Array, torque_on: Mask) -> None:
        if len(self.answered) == 20:
            self._ended.set()
        packets: list[Packet] = []
        with suppress(BlockingIOError):
            packets = self._parser.feed(os.read(self._line, 1000))
        self.answered.append(bool(packets))
        os.write(self._line, encode(3, Instruction.PING))
        time.sleep(0.02)

    def close(self) -> None:
        os.close(self._line)


def test_a_question_does_not_wait_until_the_physics_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(LinkedPty(tmp_path / "hand")) as line, open(os.devnull) as silent:
        line.open()
        monkeypatch.setattr("sys.stdin", silent)
        ended = threading.Event()
        joints = SlowJoints(line.link, ended)
        Emulation(load_hand("leap"), joints, line, Options(line.link)).serve(ended)
        joints.close()
    assert joints.answered[1:] and all(joints.answered[1:])
