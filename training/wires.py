"""One trial over the wires: `inhandd --sim` as processes, in real time, commanded over ZMQ.

Bytes, images and sockets are those of a robot; the truth comes from the world's own socket.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

from controller.client import Client
from controller.errors import RefusedError
from hardware.records import Array
from sim_backend.universe import Universe
from training.lockstep import SETTLE, START_TIMEOUT, Progress
from training.trials import EvaluationError, Judge, Plan, Setup, Trial, plan_trial

UP_TIMEOUT = 90.0
"""How long daemon and simulated world may take to come up [s]."""

HOMING = 2.0
"""How long the hand takes to its rest pose, however it hung before [s]."""

SILENCE = 30.0
"""A daemon that says nothing so long after a goal's time is over is given up [s]."""

_GOALS_A_MESSAGE = 200


class Truth(msgspec.Struct, frozen=True):
    """What the world says of itself at one instant; quaternion wxyz, world from object."""

    t: float
    quaternion: tuple[float, float, float, float]
    dropped: bool
    slipped: float


class WorldSocket:
    """Asks the simulated world for what only a simulation can do or tell."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.connect(address)

    def close(self) -> None:
        """Closes the socket."""
        self._context.destroy(linger=0)

    def truth(self) -> Truth:
        """The object, now."""
        return msgspec.convert(self._ask({"type": "state"}), Truth)

    def reset(self, start: Array) -> None:
        """Puts the hand at rest and the object into it; `start` is wxyz, (4,)."""
        self._ask({"type": "reset", "quaternion": start.tolist()})

    def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        self._socket.send(msgspec.json.encode(request))
        if not self._socket.poll(10_000):
            raise EvaluationError(f"eval: the simulated world at {self._address} does not answer")
        reply: dict[str, Any] = msgspec.json.decode(self._socket.recv())
        if not reply["ok"]:
            raise EvaluationError(f"eval: the simulated world refused: {reply['error']}")
        return reply


def run_trial(setup: Setup, trial: int, progress: Progress | None = None) -> Trial:
    """Runs one trial in real time.

    Args:
        setup: what all trials share.
        trial: number of this one.
        progress: told about once a second.

    Raises:
        InhandError: something in the setup does not fit, or a process ended.
    """
    plan = plan_trial(setup, trial)
    judge = Judge(setup.rules)
    with tempfile.TemporaryDirectory(prefix="inhand-") as name:
        directory = Path(name)
        with _daemon(setup, plan, directory), Client(directory) as client:
            # Before its first tick the daemon answers that it is starting, and no more.
            _wait(lambda: "world" in client.status(), START_TIMEOUT, "no tick came")
            world = WorldSocket(client.status()["world"])
            try:
                _begin(client, world, plan, judge)
                slipped = _follow(client, world, judge, trial, progress)
            finally:
                world.close()
    if slipped > 0:
        print(
            f"trial {trial}: the machine was too slow by {slipped:.2f} s; it counts all the same",
            file=sys.stderr,
        )
    return judge.result(trial)


@contextmanager
def _daemon(setup: Setup, plan: Plan, directory: Path) -> Iterator[None]:
    """The daemon with its simulated hand, from ready to ended."""
    universe, config, log = (directory / n for n in ("universe.toml", "inhandd.toml", "log"))
    universe.write_text(universe_toml(plan.universe))
    config.write_text(
        f"hand = {json.dumps(setup.hand)}\nobject = {json.dumps(setup.object)}\n"
        f"[sim]\nuniverse = {json.dumps(str(universe))}\nseed = {plan.world_seed}\n"
    )
    command = [sys.executable, "-m", "controller.daemon", "--sim", "--config", str(config)]
    command += ["--directory", str(directory), "--policy", str(setup.policy)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)

    def ready() -> bool:
        if process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise EvaluationError(
                f"eval: inhandd ended while starting, and said: {said[-1].removeprefix('error: ')}"
            )
        return b"inhandd ready" in log.read_bytes()

    try:
        _wait(ready, UP_TIMEOUT, "inhandd was not ready")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def universe_toml(universe: Universe) -> str:
    """A universe as the file that `load_universe` reads."""
    fields = msgspec.to_builtins(universe)
    tables = {name: value for name, value in fields.items() if isinstance(value, dict)}
    # Numbers, truth values and lists of numbers look the same in JSON and in TOML.
    lines = [f"{k} = {json.dumps(v)}" for k, v in fields.items() if k not in tables]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _begin(client: Client, world: WorldSocket, plan: Plan, judge: Judge) -> None:
    """Puts the hand at rest and the object into it, arms, and asks for all goals."""
    client.subscribe()
    _wait(lambda: _accepted(client, "enable") == "", START_TIMEOUT, "the hand was not enabled")
    client.call("home")
    time.sleep(HOMING)
    world.reset(plan.start)
    # By then the pose from before is too old to arm on; the filter needs a little longer to
    # believe that the object is somewhere else now.
    time.sleep(SETTLE)
    deadline = time.monotonic() + START_TIMEOUT
    while refusal := _accepted(client, "arm"):
        truth = world.truth()
        judge.see(truth.t, np.array(truth.quaternion), truth.dropped)
        if time.monotonic() > deadline:
            judge.stop(truth.t, refusal)
        if judge.end is not None:
            return
        time.sleep(0.05)
    rules = judge.rules
    terms = {"tolerance": rules.tolerance, "hold": rules.hold, "timeout": rules.timeout}
    goals = [{"quaternion": goal.tolist()} for goal in plan.goals]
    for first in range(0, len(goals), _GOALS_A_MESSAGE):
        client.call("goals", goals=goals[first : first + _GOALS_A_MESSAGE], **terms)


def _follow(
    client: Client, world: WorldSocket, judge: Judge, trial: int, progress: Progress | None
) -> float:
    """Judges until the trial ends; returns the time the world has lost meanwhile [s]."""
    first = truth = world.truth()
    past = deque([truth], maxlen=100)
    events: deque[dict[str, Any]] = deque()
    heard = shown = first.t
    while judge.end is None:
        for topic, message in client.messages(0.01):
            if topic == "event":
                events.append(message)
        truth = world.truth()
        past.append(truth)
        while events and events[0]["t"] <= truth.t:
            event, heard = events.popleft(), truth.t
            then = min(past, key=lambda sample: abs(sample.t - event["t"]))
            judge.hear(event["t"], event["kind"], event, np.array(then.quaternion))
        judge.see(truth.t, np.array(truth.quaternion), truth.dropped)
        if truth.t - heard > judge.rules.timeout + SILENCE:
            raise EvaluationError("eval: the daemon reported no end of a goal; see `inhand status`")
        if progress and truth.t - shown >= 1.0:
            shown = truth.t
            progress(trial, len(judge.passed), truth.t - first.t)
    return truth.slipped - first.slipped


def _accepted(client: Client, request: str) -> str:
    """Sends a request; returns why it was refused, empty if it was not."""
    try:
        client.call(request)
    except RefusedError as error:
        return str(error)
    return ""


def _wait(condition: Callable[[], bool], patience: float, failure: str) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise EvaluationError(f"eval: {failure} within {patience:g} s")
        time.sleep(0.05)
