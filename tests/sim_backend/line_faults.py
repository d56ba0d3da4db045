"""Fault injection on an emulated servo line: faults of cables and of servos.

Use it in place of a `ServoBus`: pass it the received bytes, and send the bytes that it returns:

    line = FaultyLine(bus)
    line.inject("corrupted")         # the next answer has a bit turned
    line.inject("silent", id=7)      # servo 7 does not answer until `line.mend()`
    out = line.receive(data, now)    # the answer without delay
    out = line.due(now)              # delayed answers that are due: call it when the line is idle

Each fault of the line (`LINE`) affects one answer, in the order of injection. Faults of a servo
(`SERVO`) stay until `mend`, or until the servo is rebooted. The loss of the port is simulated by
the owner of the pty.
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
"""Time for which a servo is silent during a reboot [s]."""


class FaultyLine:
    """Servos on a line with injected faults.

    Args:
        bus: the servos.
        delay: of a late answer [s].
        seed: of the flipped bit and the place of a cut.

    Attributes:
        injected: number of faults that have taken effect, by name.
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
        """Injects a fault: into the next answer, or into a servo from now on.

        Args:
            fault: which one.
            id: of the servo, for faults of one servo; a brown-out affects all.
            now: start of a reboot, which takes `START_TIME` [s].
            error: bit of the hardware error; the servo switches its torque off if the bit is one
                for which it shuts down.
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
        """Whether answers or servos are delayed, so that `due` must be called."""
        return bool(self._late or self._absent)

    def mend(self) -> None:
        """Ends all faults of servos and removes injected faults that have not taken effect."""
        self._next.clear()
        for id in list(self._absent):
            self._return(id)
        for servo in self.bus.servos.values():
            if servo.alert:
                servo.reboot()

    def receive(self, data: bytes, now: float) -> bytes:
        """Processes bytes from the line at a time [s]; returns the answer without delay."""
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
        """Delayed answers that are due at a time [s]; rebooted servos answer again from then on."""
        for id, (_, back) in list(self._absent.items()):
            if back <= now:
                self._return(id)
        if not self._late:
            return b""
        due = b"".join(answer for at, answer in self._late if at <= now)
        self._late = [one for one in self._late if one[0] > now]
        return due

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
