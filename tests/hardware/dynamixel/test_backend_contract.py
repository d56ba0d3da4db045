"""Contract of every hand backend: one suite over all of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.backend import HandBackend
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.parallel import ParallelHand, by_port
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.records import Array, Targets, frozen_array
from tests.sim_backend.test_process import started
from tests.sim_backend.wires import wires

BAUD = 4_000_000
PATIENCE = 10.0
"""Tests share the machine with others [s]."""
COUNT = 2 * np.pi / 4096

Backend = Callable[[Path], AbstractContextManager[HandBackend]]


def driver(hand: Hand, port: str) -> ServoHand:
    return ServoHand(hand, port, BAUD, PATIENCE, watchdog=0)


@contextmanager
def kinematic(_: Path) -> Iterator[HandBackend]:
    """Servos that follow at once, on a line without faults."""
    hand = load_hand("dactyl24")
    with wires(hand) as line:
        yield driver(hand, line.port)


@contextmanager
def second_hand(_: Path) -> Iterator[HandBackend]:
    """The same with the other hand."""
    hand = load_hand("leap")
    with wires(hand) as line:
        yield driver(hand, line.port)


@contextmanager
def paced(_: Path) -> Iterator[HandBackend]:
    """A line with transmission times, like a real one."""
    hand = load_hand("dactyl24")
    with wires(hand, BAUD) as line:
        yield driver(hand, line.port)


@contextmanager
def noisy(_: Path) -> Iterator[HandBackend]:
    """Noise before every reply."""
    hand = load_hand("dactyl24")
    with wires(hand) as line:
        line.noise = b"\xff\xff\xfd\x00\x03noise\xff\xff\xfd"
        yield driver(hand, line.port)


@contextmanager
def on_two_buses(_: Path) -> Iterator[HandBackend]:
    """Two lines, each with half of the servos."""
    hand = load_hand("dactyl24")
    first, second = by_port(hand, "one", {"other": range(11, 21)}).values()
    with wires(first) as one, wires(second) as other:
        yield ParallelHand(hand, [driver(first, one.port), driver(second, other.port)])


@contextmanager
def simulated(directory: Path) -> Iterator[HandBackend]:
    """Servos that move a hand in PyBullet, in a process of their own."""
    pytest.importorskip("pybullet")
    with started(directory) as station:
        yield driver(load_hand("dactyl24"), station["bus"])


BACKENDS: tuple[Backend, ...] = (kinematic, second_hand, paced, noisy, on_two_buses, simulated)


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda backend: backend.__name__)
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HandBackend]:
    with request.param(tmp_path_factory.mktemp("hand")) as backend:
        yield backend


@pytest.fixture
def hand(whole: HandBackend) -> Iterator[HandBackend]:
    whole.connect()
    yield whole
    whole.close()


def tell(hand: HandBackend, angles: Array) -> Targets:
    return hand.write(Targets(time.monotonic(), frozen_array(angles)))


def test_a_read_returns_positions_with_their_time(hand: HandBackend) -> None:
    last = 0.0
    for _ in range(5):
        before = time.monotonic()
        state = hand.read()
        assert max(before, last) <= state.t <= time.monotonic()
        last = state.t
        for values in (state.position, state.velocity, state.current):
            assert values.shape == (hand.hand.n_actuators,) and values.dtype == np.float64
            assert np.isfinite(values).all() and not values.flags.writeable
        assert (state.position > hand.hand.lower - 0.2).all()
        assert (state.position < hand.hand.upper + 0.2).all()
        assert state.temperature is not None and (state.temperature > 0).all()
    assert hand.problem == ""


def settled(hand: HandBackend) -> Array:
    """Where the joints rest without torque; a joint that falls has moved until torque is on."""
    last, deadline = hand.read().position, time.monotonic() + 120
    while time.monotonic() < deadline:
        time.sleep(0.05)
        now = hand.read().position
        if np.abs(now - last).max() < 2e-3:
            return now
        last = now
    pytest.fail("the joints do not come to rest")


def test_torque_switches_without_motion(hand: HandBackend) -> None:
    hand.set_torque(False)
    before = settled(hand)
    hand.set_torque(True)
    np.testing.assert_allclose(hand.read().position, before, atol=0.05)
    for _ in range(2):
        hand.set_torque(False)


def test_joints_reach_their_targets(hand: HandBackend) -> None:
    hand.set_torque(True)
    for offset in (0.1, 0.0):
        wanted = np.clip(hand.hand.rest + offset, hand.hand.lower, hand.hand.upper)
        until = time.monotonic() + 120
        while np.abs(hand.read().position - wanted).max() > 0.15:
            tell(hand, wanted)
            assert time.monotonic() < until
    hand.set_torque(False)


def test_write_returns_the_targets_as_sent(hand: HandBackend) -> None:
    hand.set_torque(True)
    wanted = hand.hand.rest + 0.0123
    sent = hand.write(Targets(5.0, frozen_array(wanted)))
    inside = np.clip(wanted, hand.hand.lower, hand.hand.upper)
    assert sent.t == 5.0 and not sent.position.flags.writeable
    np.testing.assert_allclose(sent.position, inside, atol=COUNT / 2 + 1e-9)
    for far in (-9.0, 9.0):
        sent = tell(hand, hand.hand.rest + far)
        assert (sent.position >= hand.hand.lower - COUNT).all()
        assert (sent.position <= hand.hand.upper + COUNT).all()
        tell(hand, hand.hand.rest)
    hand.set_torque(False)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf])
def test_a_target_that_is_not_finite_is_refused(hand: HandBackend, nonsense: float) -> None:
    wanted = hand.hand.rest.copy()
    wanted[3] = nonsense
    with pytest.raises(BusError, match="is not a finite number; nothing was sent"):
        tell(hand, wanted)
    assert np.isfinite(hand.read().position).all()


def test_a_read_ends_by_its_deadline(hand: HandBackend) -> None:
    began = time.monotonic()
    # Bytes that have arrived may be used, but the read must not wait.
    with suppress(BusError):
        hand.read(began - 1.0)
    assert time.monotonic() - began < PATIENCE
    until = time.monotonic() + 120
    while not np.isfinite(hand.read().position).all():
        assert time.monotonic() < until


def test_it_can_be_closed_twice_and_opened_again(hand: HandBackend) -> None:
    hand.close()
    hand.close()
    for attempt in (hand.read, lambda: tell(hand, hand.hand.rest)):
        with pytest.raises(BusError, match="not open"):
            attempt()
    hand.connect()
    assert np.isfinite(hand.read().position).all()
