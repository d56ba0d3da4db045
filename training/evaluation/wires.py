"""One trial in real time: `inhandd --sim` as processes, commanded over ZMQ.

Serial bytes, images and sockets are those of a robot. The true poses are those that the renderer
gets from the simulation.
"""

import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import tomli_w
import zmq

from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.client.world import WorldClient
from inhand.controller.errors import RefusedError
from inhand.controller.system.paths import world_states_address
from inhand.hardware.model.universe import Universe
from inhand.sim_backend.states import WorldState, decode_state
from inhand.training.evaluation.lockstep import SETTLE, START_TIMEOUT, Progress
from inhand.training.evaluation.trials import EvaluationError, Judge, Plan, Setup, Trial, plan_trial

STARTS = 3
"""Number of attempts to start a trial, if a fault comes before the first goal."""

HOMING = 2.0
"""Time for the hand to reach its rest pose from any other pose [s]."""

EVENT_DELAY = 0.1
"""States are scored this much later [s], since the events of their time arrive after them."""

SILENCE = 30.0
"""Time after a goal's time limit without an event, after which the trial is an error [s]."""

_GOALS_A_MESSAGE = 200


class Truth(msgspec.Struct, frozen=True):
    """True state of the simulation at one instant; quaternion wxyz, world from object."""

    t: float
    quaternion: tuple[float, float, float, float]
    dropped: bool
    slipped: float


class States:
    """True states of the object as the renderer gets them, 100 a second.

    A frame shows one of them, so that the true error of a frame is exact: an object that turns at
    3 rad/s turns by 0.03 rad in the 10 ms to the next one.

    Args:
        directory: of the daemon's sockets.
    """

    def __init__(self, directory: Path) -> None:
        self._address = world_states_address(directory)

    def __enter__(self) -> Self:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, 0)
        self._socket.subscribe(b"")
        self._socket.connect(self._address)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(linger=0)

    def take(self) -> list[WorldState]:
        """The states that came since the last call, the oldest first."""
        came = []
        while self._socket.poll(0):
            came.append(decode_state(self._socket.recv()))
        return came


def run_trial(setup: Setup, trial: int, progress: Progress | None = None) -> Trial:
    """Runs one trial in real time.

    Args:
        setup: what all trials share.
        trial: number of this one.
        progress: called once a second.

    Raises:
        InhandError: an input of the setup does not fit the others, or a process ended.
    """
    plan = plan_trial(setup, trial)
    judge = Judge(setup.rules)
    with tempfile.TemporaryDirectory(prefix="inhand-") as name:
        directory = Path(name)
        with _daemon(setup, plan, directory), Client(directory) as client:
            # Before its first tick the daemon's status has no more than that it is starting.
            _wait(lambda: "world" in client.status(), START_TIMEOUT, "no tick came")
            with WorldClient(client.status()["world"]) as world, States(directory) as states:
                _begin(client, world, plan, judge)
                slipped = _follow(client, world, states, judge, trial, progress)
    if slipped > 0:
        print(
            f"trial {trial}: the simulation fell {slipped:.2f} s behind real time; it still counts",
            file=sys.stderr,
        )
    return judge.result(trial)


@contextmanager
def _daemon(setup: Setup, plan: Plan, directory: Path) -> Iterator[None]:
    """Runs the daemon with its simulated hand, from ready until the end of the block."""
    universe, config = directory / "universe.toml", directory / "inhandd.toml"
    universe.write_text(universe_toml(plan.universe))
    sim = {"universe": str(universe), "seed": plan.world_seed}
    cameras = {"eyes": setup.eyes}
    settings = {
        "hand": setup.hand,
        "object": setup.object,
        "goals": {"unstick": setup.unstick},
        "cameras": cameras,
        "sim": sim,
    }
    config.write_text(tomli_w.dumps(settings))
    arguments = ["--real-time", "--config", str(config), "--policy", str(setup.policy)]
    with simulated_daemon(directory, *arguments):
        yield


def _truth(world: WorldClient) -> Truth:
    """The true state of the object now."""
    return msgspec.convert(world.ask("state"), Truth)


def universe_toml(universe: Universe) -> str:
    """TOML text of a universe, which `load_universe` reads."""
    return tomli_w.dumps(msgspec.to_builtins(universe))


def _begin(client: Client, world: WorldClient, plan: Plan, judge: Judge) -> None:
    """Puts the hand at rest and the object into it, arms, and requests all goals."""
    client.subscribe()
    _place(client, world, plan)
    deadline, starts = time.monotonic() + START_TIMEOUT, 1
    while refusal := _accepted(client, "arm"):
        status = client.status()
        if status["mode"] == "fault" and starts < STARTS:
            # A busy machine may cause a fault while processes start, before the first goal.
            print(f"starting again after a fault: {status['reason']}", file=sys.stderr)
            _wait(lambda: _accepted(client, "clear") == "", START_TIMEOUT, "the fault stayed")
            _place(client, world, plan)
            deadline, starts = time.monotonic() + START_TIMEOUT, starts + 1
            continue
        truth = _truth(world)
        judge.add_pose(truth.t, np.array(truth.quaternion), truth.dropped)
        if time.monotonic() > deadline:
            judge.stop(truth.t, f"{refusal} ({status['reason']})")
        if judge.end is not None:
            return
        time.sleep(0.05)
    rules = judge.rules
    terms = {"tolerance": rules.tolerance, "hold": rules.hold, "timeout": rules.timeout}
    goals = [{"quaternion": goal.tolist()} for goal in plan.goals]
    for first in range(0, len(goals), _GOALS_A_MESSAGE):
        client.call("goals", goals=goals[first : first + _GOALS_A_MESSAGE], **terms)


def _place(client: Client, world: WorldClient, plan: Plan) -> None:
    """Moves the hand to rest, places the object and waits until it has settled."""
    _wait(lambda: _accepted(client, "enable") == "", START_TIMEOUT, "the hand was not enabled")
    client.call("home")
    time.sleep(HOMING)
    world.ask("reset", quaternion=plan.start.tolist())
    # By then the pose from before the reset is too old for arming. The pose filter needs a little
    # longer until it accepts the object's new place.
    time.sleep(SETTLE)


def _follow(
    client: Client,
    world: WorldClient,
    states: States,
    judge: Judge,
    trial: int,
    progress: Progress | None,
) -> float:
    """Scores the trial until it ends; returns how far the simulation fell behind [s]."""
    first = _truth(world)
    past: deque[WorldState] = deque(states.take(), maxlen=100)
    waiting: deque[WorldState] = deque()
    events: deque[dict[str, Any]] = deque()
    last_event, shown, dropped_at = first.t, first.t, inf
    while judge.end is None:
        for topic, message in client.messages(0.01):
            if topic == "event":
                events.append(message)
        waiting.extend(states.take())
        truth = _truth(world)
        if truth.dropped:
            dropped_at = min(dropped_at, truth.t)
        while waiting and waiting[0].t <= truth.t - EVENT_DELAY:
            state = waiting.popleft()
            past.append(state)
            while events and events[0]["t"] <= state.t:
                event, last_event = events.popleft(), state.t
                then = min(past, key=lambda sample: abs(sample.t - event["t"]))
                judge.add_event(event["t"], event["kind"], event, np.array(then.quaternion))
            judge.add_pose(state.t, np.array(state.quaternion), state.t >= dropped_at)
        if truth.t - last_event > judge.rules.timeout + SILENCE:
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
