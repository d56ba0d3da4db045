"""The connection to a Ray cluster, and the check that its machines can do the work."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from inhand.errors import InhandError

LOCAL = "local"
"""The address of a cluster that is started on this machine and ends with the program."""

CONNECT_SECONDS = 5.0
CHECK_SECONDS = 120.0

_STORE_BYTES = 512 << 20
"""Memory for objects of a local cluster: some versions of weights and some chunks."""

_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_HTTP2_SETTINGS = b"\x04"
"""Of a connection to Ray's head, which speaks gRPC (RFC 9113, section 3.4)."""

_SAME = "inhand", "mujoco", "torch", "onnxruntime"
"""Packages whose version must be that of the learner, where both have them."""

_EXTRA_OF = {
    "inhand": "train,cluster",
    "mujoco": "train,cluster",
    "torch": "train,cluster",
    "pybullet": "sim,cluster",
    "pydrake": "drake,cluster",
}


class ClusterError(InhandError):
    """A cluster cannot be reached, or its machines cannot do the work."""


@contextmanager
def connected(
    address: str, modules: Sequence[str], processors: int | None = None
) -> Iterator[None]:
    """Connects to a cluster, and leaves it at the end.

    Args:
        address: HOST:PORT of the head, or `local`.
        modules: what each machine must be able to import, besides Ray.
        processors: CPUs of a local cluster; None: those of this machine.

    Raises:
        ClusterError: there is no such cluster, it has other versions, or a machine lacks a module.
    """
    # Ray reports its use to its makers unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A number of GPUs that a task does not ask for is hidden from it by default.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if ray.is_initialized():
        raise ClusterError("--ray: this program is connected to a cluster already")
    _connect(address, processors)
    try:
        check_nodes(modules)
        yield
    finally:
        ray.shutdown()


def _connect(address: str, processors: int | None) -> None:
    # By default, workers of Ray yield the CPU to every other program, which starves them.
    os.environ.setdefault("RAY_worker_niceness", "0")  # noqa: SIM112  (its name)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        quiet |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
        ray.init(address=LOCAL, num_cpus=processors, **quiet)
        return
    _knock(address)
    try:
        ray.init(address=address, **quiet)
    except RuntimeError as error:
        raise ClusterError(f"--ray {address}: {_reason(error)}") from error
    except (ConnectionError, ValueError, RayError) as error:
        raise ClusterError(
            f"--ray {address}: this machine is no node of that cluster ({first_line(error)}); run "
            f"`ray start --address {address}` on it first"
        ) from error


def _knock(address: str) -> None:
    """Finds out whether a gRPC server listens; Ray itself tries for minutes, and then exits.

    Raises:
        ClusterError: the address is malformed, or no such server listens there.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536) or "/" in host:
        raise ClusterError(
            f"--ray {address}: give `{LOCAL}`, or HOST:PORT of the head as `ray start` printed it"
        )
    try:
        with socket.create_connection((host, int(port)), CONNECT_SECONDS) as peer:
            peer.sendall(_HTTP2_GREETING)
            # A gRPC server greets with its settings: 3 bytes of length, then the type.
            if peer.recv(9)[3:4] != _HTTP2_SETTINGS:
                raise OSError("another program listens there")
    except OSError as error:
        raise ClusterError(
            f"--ray {address}: no Ray head answers there ({error}); start one on that machine with "
            f"`ray start --head --port {port}`"
        ) from error


def _reason(error: RuntimeError) -> str:
    """One sentence of Ray's error about other versions, or of another one."""
    lines = [line.strip() for line in str(error).splitlines()]
    found = [line.partition(": ")[2] for line in lines if line.startswith(("Ray: ", "Python: "))]
    if len(found) == 4:
        theirs, their_python, mine, my_python = found
        return (
            f"the head has Ray {theirs} on Python {their_python}, this machine Ray {mine} on "
            f"Python {my_python}; install the same versions on all machines"
        )
    return f"{first_line(error)}; look at the head with `ray status`"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop; of its cause in a task."""
    if isinstance(error, RayTaskError):
        error = error.cause
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def alive_nodes() -> list[dict[str, Any]]:
    """Ray's records of the machines that are there."""
    return [node for node in ray.nodes() if node["Alive"]]


def cpus() -> int:
    """Number of CPUs of the machines that are there."""
    return int(ray.cluster_resources().get("CPU", 0))


def check_nodes(modules: Sequence[str]) -> None:
    """Tries on each machine to import what the work needs, and compares versions.

    Raises:
        ClusterError: a machine lacks a module or has another version.
    """
    look = ray.remote(num_cpus=0, max_retries=0)(_look())
    wanted = {name: _version(name) for name in _SAME}
    asked = {}
    for node in alive_nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        reference = look.options(scheduling_strategy=there).remote(list(modules), list(_SAME))
        asked[reference] = node["NodeManagerAddress"]
    for reference, host in asked.items():
        try:
            missing, versions = ray.get(reference, timeout=CHECK_SECONDS)
        except RayError as error:
            raise ClusterError(
                f"--ray: worker {host} cannot run Python here ({first_line(error)}); look at it "
                "with `ray status`, or take it out of the cluster"
            ) from error
        if missing:
            extra = _EXTRA_OF.get(missing, "train,cluster")
            raise ClusterError(
                f"--ray: worker {host} lacks {missing}; install it there with `pip install "
                f"'inhand[{extra}]'`, in the Python that runs `ray start`"
            )
        for name, version in versions.items():
            if version != wanted[name]:
                raise ClusterError(
                    f"--ray: worker {host} has {name} {version}, this machine {wanted[name]}; "
                    "install the same version on all machines"
                )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _look() -> Callable[[list[str], list[str]], tuple[str, dict[str, str]]]:
    """A function that needs nothing of inhand where it runs: it is sent by value."""

    def look(modules: list[str], packages: list[str]) -> tuple[str, dict[str, str]]:
        import importlib
        from importlib import metadata

        for name in modules:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                return (error.name or name).partition(".")[0], {}
        found = {}
        for name in packages:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return "", found

    return look
