"""Thousands of faults on the line: no old reading counts as new, and each fault is reported.

Every servo's position is a count of the measurements so far, so that each value tells its age.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.line_clock import RealLineClock
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array, Targets, frozen_array
from tests.sim_backend.line_faults import LINE, SERVO
from tests.sim_backend.wires import Wires

HAND = load_hand("dactyl24")
TURN = 80
"""Measurements after which the count begins again: no joint leaves its range before."""
UNIT = 2 * np.pi / registers.COUNTS
ZERO = np.array([actuator.servo.zero for actuator in HAND.actuators])
STEP = np.where(HAND.upper - ZERO > TURN * UNIT, UNIT, -UNIT)
"""Motion between two measurements [rad], (n_actuators,)."""
PATIENCE = 0.012
"""More than the tick's: the servos answer from a thread of this process [s]."""
DEADLINE = 0.04
SLACK = 0.1
"""What may come on top of the deadline: writing, and the processor's time [s]."""


class CountingWires(Wires):
    """Servos that stand where the number of measurements so far says."""

    count = 0

    def _measure(self) -> tuple[Array, Array, Array]:
        self.count += 1
        position = ZERO + (self.count % TURN) * STEP
        return position, np.zeros_like(position), np.zeros_like(position)


@contextmanager
def patient(servos: ServoHand) -> Iterator[None]:
    """A driver that waits for a busy machine, between the faults."""
    servos.bus.patience = 5.0
    try:
        yield
    finally:
        servos.bus.patience = PATIENCE


@contextmanager
def at_work() -> Iterator[tuple[CountingWires, ServoHand]]:
    line = CountingWires(HAND)
    line.faults.delay = 2 * PATIENCE
    servos = ServoHand(HAND, line.port, 4_000_000, PATIENCE, watchdog=2.5, clock=OwnTime())
    try:
        servos.connect()
        with patient(servos):
            servos.set_torque(True)
        yield line, servos
    finally:
        servos.close()
        line.unplug()


class OwnTime(RealLineClock):
    """How long the driver waits by its own decision, and computes: a busy machine adds nothing."""

    waited = 0.0

    def wait_readable(self, file: int, deadline: float) -> bool:
        began = time.monotonic()
        readable = super().wait_readable(file, deadline)
        self.waited += max(0.0, min(time.monotonic(), deadline) - began)
        return readable

    def spent(self) -> float:
        """Time so far, of the thread that calls [s]."""
        return self.waited + time.thread_time()


def recover(line: CountingWires, servos: ServoHand) -> None:
    """Brings the hand up again in the same process, after the cause was removed."""
    with line.lock:
        line.faults.mend()
    until = time.monotonic() + 120
    while True:
        try:
            with patient(servos):
                servos.reboot()
                servos.set_torque(True)
            return
        except BusError:
            assert time.monotonic() < until


def settle(line: CountingWires, servos: ServoHand) -> None:
    """Waits until no older request or answer is on its way, so that a fault hits the next read."""
    while line.faults.waiting:
        time.sleep(0.001)
    with patient(servos):
        assert servos.bus.ping([1])


def campaign(count: int, seed: int, *, punctual: bool) -> None:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    told, unnoticed = Counter[str](), Counter[str]()
    with at_work() as (line, servos):
        bus, clock = servos.bus, servos.bus.clock
        assert isinstance(clock, OwnTime)

        def noticed() -> int:
            counters = bus.missing, bus.retried, bus.refused
            return bus.discarded + sum(sum(counter.values()) for counter in counters)

        drawn = (rng.choice(LINE if rng.random() < 0.95 else SERVO) for _ in range(count))
        # A short campaign may draw none of a rare kind.
        for fault in (*SERVO, *drawn):
            id = int(rng.integers(1, 21))
            settle(line, servos)
            seen, error, start = noticed(), "", time.monotonic()
            with line.lock:
                line.faults.inject(fault, id, time.monotonic())
            wanted = rng.uniform(HAND.lower - 1, HAND.upper + 1)
            for _ in range(2):
                before, spent, began = line.count, clock.spent(), time.monotonic()
                try:
                    state = servos.read(began + DEADLINE)
                    fresh = state.position[np.isfinite(state.position)]
                    zero, step = (x[np.isfinite(state.position)] for x in (ZERO, STEP))
                    age = np.rint((fresh - zero) / step).astype(int) - before - 1
                    assert (age % TURN < line.count - before).all(), f"{fault}: stale {age}"
                    error = error or servos.problem
                    servos.write(Targets(began, frozen_array(wanted)))
                except BusError as problem:
                    error = str(problem)
                took = clock.spent() - spent
                assert not punctual or took < DEADLINE + SLACK, f"{fault}: {took:.3f} s"
            told[fault] += bool(error)
            # On a busy machine the driver may have waited long enough for a late answer.
            heard_late = fault == "late" and time.monotonic() - start >= line.faults.delay
            unnoticed[fault] += noticed() == seen and not error and not heard_late
            if fault in SERVO:
                recover(line, servos)
        recover(line, servos)
        assert line.bus.outside == []
        assert sum(line.faults.injected.values()) >= 0.97 * count
    assert not unnoticed.total(), unnoticed
    assert all(told[fault] for fault in SERVO)


def test_faults_are_survived_and_reported() -> None:
    campaign(300, seed=int(time.time()), punctual=False)


@pytest.mark.slow
@pytest.mark.alone
def test_ten_thousand_faults_are_survived_and_reported() -> None:
    campaign(10_400, seed=int(time.time()), punctual=True)
