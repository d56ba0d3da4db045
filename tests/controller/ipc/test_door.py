"""Strangers on the network, silent or talkative: a client with a key is served beside them."""

import asyncio
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from inhand.controller.errors import StartError
from inhand.controller.ipc.door import Door, State
from inhand.controller.ipc.gateway import MEMORY
from inhand.controller.ipc.unanswered import MOST_FRAMES, Unanswered
from inhand.controller.ipc.zmtp import GREETING
from inhand.perception.parent import environment
from tests.controller.ipc.network import Network, free_port, until

FLOOD = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept, made, words = [], 0, bytes.fromhex(sys.argv[2])
while True:
    line = socket.socket()
    line.setblocking(False)
    line.bind((sys.argv[3], 0))
    line.connect_ex(("127.0.0.1", int(sys.argv[1])))
    kept.append(line)
    if len(kept) > 2000:
        kept.pop(0).close()
    made += 1
    if made % 10 == 0:
        for one in kept[-20:-10]:
            try:
                one.send(words)
            except OSError:
                pass
        time.sleep(0.01)
    if made == 3000:
        print("many", flush=True)
"""


@contextmanager
def flooding(port: int, words: bytes, address: str) -> Iterator[None]:
    command = [sys.executable, "-c", FLOOD, str(port), words.hex(), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as flood:
        assert flood.stdout is not None and flood.stdout.readline() == b"many\n"
        try:
            yield
        finally:
            flood.kill()


@pytest.mark.parametrize(
    ("words", "address"),
    [(b"", "127.0.0.1"), (GREETING, "127.0.0.2")],
    ids=["silent", "greeting from another address"],
)
def test_clients_with_a_key_are_served_beside_a_flood_of_strangers(
    network: Network, words: bytes, address: str
) -> None:
    number = network.process.pid
    with network.client("commander") as known:
        assert known.status()["mode"] == "off"
        resource.prlimit(number, resource.RLIMIT_NOFILE, (1024, 1024))
        with flooding(network.ports[0], words, address):
            assert known.status()["mode"] == "off"
            with network.client("observer") as new:
                assert new.call("estop")["mode"] == "estop"
            descriptors = len(list(Path(f"/proc/{number}/fd").iterdir()))
            assert descriptors < 2 * sum(2 * state.value for state in State)
            assert resource.prlimit(number, resource.RLIMIT_DATA) == (MEMORY, MEMORY)
        assert known.call("clear")["mode"] == "off"
    assert network.process.poll() is None


def test_who_shows_no_key_in_time_is_sent_away(network: Network) -> None:
    lines = [socket.create_connection(("127.0.0.1", network.ports[1])) for _ in range(2)]
    lines[1].sendall(GREETING)
    for line in lines:
        line.settimeout(30.0)
        while line.recv(1000):
            pass
        line.close()
    # Those who have shown one stay, however long.
    with network.client("observer") as client:
        states = client.watch("state")
        for _ in range(2):
            until(lambda: states.poll(0))
            states.recv_multipart()


@pytest.mark.parametrize("address", ["tcp://*:99999", "tcp://no such host:1", "tcp://127.0.0.1:x"])
def test_an_address_that_cannot_be_used_is_named(address: str, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"\[network\] tcp://"):
        Door({address: tmp_path / "socket"}).open()


def test_an_address_that_is_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match="is the address free"):
            Door({address: tmp_path / "socket"}).open()


HUGE = """
import sys, zmq
from zmq.utils.monitor import recv_monitor_message
from inhand.controller.ipc.keys import load_client_key
key = load_client_key(sys.argv[1])
line = zmq.Context().socket(getattr(zmq, sys.argv[2]))
line.curve_publickey, line.curve_secretkey = key.public.encode(), key.secret.encode()
line.curve_serverkey = key.server.encode()
events = line.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
line.connect(getattr(key, sys.argv[3]))
assert recv_monitor_message(events)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
frame = b"\\x02" * int(sys.argv[4])
for _ in range(int(sys.argv[5])):
    line.send(frame, zmq.SNDMORE)
line.send(b"")
assert recv_monitor_message(events)["event"] == zmq.EVENT_DISCONNECTED
print("cut off", flush=True)
sys.stdin.read()
"""
"""A client with a key that sends one message of many frames: 240 MB, or very many."""


def test_messages_without_end_of_clients_with_keys_are_cut_off(network: Network) -> None:
    status = Path(f"/proc/{network.process.pid}/status")
    kinds = [
        ("DEALER", "command", "60000", "4000"),
        ("DEALER", "command", "10", "200000"),
        ("XSUB", "state", "60000", "4000"),
    ]

    def peak() -> int:
        lines = status.read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024

    with network.client("commander") as other, ExitStack() as exits:
        assert other.status()["ok"]
        before, lines = peak(), []
        for words in kinds:
            command = [sys.executable, "-c", HUGE, str(network.place / "colleague"), *words]
            huge = exits.enter_context(
                subprocess.Popen(command, stdin=PIPE, stdout=PIPE, env=environment())
            )
            exits.callback(huge.communicate)
            assert huge.stdout is not None
            lines.append(huge.stdout)
        while lines:
            assert other.status()["ok"]
            if select.select(lines, [], [], 0.01)[0]:
                lines = [one for one in lines if not select.select([one], [], [], 0)[0]]
        assert peak() - before < 60_000_000
    assert network.process.poll() is None


def test_answers_make_room_again() -> None:
    frame = b"\x00\xff" + bytes(255)

    async def talk() -> list[bool]:
        client = Unanswered(answers=True, patience=0.05)
        client.sent(GREETING)
        client.told(GREETING)
        said = []
        for _ in range(MOST_FRAMES + 1):
            # In pieces, as they come.
            client.sent(frame[:1])
            client.sent(frame[1:])
        said.append(await client.room())
        client.told(b"\x00\x36" + bytes(54))
        said.append(await client.room())
        client.told(b"\x00\x37" + bytes(55))
        said.append(await client.room())
        client.sent(b"\x02" + (3 << 20).to_bytes(8, "big"))
        said.append(await client.room())
        return said

    assert asyncio.run(talk()) == [False, False, True, False]
