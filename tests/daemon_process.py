"""The daemon as a process, on a simulated hand with a policy that moves the fingers a little."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from inhand.controller.client.sync import Client
from inhand.controller.client.world import WorldClient
from inhand.controller.errors import RefusedError
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception.parent import environment
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")
PATIENCE = 300.0


class Daemon:
    """`inhandd --sim` with a policy that moves the fingers a little."""

    def __init__(self, directory: Path, *more: str, hand: Hand = HAND) -> None:
        self.directory, self.policy = directory / "run", directory / "tiny.onnx"
        built = tiny_policy.model(hand, scale=3.0)
        tiny_policy.write(self.policy, built, tiny_policy.metadata(hand, built))
        command = [sys.executable, "-m", "inhand.controller.runtime.daemon", "--sim"]
        command += ["--directory", str(self.directory), "--policy", str(self.policy), *more]
        config = directory / "inhandd.toml"
        # In real time, tests share the machine with others, and how punctual it is is not tested.
        config.write_text(f'hand = "{hand.name}"\n[safety]\njoint_ticks = 20\n')
        command += ["--config", str(config)]
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        try:
            self.wait(lambda: "inhandd ready" in self.log.read_text())
            with Client(self.directory, timeout=PATIENCE) as hand:
                self.wait(lambda: hand.status()["mode"] != "starting")
        except BaseException:
            # No fixture has it yet, to end it.
            self.kill()
            raise

    def wait(self, what: Callable[[], Any], patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not what():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def running(directory: Path) -> str:
    """Numbers of the processes that name this directory, a line each."""
    found = subprocess.run(["pgrep", "-f", str(directory)], capture_output=True, text=True)
    return found.stdout


def wait_until_nothing_runs(directory: Path) -> None:
    """Waits until no process names this directory any more; on a busy machine it takes a moment."""
    deadline = time.monotonic() + 120.0
    while found := running(directory):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def ask_world(address: str, type: str, **members: object) -> dict[str, Any]:
    with WorldClient(address) as world:
        return world.ask(type, **members)


def give_block(daemon: Daemon, hand: Client) -> None:
    """Opens the hand, puts the block in, and waits until the cameras see it there."""
    daemon.wait(lambda: is_holding(hand))
    world = hand.status()["world"]
    hand.call("home")
    let_pass(daemon, hand, 1.5)
    ask_world(world, type="place", quaternion=[1, 0, 0, 0])

    def found() -> bool:
        truth, seen = ask_world(world, type="state"), hand.status()["object"]
        if truth["dropped"]:
            # It rolled off fingers that were still on their way.
            ask_world(world, type="place", quaternion=[1, 0, 0, 0])
            return False
        if not seen["in_hand"]:
            return False
        away = zip(truth["position"], seen["pose"]["position"], strict=True)
        return all(abs(a - b) < 2e-3 for a, b in away)

    let_pass(daemon, hand, 0.5)
    daemon.wait(found)


def let_pass(daemon: Daemon, hand: Client, seconds: float) -> None:
    """Lets time pass for the hand, which lives in that of its world."""
    end = hand.status()["t"] + seconds
    daemon.wait(lambda: hand.status()["t"] >= end)


def is_holding(hand: Client) -> bool:
    """Whether the hand holds; if not, takes a step towards it, out of a fault too."""
    ways = {"off": "enable", "fault": "clear", "ready": "disarm", "running": "disarm"}
    mode = hand.status()["mode"]
    if mode in ways:
        # On a busy machine joints may be old again, which is a fault until they are not.
        with suppress(RefusedError):
            hand.call(ways[mode])
    return bool(mode == "holding")
