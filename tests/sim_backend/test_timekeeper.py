"""Simulated time waits for every program, never decreases, and ignores programs that have died."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from inhand.perception.simulated_time import SimulatedClock, TimePage, picture_number
from inhand.sim_backend.timekeeper import MAX_CATCH_UP, Pace, Timekeeper

PATIENCE = 120.0

HOLDER = """
import sys
from pathlib import Path
from inhand.perception.simulated_time import SimulatedClock
clock = SimulatedClock.open(Path(sys.argv[1]))
clock.sleep_until(0.5)
print(clock.now(), flush=True)
sys.stdin.read()
"""
"""A program that takes part until 0.5 s, and then never sleeps again."""


@contextmanager
def kept(directory: Path, seats: int = 1) -> Iterator[list[float]]:
    """Advances time as soon as all sleep; yields the list of its instants."""
    keeper, instants, over = Timekeeper.open(directory, seats), [0.0], threading.Event()

    def run() -> None:
        while not over.is_set():
            target = keeper.target()
            if target is None:
                keeper.receive(select.select(keeper.files(), [], [], 0.02)[0])
                continue
            keeper.set_time(target)
            instants.append(target)
            keeper.wake()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield instants
    finally:
        over.set()
        thread.join()
        keeper.close()


def test_every_program_wakes_at_its_instant_and_time_never_decreases(
    tmp_path: Path,
) -> None:
    woken: list[list[tuple[float, float]]] = [[] for _ in range(4)]
    waiting: dict[int, float] = {}
    passed: list[tuple[float, float]] = []

    def live(number: int, aside: threading.Barrier) -> None:
        clock = SimulatedClock.open(tmp_path)
        rng, before = np.random.default_rng(number), 0.0
        aside.wait()
        for _ in range(200):
            deadline = clock.now() + float(rng.exponential(0.01))
            waiting[number] = deadline
            clock.sleep_until(deadline)
            now = clock.now()
            # Nobody else may have been left behind.
            passed.extend((other, now) for other in list(waiting.values()) if other < now)
            assert now >= before
            before = now
            woken[number].append((deadline, now))
            del waiting[number]
            # What it does meanwhile takes no time.
            sum(range(int(rng.integers(1, 3000))))
            assert clock.now() == now
        waiting.pop(number, None)
        clock.close()

    with kept(tmp_path, seats=4) as instants:
        together = threading.Barrier(4)
        threads = [threading.Thread(target=live, args=(n, together)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert [len(one) for one in woken] == [200] * 4
    assert all(now == deadline for one in woken for deadline, now in one)
    assert not passed
    assert instants == sorted(instants)


def test_time_begins_only_when_all_expected_programs_have_joined(tmp_path: Path) -> None:
    begun = threading.Event()

    def wait() -> None:
        clock = SimulatedClock.open(tmp_path)
        clock.sleep_until(1.0)
        begun.set()
        clock.sleep_until(2.0)
        clock.close()

    with kept(tmp_path, seats=2):
        first = threading.Thread(target=wait)
        first.start()
        assert not begun.wait(0.3) and TimePage.open(tmp_path).now() == 0.0
        clock = SimulatedClock.open(tmp_path)
        clock.sleep_until(1.5)
        assert begun.wait(PATIENCE) and clock.now() == 1.5
        clock.close()
        first.join()


def test_time_does_not_wait_for_a_program_that_has_died(tmp_path: Path) -> None:
    with kept(tmp_path, seats=2):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            clock = SimulatedClock.open(tmp_path)
            clock.sleep_until(0.4)
            reached = threading.Event()

            def go_on() -> None:
                with place:
                    clock.sleep_until(2.0)
                    reached.set()

            place = clock.aside()
            clock.close()
            thread = threading.Thread(target=go_on)
            thread.start()
            assert process.stdout is not None
            assert float(process.stdout.readline()) == 0.5
            # It holds the time now.
            assert not reached.wait(0.3) and clock.now() == 0.5
            os.kill(process.pid, signal.SIGKILL)
            assert reached.wait(PATIENCE)
            thread.join()
            assert clock.now() == 2.0
        finally:
            process.kill()
            process.wait()


def test_a_sleep_ends_when_it_is_given_up(tmp_path: Path) -> None:
    with kept(tmp_path):
        over = threading.Event()
        clock = SimulatedClock.open(tmp_path, over.is_set)
        other = clock.aside()
        threading.Timer(0.2, over.set).start()
        # The other place is busy for ever.
        clock.sleep_until(1.0)
        assert clock.now() < 1.0
        with other:
            pass


def test_an_immediate_reply_takes_no_simulated_time(tmp_path: Path) -> None:
    with kept(tmp_path):
        clock = SimulatedClock.open(tmp_path)
        ours, theirs = os.pipe()
        os.write(theirs, b"x")
        assert clock.wait_readable(ours, 5.0) and clock.now() == 0.0
        os.read(ours, 1)
        assert not clock.wait_readable(ours, 5.0) and clock.now() == 5.0
        clock.close()


def test_a_sleep_carries_the_number_of_bytes_sent(tmp_path: Path) -> None:
    keeper = Timekeeper.open(tmp_path)

    def send() -> None:
        clock = SimulatedClock.open(tmp_path)
        clock.note_sent(7)
        clock.note_sent(5)
        clock.sleep_until(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    while keeper.target() is None:
        keeper.receive(select.select(keeper.files(), [], [], PATIENCE)[0])
    assert (keeper.target(), keeper.sent) == (0.1, 12)
    keeper.set_time(0.1)
    keeper.wake()
    thread.join()
    keeper.close()


def test_time_is_no_faster_than_real_time_and_makes_up_for_little() -> None:
    real = [100.0]
    pace = Pace(lambda: real[0])
    assert pace.early(0.0) == 0.0
    assert pace.early(0.01) == pytest.approx(0.01)
    real[0] += 0.05
    assert pace.early(0.01) == pytest.approx(-0.04)
    # Only the last part of a long pause is made up for.
    real[0] += 10.0
    pace.early(0.01)
    assert pace.early(0.01) == pytest.approx(-MAX_CATCH_UP)


def test_the_speed_factor_covers_the_last_seconds() -> None:
    real = [0.0]
    pace = Pace(lambda: real[0])
    for tick in range(1000):
        real[0] = tick * 0.02
        factor = pace.factor(tick * 0.01)
    assert factor == pytest.approx(0.5)


def test_pictures_are_counted_by_their_instant() -> None:
    assert [picture_number(t) for t in (-0.01, 0.0, 0.06, 1 / 15, 0.07, 2.0)] == [
        -1,
        0,
        0,
        1,
        1,
        30,
    ]
