"""The demonstration counts reached, missed and dropped goals, and puts the block back."""

import json
import threading
import time
from collections.abc import Iterator
from math import nan
from pathlib import Path

import numpy as np
import pytest
import zmq

from inhand.controller.cli import demo, demo_hand
from inhand.controller.cli.demo_summary import Options, Result, summarize
from inhand.controller.client.sync import Client
from inhand.controller.errors import StartError
from inhand.controller.safety.modes import Happening, Mode
from inhand.controller.system.clock import MonotonicClock
from inhand.perception import rotations
from tests.controller.bench_hand import IN_HAND, TICK, Bench, learned
from tests.controller.served import UNHURRIED, Served


class ObligingBench(Bench):
    """Turns the object towards the goal by itself, but drops it, or breaks, at some goals."""

    drops: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()
    stops: frozenset[int] = frozenset()
    speed = 20.0
    broken, trips = False, 0

    def tick(self) -> None:
        mode = self.controller.mode
        if self.broken or (self.trips and mode == Mode.READY):
            self.trips = max(0, self.trips - 1)
            self.controller.report(Happening.SERVO_ERROR, "overload")
        goal = self.controller.goals.active
        if goal is not None and goal.order.number in self.drops:
            self.position = IN_HAND - [0.0, 0.0, 0.2]
        elif goal is not None and goal.order.number in self.stops:
            self.controller.estop()
        elif goal is not None and goal.order.number in self.breaks:
            self.controller.report(Happening.SERVO_ERROR, "overload")
        elif goal is not None:
            to_go = rotations.multiply(goal.quaternion, rotations.conjugate(self.quaternion))
            vector = rotations.log(to_go)
            share = min(1.0, self.speed * TICK / max(float(np.linalg.norm(vector)), 1e-9))
            self.quaternion = rotations.multiply(rotations.exp(share * vector), self.quaternion)
        super().tick()


@pytest.fixture
def bench(tmp_path: Path) -> ObligingBench:
    return ObligingBench(learned(tmp_path), UNHURRIED)


@pytest.fixture
def fallen(bench: ObligingBench) -> ObligingBench:
    bench.position = IN_HAND - [0.0, 0.0, 0.2]
    return bench


@pytest.fixture
def client(
    tmp_path: Path, bench: ObligingBench, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """Of a hand whose world puts the object back when it is asked to."""
    monkeypatch.setattr(demo_hand, "_HOMING", 0.1)
    monkeypatch.setattr(demo_hand, "_SETTLING", 0.3)
    monkeypatch.setattr(demo_hand, "_SETTLE_TIMEOUT", 0.6)
    address = f"ipc://{tmp_path}/world.sock"
    tick = {"ticks": 100, "on_time_share": 1.0, "recent_on_time_share": 1.0}
    statistics = {"world": address, "tick": tick, "policy_latency": {"p50": 0.001}}
    over = threading.Event()

    def world() -> None:
        with zmq.Context() as context, context.socket(zmq.REP) as socket:
            socket.bind(address)
            while not over.is_set():
                if socket.poll(20):
                    assert json.loads(socket.recv()) == {"type": "place"}
                    bench.position = IN_HAND
                    socket.send(b'{"ok":true}')

    placing = threading.Thread(target=world)
    placing.start()
    with (
        Served(tmp_path, statistics=lambda: dict(statistics), bench=bench),
        Client(tmp_path, timeout=120) as c,
    ):
        yield c
    over.set()
    placing.join()


def outcomes(results: list[Result]) -> list[str]:
    return [result.outcome for result in results]


def test_goals_are_counted(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(goals=3, max_angle=1.0)
    results = demo.turn(client, options)
    assert outcomes(results) == ["reached"] * 3
    summarize(results, client.status(), options)
    printed = capsys.readouterr().out
    assert printed.count("away") == 3
    assert "reached 3/3 goals" in printed and "ticks on time: 100.00 % of 100" in printed


def test_after_a_drop_the_block_is_put_back_and_the_count_goes_on(
    client: Client, bench: ObligingBench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.drops = frozenset({2})
    options = Options(goals=4, max_angle=1.0, json=True)
    results = demo.turn(client, options)
    assert outcomes(results) == ["reached", "dropped", "reached", "reached"]
    capsys.readouterr()
    summarize(results, client.status(), options)
    summary = json.loads(capsys.readouterr().out)
    assert summary["reached"] == 3 and len(summary["goals"]) == 4


def test_a_block_that_is_not_in_the_hand_at_first_is_put_there(
    fallen: ObligingBench, client: Client
) -> None:
    assert (fallen.position != IN_HAND).any()
    assert outcomes(demo.turn(client, Options(goals=1, max_angle=1.0))) == ["reached"]


def test_goals_that_are_not_reached_are_missed(client: Client, bench: ObligingBench) -> None:
    bench.speed = 0.0
    results = demo.turn(client, Options(goals=2, max_angle=3.0, timeout=0.2, tolerance=0.01))
    assert outcomes(results) == ["missed", "missed"]
    # This hand lives in real time, in which a busy machine may be late.
    assert 0.2 <= results[0].seconds < 5.0


def test_the_time_may_be_over_before_the_goals(client: Client, bench: ObligingBench) -> None:
    bench.speed = 0.0
    assert demo.turn(client, Options(goals=5, minutes=0.02, tolerance=0.01)) == []
    assert client.status()["mode"] == "ready"


def test_a_fault_that_is_over_is_cleared_and_the_count_goes_on(
    client: Client, bench: ObligingBench
) -> None:
    bench.breaks = frozenset({2})
    results = demo.turn(client, Options(goals=3, max_angle=1.0))
    assert outcomes(results) == ["reached", "servo_error", "reached"]


def test_what_was_not_reached_has_another_turn(
    client: Client, bench: ObligingBench, capsys: pytest.CaptureFixture[str]
) -> None:
    # Goals that are asked for again have new numbers: the fifth is the third one of four.
    bench.drops, bench.breaks = frozenset({2}), frozenset({5})
    options = Options(goals=4, max_angle=1.0)
    assert demo._demonstrate(client, options, MonotonicClock()) == ""
    said = capsys.readouterr().out
    assert said.count("dropped") == said.count("servo_error") == 1
    assert "the hand stopped: overload; going on" in said
    assert "2 of them at the second try or later" in said
    assert said.rstrip().endswith("reached 4/4 goals")


def test_a_hand_that_does_not_get_ready_ends_it_with_its_summary(
    client: Client, bench: ObligingBench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.broken = True
    trouble = demo._demonstrate(client, Options(goals=2), MonotonicClock())
    assert "the hand did not get ready" in trouble
    said = capsys.readouterr().out
    assert f"ended early: {trouble}" in said and "reached 0/0 goals" in said


def test_faults_before_the_goals_are_cleared(client: Client, bench: ObligingBench) -> None:
    # The first two times it is armed, something goes wrong at once.
    bench.trips = 2
    assert outcomes(demo.turn(client, Options(goals=2, max_angle=1.0))) == ["reached"] * 2
    assert bench.trips == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Options(goals=0), "--goals"),
        (Options(seed=-1), "--seed"),
        (Options(max_angle=9.0), "--max-angle"),
        (Options(tolerance=nan), "--tolerance"),
        (Options(minutes=nan), "--minutes"),
        (Options(timeout=-1.0), "--timeout"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(wrong: Options, words: str) -> None:
    with pytest.raises(StartError, match=f"^demo: .*{words}"):
        demo.run(wrong)


def test_an_emergency_stop_is_not_undone(
    client: Client, bench: ObligingBench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.stops = frozenset({2})
    trouble = demo._demonstrate(client, Options(goals=3, max_angle=1.0), MonotonicClock())
    assert "emergency stop" in trouble and client.status()["mode"] == "estop"
    assert "reached 1/2 goals" in capsys.readouterr().out


def test_a_lost_daemon_ends_it_with_what_was_reached(
    tmp_path: Path, bench: ObligingBench, capsys: pytest.CaptureFixture[str]
) -> None:
    with Served(tmp_path, bench=bench) as served, Client(tmp_path, timeout=0.5) as client:

        def end() -> None:
            while not bench.controller.goals.reached:
                time.sleep(0.01)
            served.server.stop()

        ending = threading.Thread(target=end)
        ending.start()
        options = Options(goals=1000, max_angle=1.0)
        trouble = demo._demonstrate(client, options, MonotonicClock())
        ending.join()
    assert "did not answer" in trouble
    assert f"ended early: {trouble}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_network_that_came_with_the_program_turns_the_block(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Real processes: daemon, simulated hand, a renderer without tags, cameras with the network."""
    assert demo.run(Options(goals=2, max_angle=1.5, eyes="network", json=True)) == 0
    printed = capsys.readouterr().out
    summary = json.loads(printed[printed.index("{") :])
    assert summary["reached"] == 2
