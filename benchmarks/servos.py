"""Emulated servos in their own process: prints the port, ends at the end of its input.

Each number on its input is the id of a servo that is silent from then on; 0 makes all answer again.
With a baud rate as argument, bytes have their transmission time.
"""

import sys

from inhand.hardware.model.hand import load_hand
from tests.sim_backend.wires import wires

if __name__ == "__main__":
    with wires(load_hand("dactyl24"), int(sys.argv[1]) if sys.argv[1:] else None) as line:
        print(line.port, flush=True)
        for text in sys.stdin:
            with line.lock:
                if id := int(text):
                    line.faults.inject("silent", id)
                else:
                    line.faults.mend()
            print("silent", flush=True)
