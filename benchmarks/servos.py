"""Emulated servos in a process of their own: prints the port, ends when its input does."""

import sys

from hardware.hand import load_hand
from tests.sim_backend.wires import wires

if __name__ == "__main__":
    with wires(load_hand("dactyl24")) as line:
        print(line.port, flush=True)
        sys.stdin.read()
