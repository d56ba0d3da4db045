"""Fifty thousand mutated requests from two hundred clients: each has one reply, memory is flat."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import zmq

from benchmarks.latency import Running, ready, running
from inhand.controller.client.sync import Client
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from tests.controller.served import Asker
from tests.controller.served_apart import ServedApart
from tests.fuzz.flooder import CLIENTS, EACH

MEGABYTE = 1_000_000
PATIENCE = 120.0
HAND = load_hand("dactyl24")

pytestmark = pytest.mark.slow


def flooder(directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.fuzz.flooder", str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_each_has_one_reply_and_memory_is_flat(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with ServedApart(tmp_path) as apart:
        before = apart.memory()
        with flooder(tmp_path) as flood:
            said, _ = flood.communicate(timeout=600)
        assert flood.returncode == 0 and int(said) == CLIENTS * EACH
        grown = apart.memory() - before
        print(f"{said.strip()} requests from {CLIENTS} clients: {grown} bytes more")
        assert grown < 20 * MEGABYTE
        assert Asker(context, tmp_path).ask("estop")["mode"] == "estop"
    context.destroy(linger=0)


def test_the_hand_goes_on_turning_the_block() -> None:
    """A commander starts the hand again after each stop that a mutated request asked for."""
    with running() as daemon, Client(daemon.directory, timeout=120) as client:
        turn(daemon, client, over=lambda: client.status()["reached"] > 0)
        before = memory(daemon)
        began = time.monotonic()
        with flooder(daemon.directory) as flood:
            lost, reached = turn(daemon, client, over=lambda: flood.poll() is not None)
            said = flood.communicate()[0]
        assert flood.returncode == 0 and int(said) == CLIENTS * EACH
        grown, seconds = memory(daemon) - before, time.monotonic() - began
        end = time.monotonic() + seconds
        beside, later = turn(daemon, client, over=lambda: time.monotonic() > end)
        # The flood is over within seconds on some machines, before a goal is reached.
        done, last = client.status()["reached"], time.monotonic() + PATIENCE
        if reached + later == 0:

            def over() -> bool:
                return client.status()["reached"] > done or time.monotonic() > last

            later = turn(daemon, client, over=over)[1]
    print(
        f"{said.strip()} requests in {seconds:.0f} s: {lost} ticks lost, {beside} in as long "
        f"without; {reached} goals reached, {later} later; {grown} bytes more"
    )
    assert reached + later > 0 and grown < 20 * MEGABYTE


def turn(daemon: Running, client: Client, over: Callable[[], bool]) -> tuple[int, int]:
    """Keeps the hand turning until `over`; returns ticks lost, and goals reached."""
    # Before the first tick there is no state.
    while "tick" not in (first := client.status()):
        time.sleep(0.02)
    while not over():
        status = client.status()
        targets = np.array(status["targets"])
        if status["torque"]:
            assert (targets >= HAND.lower - 1e-9).all() and (targets <= HAND.upper + 1e-9).all()
        if status["mode"] != "running":
            # A mutated request may change the mode between two requests.
            with suppress(InhandError):
                ready(client)
                client.call("random_goals", count=0)
        time.sleep(0.02)
    last = client.status()
    return (
        last["tick"]["skipped"] - first["tick"]["skipped"],
        last["reached"] - first["reached"],
    )


def memory(daemon: Running) -> int:
    """Resident memory of the daemon [bytes]."""
    pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
