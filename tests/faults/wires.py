"""The far ends of a hand's serial line and cameras, at which tests inject faults.

Servos answer bytes on a serial line, cameras give rendered pictures; nothing computes physics, so
that answers come in time on a busy machine too.
"""

import os
import pty
import select
import threading
import time
import tty
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import zmq

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.protocol import Instruction, Parser
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.perception.camera.sources import FrameHeader
from inhand.perception.tags import Image
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.renderer import with_noise
from inhand.sim_backend.servo import Servo

CAMERA_RATE = 15.0
"""Pictures a second."""

_FOLLOW_TIME = 0.02
"""How long a servo takes for 63 % of its way [s]."""
_MOST_TICKS = 3
"""A tick counts as at most so many nominal ones long."""


class ServoLine:
    """The servos of a hand on a serial line that may be pulled out.

    Attributes:
        port: a name for the line that stays the same, as udev would give it.
        bus: the servos.
        noise: bytes that come before every reply.
        corrupt: whether a bit of every servo's reply is turned.
        stuck: whether the servos are read where they stood, wherever they go.
        violations: goals that broke a limit, in words.
        goals: goals that came.
    """

    def __init__(self, port: Path, hand: Hand) -> None:
        self.port = port
        self.noise, self.corrupt, self.stuck = b"", False, False
        self.violations: list[str] = []
        self.position: Array = np.array(hand.rest)
        self.bus = ServoBus(hand, self._measure)
        self._seen = self.position
        self._monitor = GoalMonitor(hand, self.violations)
        self._silent: dict[int, Servo] = {}
        self._ends: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._moved = time.monotonic()
        self._over = False
        self.plug()
        self._thread = threading.Thread(target=self._serve, name="servo line", daemon=True)
        self._thread.start()

    @property
    def goals(self) -> int:
        return self._monitor.goals

    @property
    def torque(self) -> bool:
        """Whether any servo pulls."""
        return bool(self.bus.torque_on().any())

    @property
    def stopped_after(self) -> float:
        """Silence after which every servo had stopped by itself [s]; 0 while one has not."""
        with self._lock:
            stopped = all(servo.stopped for servo in self.bus.servos.values())
            return self.bus.stopped_after if stopped else 0.0

    @property
    def stands_still(self) -> bool:
        """Whether the servos go nowhere but to where they stand."""
        with self._lock:
            self._measure()
            return bool(np.abs(self.bus.targets() - self.position).max() < 2e-3)

    def plug(self) -> None:
        """Puts the line in, as another device under the same name."""
        near, far = pty.openpty()
        tty.setraw(far)
        os.set_blocking(near, False)
        with self._lock:
            self._ends = near, far
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(os.ttyname(far))

    def unplug(self) -> None:
        """Pulls the line out: the device is gone, and whoever has it open reads an error."""
        self.port.unlink(missing_ok=True)
        with self._lock:
            for end in self._ends or ():
                os.close(end)
            self._ends = None

    def silence(self, *ids: int) -> None:
        """Servos that say nothing from now on; none of them brings all back."""
        with self._lock:
            self.bus.servos.update(self._silent)
            self._silent = {id: self.bus.servos.pop(id) for id in ids}

    def shut_down(self, id: int, bit: int) -> None:
        """A servo protects itself: no torque, and a hardware error until it is rebooted."""
        with self._lock:
            self.bus.servos[id].set(registers.HARDWARE_ERROR, 1 << bit)
            self.bus.servos[id].set(registers.TORQUE_ENABLE, 0)

    def reboot(self, id: int) -> None:
        """A servo starts anew, as after a loose supply cable."""
        with self._lock:
            self.bus.servos[id].reboot()

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self.unplug()

    def _serve(self) -> None:
        last = time.monotonic()
        while not self._over:
            with self._lock:
                near = self._ends[0] if self._ends else None
            try:
                ready = select.select([near] if near is not None else [], [], [], 0.01)[0]
                with self._lock:
                    now = time.monotonic()
                    if not ready:
                        # This thread may have been kept waiting, which is no silence on the line.
                        self.bus.advance(min(now - last, 0.02))
                    elif self._ends and self._ends[0] == near:
                        self._answer(near)
                    last = now
            except OSError:
                # The line was pulled out in between, or nobody has opened it.
                time.sleep(0.01)

    def _answer(self, near: int) -> None:
        data = os.read(near, 65536)
        self._monitor.see(data)
        answer = self.bus.receive(data)
        if answer and self.corrupt:
            # No reply, nor any servo's part of a common one, is shorter than that.
            answer = bytes(x ^ 4 if i % 10 == 9 else x for i, x in enumerate(answer))
        if answer:
            os.write(near, self.noise + answer)

    def _measure(self) -> tuple[Array, Array, Array]:
        now = time.monotonic()
        share = 1.0 - np.exp(-(now - self._moved) / _FOLLOW_TIME)
        self._moved = now
        way = np.where(self.bus.torque_on(), self.bus.targets() - self.position, 0.0)
        self.position = self.position + share * way
        if not self.stuck:
            self._seen = self.position
        return self._seen, np.zeros_like(way), 0.05 * way


class GoalMonitor:
    """Reads the goals on a line and notes those that no hand should be given.

    Attributes:
        goals: goals that came.
    """

    def __init__(self, hand: Hand, violations: list[str]) -> None:
        self.goals = 0
        self._violations = violations
        self._parser = Parser()
        ends = np.array([Units(hand).position_counts(x) for x in (hand.lower, hand.upper)])
        longest = hand.velocity_limit * 0.01 * _MOST_TICKS * registers.COUNTS / (2 * np.pi) + 1
        self._bounds = {
            actuator.servo.id: (int(low), int(high), float(step))
            for actuator, low, high, step in zip(
                hand.actuators, ends.min(axis=0), ends.max(axis=0), longest, strict=True
            )
        }
        self._last: dict[int, int] = {}

    def see(self, data: bytes) -> None:
        """Takes what the daemon says."""
        for packet in self._parser.feed(data):
            if packet.instruction != Instruction.SYNC_WRITE:
                continue
            parameters = packet.parameters
            address, length = (int.from_bytes(parameters[i : i + 2], "little") for i in (0, 2))
            if address in (registers.TORQUE_ENABLE.address, registers.BUS_WATCHDOG.address):
                # Goals that are set while torque is off, or was, are where the servos stand.
                self._last.clear()
            if address != registers.GOAL_POSITION.address:
                continue
            self.goals += 1
            for start in range(4, len(parameters), length + 1):
                goal = registers.GOAL_POSITION.unpack(parameters[start + 1 : start + 1 + length])
                self._judge(parameters[start], goal)

    def _judge(self, id: int, goal: int) -> None:
        low, high, longest = self._bounds[id]
        last = self._last.get(id)
        if not low - 1 <= goal <= high + 1:
            self._violations.append(f"servo {id}: goal {goal} is outside {low}..{high}")
        if last is not None and abs(goal - last) > longest:
            self._violations.append(f"servo {id}: goal {goal} leaps from {last}")
        self._last[id] = goal


class CameraLines:
    """Cameras that show pictures drawn before, and may be spoiled.

    Attributes:
        sources: where the daemon finds each camera's frames.
        all: names of the cameras.
        show: number of the picture to show; counts on by itself up to the last while `play` is set.
        play: whether the pictures follow each other.
        gone: cameras whose frames are lost.
        black: cameras that show nothing.
        frozen: cameras that show the same picture to the bit, under new time stamps.
        delay: by how much frames come late [s].
        swap: whether the first two cameras are exchanged.
        backwards: whether time stamps run backwards.
    """

    def __init__(self, directory: Path, pictures: dict[str, Sequence[Image]]) -> None:
        self.all = tuple(pictures)
        self.sources = {name: f"ipc://{directory}/camera-{name}.sock" for name in pictures}
        self._pictures = pictures
        self._over = False
        self.restore()
        self._thread = threading.Thread(target=self._send, name="cameras", daemon=True)
        self._thread.start()

    def restore(self) -> None:
        """Takes all that is wrong away."""
        self.show, self.play = 0, False
        self.gone: frozenset[str] = frozenset()
        self.black: frozenset[str] = frozenset()
        self.frozen: frozenset[str] = frozenset()
        self.delay = 0.0
        self.swap = self.backwards = False

    def close(self) -> None:
        self._over = True
        self._thread.join()

    def _send(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        outs = {name: context.socket(zmq.PUB) for name in self.all}
        for name, out in outs.items():
            out.bind(self.sources[name])
        waiting: list[tuple[float, str, list[bytes]]] = []
        count, begin = 0, time.monotonic()
        while not self._over:
            now = time.monotonic()
            if now >= begin + count / CAMERA_RATE:
                count = 1 + int((now - begin) * CAMERA_RATE)
                stamp = begin - (now - begin) if self.backwards else now
                number = self.show
                if self.play:
                    self.show = min(number + 1, len(self._pictures[self.all[0]]) - 1)
                for name in self.all:
                    if name not in self.gone:
                        parts = self._frame(name, number, stamp, count)
                        waiting.append((now + self.delay, name, parts))
            for due, name, parts in waiting:
                if due <= now:
                    outs[name].send_multipart(parts)
            waiting = [one for one in waiting if one[0] > now]
            time.sleep(0.005)
        context.destroy(linger=0)

    def _frame(self, name: str, number: int, t: float, count: int) -> list[bytes]:
        first, second = self.all[:2]
        shown = {first: second, second: first}.get(name, name) if self.swap else name
        picture = self._pictures[shown][number]
        if name in self.black:
            picture = np.zeros_like(picture)
        elif name not in self.frozen:
            picture = with_noise(picture, count)
        height, width = picture.shape[:2]
        header = FrameHeader(t=t, seq=count, width=width, height=height)
        return [msgspec.json.encode(header), picture.tobytes()]
