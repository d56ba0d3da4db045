"""The sync and asyncio clients."""

import asyncio
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from inhand.controller.client.arrival import Arrival
from inhand.controller.client.asynchronous import AsyncClient
from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, RefusedError
from tests.controller.bench_hand import HAND, IN_HAND, Bench, learned
from tests.controller.served import UNHURRIED, Served


def test_a_goal_in_a_few_lines(tmp_path: Path) -> None:
    with Served(tmp_path), Client(tmp_path, timeout=120) as hand:
        events = hand.events(timeout=120)
        hand.subscribe()
        for topic, message in hand.messages(timeout=120):
            if topic == "state" and message["object"]["in_hand"]:
                break
        hand.call("enable")
        hand.call("arm")
        assert hand.call("goal", face="+x", tolerance=None)["goals"] == [1]
        kinds = [next(events)["kind"] for _ in range(4)]
        assert kinds[-1] == "goal_started"
        assert hand.status()["mode"] == "running"
        with pytest.raises(RefusedError, match="not in mode running") as refused:
            hand.call("arm")
        assert refused.value.code == "refused"


def test_joints_arrive(tmp_path: Path) -> None:
    names = HAND.actuator_names[3:5]
    with Served(tmp_path) as served, Client(tmp_path, timeout=120) as hand:
        hand.call("enable")
        assert hand.joints(dict.fromkeys(names, np.float64(0.4)), 3.0)["left"] <= 1e-3
        assert hand.follow(np.array([0.3]), np.array([[0.6, 0.5]]), names)["seconds"] == 0.0
        np.testing.assert_allclose(served.bench.servos[3:5], [0.6, 0.5], atol=0.02)
        hand.joints(served.bench.servos, wait=False)
        hand.call("hold")
        with pytest.raises(RefusedError, match="joints: not in mode holding"):
            hand.joints(served.bench.servos, wait=False)


def test_joints_arrive_with_asyncio(tmp_path: Path) -> None:
    async def move() -> None:
        async with AsyncClient(tmp_path, timeout=120) as hand:
            await hand.call("enable")
            assert (await hand.joints({"FFJ3": 0.4}, 3.0))["left"] <= 1e-3
            reply = await hand.follow([0.3], [[0.6]], ["FFJ3"])
            assert reply["seconds"] == 0.0 and reply["left"] <= 1e-3

    with Served(tmp_path):
        asyncio.run(move())


def test_targets_that_come_no_nearer_are_not_waited_for() -> None:
    arrival = Arrival()
    assert not arrival.over({"left": 0.5, "seconds": 1.0}, 0.0)
    assert not arrival.over({"left": 0.5, "seconds": 0.0}, 1.0)
    assert not arrival.over({"left": 0.4, "seconds": 0.0}, 2.9)
    assert not arrival.over({"left": 0.4, "seconds": 0.0}, 4.8)
    assert arrival.over({"left": 0.4, "seconds": 0.0}, 5.0)
    assert arrival.over({"left": 1e-4, "seconds": 0.0}, 5.0)


def test_listening_ends_in_time(tmp_path: Path) -> None:
    with Served(tmp_path), Client(tmp_path, timeout=120) as hand:
        began = time.monotonic()
        assert all("kind" in event for event in hand.events(timeout=0.2))
        assert time.monotonic() - began >= 0.2


def test_without_a_with_block_it_connects_at_the_first_request(tmp_path: Path) -> None:
    hand = Client(tmp_path)
    with pytest.raises(ClientError, match="no daemon in"):
        hand.status()
    with Served(tmp_path):
        try:
            assert "mode" in hand.status()
            hand.close()
            hand.close()
            assert "mode" in hand.status()
        finally:
            hand.close()


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no daemon in"):
        Client(tmp_path).connect()


def test_a_daemon_that_does_not_answer(tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as mute:
        mute.bind(f"ipc://{tmp_path}/command.sock")
        with (
            Client(tmp_path, timeout=0.1) as hand,
            pytest.raises(ClientError, match="still running"),
        ):
            hand.status()


def test_a_late_reply_is_no_answer_to_the_next_request(tmp_path: Path) -> None:
    with Served(tmp_path) as served, Client(tmp_path, timeout=0.2) as hand:
        served.halt()
        with pytest.raises(ClientError, match="hold"):
            hand.call("hold")
        served.ticking.set()
        assert "last" in hand.call("events")


def test_replies_may_come_in_any_order(tmp_path: Path) -> None:
    with Served(tmp_path), Client(tmp_path, timeout=120) as hand:
        first = hand.send("hold")
        second = hand.send("events", since=0)
        assert "mode" in hand.status()
        assert "last" in hand.receive("events", second)
        with pytest.raises(RefusedError):
            hand.receive("hold", first)


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90) / ("y" * 90)
    deep.mkdir(parents=True)
    (deep / "command.sock").touch()
    with pytest.raises(ClientError, match="the daemon's socket ipc"):
        Client(deep).connect()


def test_calls_from_one_event_loop_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(tmp_path, timeout=120) as hand:
            hand.subscribe()
            async for topic, message in hand.messages(timeout=120):
                if topic == "state" and message["object"]["in_hand"]:
                    break
            await hand.call("enable")
            first, second = await asyncio.gather(hand.status(), hand.call("events"))
            assert first["mode"] == "holding" and "last" in second
            await hand.call("arm")
            await hand.call("goal", face="+x", tolerance=None)
            async for event in hand.events(timeout=120):
                if event["kind"] == "goal_started":
                    break
            else:
                raise AssertionError("no goal was started")
            with pytest.raises(RefusedError, match="not in mode running"):
                await hand.call("arm")

    with Served(tmp_path):
        asyncio.run(run())


def test_an_event_loop_is_told_of_a_daemon_that_is_silent_or_absent(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(ClientError, match="no daemon in"):
            await AsyncClient(tmp_path).connect()
        with zmq.Context() as context, context.socket(zmq.ROUTER) as mute:
            mute.bind(f"ipc://{tmp_path}/command.sock")
            async with AsyncClient(tmp_path, timeout=0.1) as hand:
                with pytest.raises(ClientError, match="still running"):
                    await hand.status()
                assert [x async for x in hand.events(timeout=0.1)] == []

    asyncio.run(run())


def test_the_object_is_put_back_into_a_simulated_hand_and_seen(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/world.sock"
    bench = Bench(learned(tmp_path), UNHURRIED)
    bench.position = IN_HAND - [0.0, 0.0, 0.2]
    with zmq.Context() as context, context.socket(zmq.REP) as world:
        world.bind(address)

        def place() -> None:
            assert json.loads(world.recv()) == {"type": "place"}
            bench.position = IN_HAND
            world.send(b'{"ok":true}')

        placing = threading.Thread(target=place)
        placing.start()
        with (
            Served(tmp_path, bench=bench, statistics=lambda: {"world": address}),
            Client(tmp_path, timeout=120) as hand,
        ):
            assert not hand.status()["object"]["in_hand"]
            hand.place()
            assert hand.status()["object"]["in_hand"]
        placing.join()


def test_only_a_simulated_hand_puts_its_object_back(tmp_path: Path) -> None:
    with (
        Served(tmp_path),
        Client(tmp_path, timeout=120) as hand,
        pytest.raises(ClientError) as refused,
    ):
        hand.place()
    assert str(refused.value) == (
        "place: this hand is not simulated on this machine; put it in by hand"
    )
