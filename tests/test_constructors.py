"""Constructors acquire no resources: no file, socket, process, thread or shared memory."""

import ast
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inhand import AsyncClient, Client
from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.controller.system.child_process import Child

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (
    "benchmarks",
    "controller",
    "hardware",
    "inhand",
    "perception",
    "sim_backend",
    "training",
)

ACQUIRING = {
    *("open", "Popen", "socket", "socketpair", "mmap", "openpty", "eventfd", "pipe", "pipe2"),
    *("VideoCapture", "Serial", "bind", "connect", "start", "Context", "instance", "shm_open"),
}
"""Functions and methods that acquire a resource. A `start` with arguments starts no thread."""

IN_MEMORY = ("pybullet.connect", "self._batch.bind", "self.physics.bind")
"""Calls that only make objects in memory, which `close` of the object frees."""


def acquired(constructor: ast.FunctionDef) -> Iterator[str]:
    """The calls in a constructor that acquire a resource."""
    for call in ast.walk(constructor):
        if isinstance(call, ast.Call):
            function = ast.unparse(call.func)
            name = function.rpartition(".")[2]
            if name == "start" and call.args:
                continue
            if name in ACQUIRING and function not in IN_MEMORY:
                yield function


def test_no_constructor_calls_what_acquires_a_resource() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {kind.name}: {call}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for kind in ast.walk(ast.parse(path.read_text()))
        if isinstance(kind, ast.ClassDef)
        for method in kind.body
        if isinstance(method, ast.FunctionDef) and method.name in ("__init__", "__post_init__")
        for call in acquired(method)
    ]
    assert not found


@pytest.mark.parametrize(
    "construct",
    [
        Client,
        AsyncClient,
        RequestQueue,
        lambda: CameraInbox(Path("/nowhere"), ["left"]),
        lambda: Child("child", ["-c", "pass"]),
    ],
)
def test_a_constructor_opens_no_file_and_starts_no_thread(construct: Callable[[], object]) -> None:
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    made = construct()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    del made
