"""Actors on a real cluster of two nodes are killed, stopped and hung; nothing comes twice."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra `cluster`")

import ray
from ray.cluster_utils import Cluster

from inhand.training.cluster.actors import ActorPool
from tests.training.cluster.machines import SlowStarter, Worker, add_node, member_of, two_nodes

pytestmark = pytest.mark.slow

ORDER: tuple[int, dict[int, float]] = (0, {})
LONG = 1000.0


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Cluster, Any]]:
    with two_nodes() as both, member_of(both[0]):
        yield both


@pytest.fixture
def pool(machines: tuple[Cluster, Any], tmp_path: Path) -> Iterator[ActorPool]:
    made = ActorPool(Worker, (tmp_path,), 2, patience=8.0)
    made.start()
    yield made
    made.stop()
    while ray.available_resources().get("CPU", 0) < ray.cluster_resources()["CPU"]:
        time.sleep(0.1)


def take(pool: ActorPool, count: int, order: Any = ORDER) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 600
    found = pool.take(count, ray.put(order), lambda _: True, lambda: time.monotonic() > deadline)
    assert len(found) == count, "no results within 600 s"
    return found


def until_both_work(pool: ActorPool) -> list[dict[str, Any]]:
    found = take(pool, 2)
    while pool.working < 2:
        found += take(pool, 1)
    return found


def until(pool: ActorPool, number: int, life: int) -> list[dict[str, Any]]:
    """Takes results until one of this place is from this life or a later one."""
    found = []
    while not any(r["name"][0] == number and r["name"][1] >= life for r in found):
        found += take(pool, 1)
    return found


def until_next(pool: ActorPool, number: int, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Until this place has begun anew; a start that took too long may have done so before."""
    life = max(result["name"][1] for result in found if result["name"][0] == number)
    return until(pool, number, life + 1)


def process_of(results: list[dict[str, Any]], number: int) -> int:
    return int([result["pid"] for result in results if result["name"][0] == number][-1])


def each_once(results: list[dict[str, Any]], folder: Path) -> None:
    names = [result["name"] for result in results]
    assert len(set(names)) == len(names)
    # The same call is never made again, also where its result was lost.
    ledger = (folder / "ledger").read_text().splitlines()
    assert len(set(ledger)) == len(ledger)
    assert {" ".join(map(str, name)) for name in names} <= set(ledger)


def test_a_killed_actor_begins_anew_and_its_call_is_lost(pool: ActorPool, tmp_path: Path) -> None:
    found = until_both_work(pool)
    before = process_of(found, 0)
    os.kill(before, signal.SIGKILL)
    found += until_next(pool, 0, found)
    assert pool.counts.lost >= 1 and pool.counts.repeated == 0
    assert process_of(found, 0) != before
    assert pool.counts.results == len(found)
    each_once(found, tmp_path)


def test_a_hung_actor_is_replaced(pool: ActorPool, tmp_path: Path) -> None:
    found = until_both_work(pool)
    before = process_of(found, 1)
    os.kill(before, signal.SIGSTOP)
    found += until_next(pool, 1, found)
    assert pool.counts.hung >= 1 and pool.counts.repeated == 0
    assert any(result["name"][0] == 0 for result in found), "the other one went on"
    each_once(found, tmp_path)


def test_an_actor_that_starts_slowly_is_not_ended_forever(
    machines: tuple[Cluster, Any], tmp_path: Path
) -> None:
    """On a machine with much other work, a start took longer than the patience, each time."""
    pool = ActorPool(SlowStarter, (tmp_path,), 1, patience=4.0)
    pool.start()
    try:
        deadline = time.monotonic() + 120
        order = ray.put(ORDER)
        found = pool.take(2, order, lambda _: True, lambda: time.monotonic() > deadline)
        assert len(found) == 2 and 1 <= pool.counts.hung <= 4
        each_once(found, tmp_path)
    finally:
        pool.stop()


def test_a_stopped_node_leaves_the_others_at_work_until_one_comes(
    pool: ActorPool, machines: tuple[Cluster, Any], tmp_path: Path
) -> None:
    cluster = machines[0]
    node = cluster.list_all_nodes()[-1]
    found = until_both_work(pool)
    lost = next(r["name"][0] for r in reversed(found) if r["node"] == node.node_id)
    before = pool.counts.lost
    cluster.remove_node(node)
    alone = take(pool, 20)
    while pool.counts.lost == before:
        alone += take(pool, 1)
    add_node(cluster)
    found += alone + until_next(pool, lost, found)
    assert pool.counts.repeated == 0
    each_once(found, tmp_path)


def test_old_results_are_dropped_and_counted(pool: ActorPool) -> None:
    until_both_work(pool)
    deadline = time.monotonic() + 600
    fresh = pool.take(
        4,
        ray.put((7, {})),
        lambda result: bool(result["version"] == 7),
        lambda: time.monotonic() > deadline,
    )
    assert [result["version"] for result in fresh] == [7] * 4
    assert 1 <= pool.counts.refused <= 2


def test_waiting_ends_when_asked(pool: ActorPool) -> None:
    began = time.monotonic()
    order = ray.put((0, {0: LONG, 1: LONG}))
    assert pool.take(1, order, lambda _: True, lambda: time.monotonic() > began + 2.0) == []
