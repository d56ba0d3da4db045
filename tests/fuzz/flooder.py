"""Two hundred clients that send mutated requests and wait for each reply.

Run as `python -m tests.fuzz.flooder DIRECTORY`; it prints how many requests were sent.
"""

import random
import sys
from pathlib import Path

import zmq

from tests.controller.served import PATIENCE, Asker
from tests.fuzz.mutation import mutate
from tests.fuzz.targets import TARGETS

CLIENTS, EACH = 200, 250


def main() -> None:
    """Floods; ends with an error if a request has no reply, or more than one."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.linger = 0
    draw, corpus = random.Random(2), TARGETS[0].corpus()
    clients = [Asker(context, Path(sys.argv[1])) for _ in range(CLIENTS)]
    for _ in range(EACH):
        for client in clients:
            # A message of more than a megabyte disconnects its client.
            while b"shutdown" in (message := mutate(draw, corpus)[:60_000]):
                pass
            client.socket.send(message)
        for client in clients:
            assert client.socket.poll(PATIENCE), "no reply"
            client.socket.recv()
    assert all(client.socket.poll(0) == 0 for client in clients), "more than one reply"
    print(CLIENTS * EACH)


if __name__ == "__main__":
    main()
