"""The demonstration counts reached, missed and dropped goals, and puts the block back."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from inhand.controller.cli import demo
from inhand.controller.cli.demo import Options, Result
from inhand.controller.client.sync import Client
from inhand.controller.safety.modes import Happening
from inhand.perception import rotations
from tests.controller.bench_hand import IN_HAND, TICK, Bench, learned
from tests.controller.served import Served


class ObligingBench(Bench):
    """Turns the object towards the goal by itself, but drops it, or breaks, at some goals."""

    drops: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()
    speed = 20.0

    def tick(self) -> None:
        goal = self.controller.goals.active
        if goal is not None and goal.order.number in self.drops:
            self.position = IN_HAND - [0.0, 0.0, 0.2]
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
    return ObligingBench(learned(tmp_path))


@pytest.fixture
def fallen(bench: ObligingBench) -> ObligingBench:
    bench.position = IN_HAND - [0.0, 0.0, 0.2]
    return bench


@pytest.fixture
def client(
    tmp_path: Path, bench: ObligingBench, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """Of a hand whose world puts the object back when it is asked to."""
    monkeypatch.setattr(demo, "_HOMING", 0.1)
    monkeypatch.setattr(demo, "_SETTLING", 0.3)
    monkeypatch.setattr(demo, "_SETTLE_TIMEOUT", 0.6)
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
    with Served(tmp_path, statistics=lambda: dict(statistics), bench=bench), Client(tmp_path) as c:
        yield c
    over.set()
    placing.join()


def outcomes(results: list[Result]) -> list[str]:
    return [result.outcome for result in results]


def test_goals_are_counted(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(goals=3, max_angle=1.0)
    results = demo.turn(client, options)
    assert outcomes(results) == ["reached"] * 3
    demo._summarize(results, client.status(), options)
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
    demo._summarize(results, client.status(), options)
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
    assert results[0].seconds == pytest.approx(0.2, abs=0.05)


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
