"""The demonstration: a simulated hand turns the block to ten orientations, one after another."""

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from math import degrees, inf, pi
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w
import tyro

from inhand.controller.client.simulated import WorldClient, simulated_daemon, view_of
from inhand.controller.client.sync import Client, Message
from inhand.controller.errors import ClientError, RefusedError, StartError
from inhand.perception.readout import Readout

_HOMING = 1.5
"""Time for the hand to reach the rest pose, where an object can be put into it [s]."""

_SETTLING = 0.5
"""Time for the block to come to rest and to be seen after it was placed [s]."""

_SETTLE_TIMEOUT = 3.0
_PLACINGS = 4


@dataclass(frozen=True)
class Options:
    """Start a simulated hand and send it goals, one after another.

    Example: inhand demo --goals 3 --max-angle 1.5

    Attributes:
        goals: How many goals.
        minutes: Stop after so many minutes, whatever is left.
        max_angle: Largest angle of a goal from where the block is [rad]; pi is any orientation.
        seed: Seed of the goals and of the simulated world.
        tolerance: Largest error that counts as reached [rad].
        timeout: Seconds after which a goal counts as missed.
        object: Name or file of the object to turn.
        policy: Policy file, instead of the one that came with the program.
        view: Show the hand as a web page meanwhile, on which it can be commanded too.
        stay: Keep the hand running afterwards, until Ctrl-C.
        json: Print the summary as JSON.
    """

    goals: int = 10
    minutes: float = inf
    max_angle: float = pi
    seed: int = 1
    tolerance: float = 0.4
    timeout: float = 30.0
    object: str = "block"
    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    view: bool = False
    stay: bool = False
    json: bool = False


@dataclass(frozen=True)
class Result:
    """How a goal ended: `reached`, `missed` or `dropped`, after so many seconds, at this error."""

    outcome: str
    seconds: float
    error: float


def run(options: Options) -> int:
    """Runs the demonstration.

    Returns:
        The exit code: 0 if it ran through, however many goals were reached.

    Raises:
        StartError: the daemon did not come up.
        ClientError: the daemon was lost on the way.
        RefusedError: the daemon refused a request that the demonstration needs.
    """
    arguments = ["--seed", str(options.seed)]
    if options.policy is not None:
        arguments += ["--policy", str(options.policy)]
    with tempfile.TemporaryDirectory(prefix="inhand-") as name:
        directory = Path(name)
        config = directory / "inhand.toml"
        config.write_text(tomli_w.dumps({"object": options.object}))
        arguments += ["--config", str(config)]
        _say(f"starting inhandd --sim in {directory}")
        with ExitStack() as exits:
            exits.enter_context(simulated_daemon(directory, *arguments))
            if options.view:
                _say(exits.enter_context(view_of(directory)))
            client = exits.enter_context(Client(directory))
            results = turn(client, options)
            _summarize(results, client.status(), options)
            if options.stay:
                _stay(client, directory)
    return 0


def main() -> None:
    """Entry point of `python -m inhand.controller.cli.demo`."""
    try:
        sys.exit(run(tyro.cli(Options, prog="inhand demo", config=(tyro.conf.FlagCreatePairsOff,))))
    except (StartError, ClientError, RefusedError) as error:
        sys.exit(f"error: {error}")


def _stay(client: Client, directory: Path) -> None:
    """Keeps the daemon running for other clients until Ctrl-C."""
    _say(f"the hand is yours, with --directory {directory} too; Ctrl-C ends it")
    with suppress(KeyboardInterrupt):
        while True:
            client.status()
            time.sleep(1.0)


def turn(client: Client, options: Options) -> list[Result]:
    """Sends the goals, putting the block back after each drop."""
    deadline = time.monotonic() + 60 * options.minutes
    client.subscribe()
    results: list[Result] = []
    while len(results) < options.goals and time.monotonic() < deadline:
        _begin(client, options, len(results))
        _follow(client, options, results, deadline)
    return results


def _begin(client: Client, options: Options, done: int) -> None:
    """Sends the goals that are left, with the block in the hand."""
    for attempt in range(_PLACINGS):
        try:
            _make_holding(client)
            if attempt or not _wait(client, _block_in_hand):
                _place(client)
            client.call("arm")
            client.call(
                "random_goals",
                count=options.goals - done,
                max_angle=options.max_angle,
                seed=options.seed + done,
                tolerance=options.tolerance,
                timeout=options.timeout,
            )
            return
        except RefusedError:
            # The block may have slipped away again, or a fault may have come in between.
            if attempt == _PLACINGS - 1:
                raise


def _follow(client: Client, options: Options, results: list[Result], deadline: float) -> None:
    """Shows progress until all goals are over, the hand stops or the time is over."""
    started, error, shown = time.monotonic(), 0.0, 0.0
    patience = min(options.timeout * options.goals + 60.0, deadline - started)
    for topic, message in client.messages(patience):
        number = f"goal {len(results) + 1:2d}/{options.goals}"
        if topic == "state" and (goal := message["goal"]) is not None:
            error = goal["error"]
            if sys.stdout.isatty() and time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                Readout(sys.stdout).show(
                    f"{number}  {degrees(error):6.1f}° to go  {goal['seconds']:5.1f} s"
                )
        elif topic == "event":
            kind = message["kind"]
            if kind == "goal_started":
                started = time.monotonic()
                quaternion = ", ".join(f"{x:+.3f}" for x in message["quaternion"])
                _say(f"{number}  [{quaternion}]  {degrees(message['error']):6.1f}° away")
            elif kind in ("goal_reached", "goal_missed"):
                outcome = kind.removeprefix("goal_")
                _record(results, Result(outcome, message["seconds"], message["error"]), number)
            elif kind == "mode" and message["before"] == "running":
                if message["after"] == "ready" or len(results) >= options.goals:
                    return
                outcome = "dropped" if message["cause"] == "object_dropped" else message["cause"]
                _record(results, Result(outcome, time.monotonic() - started, error), number)
                return
    if time.monotonic() < deadline:
        raise ClientError("the daemon reported no end of the goals")
    client.call("cancel")


def _record(results: list[Result], result: Result, number: str) -> None:
    results.append(result)
    _say(f"{number}  {result.outcome} after {result.seconds:.1f} s at {degrees(result.error):.1f}°")


def _make_holding(client: Client) -> None:
    """Brings the hand into the mode `holding` from any other, also out of a fault that is over."""
    _wait(client, _joints_are_read)
    mode = client.status()["mode"]
    if mode in ("ready", "running"):
        client.call("disarm")
    elif mode != "holding":
        if mode != "off":
            client.call("clear")
        client.call("enable")
        client.call("home")
        time.sleep(_HOMING)


def _place(client: Client) -> None:
    """Puts the block into the hand, and waits until it is seen there."""
    client.call("home")
    time.sleep(_HOMING)
    with WorldClient(client.status()["world"]) as world:
        world.ask("place")
    time.sleep(_SETTLING)
    _wait(client, _block_in_hand)


def _joints_are_read(status: Message) -> bool:
    joints = status.get("joints")
    return joints is not None and joints["age"] < 0.1


def _block_in_hand(status: Message) -> bool:
    pose = status["object"]["pose"]
    return bool(status["object"]["in_hand"] and pose is not None and pose["age"] < 0.2)


def _wait(client: Client, what: Callable[[Message], bool]) -> bool:
    """Whether the daemon's status fulfilled a condition in time."""
    deadline = time.monotonic() + _SETTLE_TIMEOUT
    while time.monotonic() < deadline:
        if what(client.status()):
            return True
        time.sleep(0.1)
    return False


def _summarize(results: list[Result], status: Message, options: Options) -> None:
    reached = [result for result in results if result.outcome == "reached"]
    tick, latency = status["tick"], status["policy_latency"] or {}
    if options.json:
        summary = {
            "reached": len(reached),
            "goals": [msgspec.to_builtins(result) for result in results],
            "on_time_share": tick["on_time_share"],
            "policy_latency": latency,
        }
        print(msgspec.json.encode(summary).decode())
        return
    with suppress(ZeroDivisionError):
        mean = sum(result.seconds for result in reached) / len(reached)
        _say(f"mean time of a reached goal: {mean:.1f} s")
    _say(
        f"ticks on time: {100 * tick['on_time_share']:.2f} % of {tick['ticks']}, "
        f"policy step {1000 * latency.get('p50', 0):.2f} ms"
    )
    _say(f"reached {len(reached)}/{len(results)} goals")


def _say(text: str) -> None:
    Readout(sys.stdout).clear()
    print(text, flush=True)


if __name__ == "__main__":
    main()
