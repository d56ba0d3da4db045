"""An emergency stop is ended by who pressed it, or by an operator."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inhand.controller.ipc.stop_owner import Person, StopOwner
from tests.controller.served import Served

ANN, BOB, OPERATOR = Person("user 1", False), Person("user 2", False), Person("user 0", True)

ASK = """
import os, sys, zmq
os.setuid(int(sys.argv[2]))
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
for kind in sys.argv[3:]:
    socket.send(b'{"v":1,"id":1,"type":"%s"}' % kind.encode())
    assert socket.poll(120_000)
    print(socket.recv().decode())
"""


def test_the_first_who_presses_owns_the_stop() -> None:
    owner = StopOwner()
    assert not owner.refusal(BOB, stopped=True), "pressed by the emergency stop line"
    owner.press(ANN, stopped=False)
    owner.press(BOB, stopped=True)
    assert not owner.refusal(ANN, stopped=True) and not owner.refusal(OPERATOR, stopped=True)
    assert "user 1 pressed" in owner.refusal(BOB, stopped=True)
    # What else `clear` ends, like a fault, is nobody's.
    assert not owner.refusal(BOB, stopped=False)
    owner.press(BOB, stopped=False)
    assert not owner.refusal(BOB, stopped=True) and owner.refusal(ANN, stopped=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may act as other users")
def test_users_of_this_machine(tmp_path: Path) -> None:
    def ask(user: int, *kinds: str) -> str:
        address = f"ipc://{tmp_path}/command.sock"
        done = subprocess.run(
            [sys.executable, "-c", ASK, address, str(user), *kinds],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return done.stdout

    with Served(tmp_path):
        for place in (tmp_path, *tmp_path.parents[:3]):
            place.chmod(0o755)
        (tmp_path / "command.sock").chmod(0o777)
        assert '"estop"' in ask(4001, "estop")
        assert "user 4001 pressed the emergency stop, this is user 4002" in ask(4002, "clear")
        assert '"off"' in ask(4001, "clear")
        assert '"estop"' in ask(4002, "estop")
        assert '"off"' in ask(0, "clear")
