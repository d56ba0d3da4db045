"""A cluster that cannot be used is named in one sentence."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra `cluster`")

import ray
from ray.cluster_utils import Cluster

from inhand.training.cluster.connection import ClusterError, connected
from inhand.training.cluster.tasks import in_order
from inhand.training.evaluation.trials import EvaluationError
from tests.training.cluster.machines import (
    add_node,
    member_of,
    python_without,
    refused,
    squared,
    two_nodes,
)


def refusal(address: str, *modules: str) -> str:
    with pytest.raises(ClusterError) as error, connected(address, modules):
        pytest.fail("connected")
    text = str(error.value)
    assert "\n" not in text and text.startswith("--ray")
    return text


def test_no_head_is_found_out_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = refusal(f"127.0.0.1:{port}")
    assert "no Ray head answers there" in text and f"ray start --head --port {port}" in text


@pytest.mark.parametrize("address", ["nowhere", "ray://here:10001", "host:", "host:x", ":1"])
def test_a_malformed_address_is_refused(address: str) -> None:
    assert "HOST:PORT" in refusal(address)


def test_another_program_is_no_head() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]

        def answer() -> None:
            peer, _ = server.accept()
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.close()

        with ThreadPoolExecutor(1) as pool:
            answered = pool.submit(answer)
            assert "another program listens there" in refusal(f"127.0.0.1:{port}")
            answered.result()


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Cluster, Any]]:
    with two_nodes() as both:
        yield both


@pytest.mark.slow
def test_a_head_of_another_version_is_named(
    machines: tuple[Cluster, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray compares what the head has noted with this.
    monkeypatch.setattr(ray, "__version__", "2.50.1")
    text = refusal(machines[0].address, "inhand")
    assert f"the head has Ray {version('ray')}" in text and "this machine Ray 2.50.1" in text


@pytest.mark.slow
def test_a_worker_without_the_extra_is_named(
    machines: tuple[Cluster, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", python_without("mujoco", tmp_path))
    node = add_node(machines[0])
    try:
        text = refusal(machines[0].address, "inhand", "mujoco")
        assert "lacks mujoco" in text and "pip install 'inhand[train,cluster]'" in text
        # What is not needed may lack.
        with connected(machines[0].address, ["inhand"]):
            pass
    finally:
        machines[0].remove_node(node)


@pytest.mark.slow
def test_tasks_give_results_in_order_whatever_dies(machines: tuple[Cluster, Any]) -> None:
    numbers = range(12)
    with member_of(machines[0]):
        found = in_order(squared, numbers)
        results = [next(found)]
        node = add_node(machines[0])
        results += [next(found), next(found)]
        machines[0].remove_node(node)
        assert [*results, *found] == [number**2 for number in numbers]


@pytest.mark.slow
def test_the_error_of_a_task_is_the_users_error(machines: tuple[Cluster, Any]) -> None:
    with member_of(machines[0]), pytest.raises(EvaluationError, match="^eval: no trial 3$"):
        list(in_order(refused, [3]))
