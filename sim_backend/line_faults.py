"""Faults to put on an emulated servo line, below any driver: what cables and servos really do.

Stand it where a `ServoBus` would stand, feed it what comes, and send what it gives:

    line = FaultyLine(bus)
    line.inject("corrupted")         # the next answer has a bit turned
    line.inject("silent", id=7)      # servo 7 says nothing until `line.mend()`
    out = line.receive(data, now)    # what goes out at once
    out = line.due(now)              # what was late, and is due now: call it when the line is idle

Faults of the line (`LINE`) hit one answer each, in the order in which they were injected. Faults of
a servo (`SERVO`) stay until `mend`, or until the servo is rebooted. That a port vanishes is for
whoever owns the pty.
"""

from collections import deque
from typing import Literal, get_args

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.protocol import HEADER
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.servo import Servo

LineFault = Literal["lost", "late", "cut", "corrupted", "duplicated", "echoed", "noise"]
ServoFault = Literal["silent", "rebooting", "alert", "brown-out"]
LINE: tuple[LineFault, ...] = get_args(LineFault)
SERVO: tuple[ServoFault, ...] = get_args(ServoFault)

START_TIME = 0.3
"""How long a servo that starts anew says nothing [s]."""


class FaultyLine:
    """Servos on a line where things go wrong when told to.

    Args:
        bus: the servos.
        delay: how late a late answer comes [s].
        seed: of which bit is turned, and where an answer is cut.

    Attributes:
        injected: how many faults have had their effect, by name.
    """

    def __init__(self, bus: ServoBus, delay: float = 0.008, seed: int = 0) -> None:
        self.bus, self.delay = bus, delay
        self.injected: dict[str, int] = dict.fromkeys((*LINE, *SERVO), 0)
        self._rng = np.random.default_rng(seed)
        self._next: deque[LineFault] = deque()
        self._absent: dict[int, tuple[Servo, float]] = {}
        self._late: list[tuple[float, bytes]] = []

    def inject(
        self,
        fault: LineFault | ServoFault,
        id: int = 0,
        now: float = 0.0,
        *,
        error: int = registers.OVERLOADED,
    ) -> None:
        """Lets something go wrong: with the next answer, or with a servo from now on.

        Args:
            fault: what.
            id: of the servo, for faults of one; a brown-out hits all.
            now: the time, from which a servo takes `START_TIME` to start anew [s].
            error: bit of the hardware error that a servo is alert of; it lets go if it is one that
                it shuts down for.
        """
        match fault:
            case "silent":
                self._remove(id, float("inf"))
            case "rebooting":
                self._restart(id, now)
            case "brown-out":
                for each in list(self.bus.servos):
                    self._restart(each, now)
            case "alert":
                self.bus.servos[id].protect(error)
            case _:
                self._next.append(fault)
                return
        self.injected[fault] += 1

    @property
    def waiting(self) -> bool:
        """Whether `due` will have something to give."""
        return bool(self._late or self._absent)

    def mend(self) -> None:
        """Takes away what is wrong with servos, and forgets faults that are still to come."""
        self._next.clear()
        for id in list(self._absent):
            self._return(id)
        for servo in self.bus.servos.values():
            if servo.alert:
                servo.reboot()

    def receive(self, data: bytes, now: float) -> bytes:
        """Takes bytes from the line at a time [s]; returns what comes back at once."""
        out = self.due(now)
        answer = self.bus.receive(data)
        if not answer:
            return out
        if not self._next:
            return out + answer
        fault = self._next.popleft()
        self.injected[fault] += 1
        if fault == "late":
            self._late.append((now + self.delay, answer))
            return out
        return out + self._spoil(fault, data, answer)

    def due(self, now: float) -> bytes:
        """What was late and is due, at a time [s]; servos that have started anew answer again."""
        for id, (_, back) in list(self._absent.items()):
            if back <= now:
                self._return(id)
        if not self._late:
            return b""
        come = b"".join(answer for at, answer in self._late if at <= now)
        self._late = [one for one in self._late if one[0] > now]
        return come

    def _spoil(self, fault: LineFault, data: bytes, answer: bytes) -> bytes:
        match fault:
            case "cut":
                return answer[: int(self._rng.integers(len(answer)))]
            case "corrupted":
                spoilt = bytearray(answer)
                spoilt[self._rng.integers(len(answer))] ^= 1 << int(self._rng.integers(8))
                return bytes(spoilt)
            case "duplicated":
                return answer + answer
            case "echoed":
                return data + answer
            case "noise":
                return HEADER + self._rng.bytes(9) + answer
        return b""

    def _restart(self, id: int, now: float) -> None:
        self._remove(id, now + START_TIME)
        self._absent[id][0].reboot()

    def _remove(self, id: int, until: float) -> None:
        self._absent[id] = self.bus.servos.pop(id), until

    def _return(self, id: int) -> None:
        self.bus.servos[id] = self._absent.pop(id)[0]
