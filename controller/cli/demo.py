"""The demonstration: a simulated hand turns the block to ten orientations, one after another."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from math import degrees
from pathlib import Path

import tomli_w
import tyro

from inhand.controller.cli.demo_hand import (
    SetbackError,
    StoppedError,
    block_in_hand,
    make_holding,
    place,
    wait,
)
from inhand.controller.cli.demo_summary import Options, Result, say, summarize
from inhand.controller.client.connection import Message
from inhand.controller.client.simulated import hand_clock, simulated_daemon, view_of
from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, RefusedError, StartError
from inhand.controller.runtime.timed_hand import TimedHand
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.perception.readout import Readout

_BEGINNING = 0.1
"""How long after its first tick the hand is told something [s]."""

_LOOK = 0.05
"""Time between two looks at the hand [s]."""

_BEGINNINGS = 6
"""How often it begins anew without getting anywhere."""

_ANSWER_TIMEOUT = 60.0
"""How long a busy machine may take to answer [s]."""

_TRIES = 3
"""How often a goal that is not reached has its turn."""


def run(options: Options) -> int:
    """Runs the demonstration; whatever happens on the way, it ends with its summary.

    Returns:
        The exit code: 0 if all goals had their turn, however many were reached, or the time was
        over; 1 if it ended before.

    Raises:
        StartError: an option is out of range, or the daemon did not come up.
        ClientError: the daemon cannot be reached after its start.
    """
    options.check()
    arguments = ["--seed", str(options.seed), "--real-time" if options.real_time else "--hold"]
    if options.policy is not None:
        arguments += ["--policy", str(options.policy)]
    with tempfile.TemporaryDirectory(prefix="inhand-") as name:
        directory = Path(name)
        config = directory / "inhand.toml"
        cameras: dict[str, str] = {"eyes": options.eyes}
        if options.network is not None:
            cameras |= {"eyes": "network", "network": str(options.network.absolute())}
        config.write_text(
            tomli_w.dumps({"hand": options.hand, "object": options.object, "cameras": cameras})
        )
        arguments += ["--config", str(config)]
        say(f"starting inhandd --sim in {directory}")
        with ExitStack() as exits:
            exits.enter_context(simulated_daemon(directory, *arguments))
            if options.view:
                say(exits.enter_context(view_of(directory)))
            client = exits.enter_context(Client(directory, timeout=_ANSWER_TIMEOUT))
            with hand_clock(directory, real_time=options.real_time) as clock:
                trouble = _demonstrate(client, options, clock)
            if options.stay:
                _keep_running(client, directory)
    return 1 if trouble else 0


def _demonstrate(client: Client, options: Options, clock: Clock) -> str:
    """Runs all goals and prints the summary; returns why it ended early, else an empty text."""
    results: list[Result] = []
    status: Message = {}
    trouble, began, real = "", clock.now(), time.monotonic()
    try:
        turn(client, options, clock, results)
        deadline = began + 60 * options.minutes
        for _ in range(_TRIES - 1):
            repeat_missed_goals(client, options, clock, results, deadline)
    except (ClientError, SetbackError, StoppedError) as error:
        trouble = str(error)
    factor = (clock.now() - began) / (time.monotonic() - real)
    with suppress(ClientError):
        status = client.status()
    summarize(results, status, options, None if options.real_time else factor, trouble)
    return trouble


def main() -> None:
    """Entry point of `python -m inhand.controller.cli.demo`."""
    try:
        sys.exit(run(tyro.cli(Options, prog="inhand demo", config=(tyro.conf.FlagCreatePairsOff,))))
    except (StartError, ClientError) as error:
        sys.exit(f"error: {error}")


def _keep_running(client: Client, directory: Path) -> None:
    """Keeps the daemon running for other clients until Ctrl-C."""
    say(f"the hand is yours, with --directory {directory} too; Ctrl-C ends it")
    with suppress(KeyboardInterrupt, ClientError):
        # The page and other programs command from now on.
        client.call("control", action="release")
        while True:
            client.status()
            time.sleep(1.0)


def turn(
    client: Client,
    options: Options,
    clock: Clock | None = None,
    results: list[Result] | None = None,
) -> list[Result]:
    """Gives each goal its turn; whatever ends one of them, the hand begins anew with the rest.

    Args:
        client: of the daemon.
        options: of the demonstration.
        clock: the daemon's; CLOCK_MONOTONIC if not given.
        results: where results are added as they come.

    Returns:
        The results.

    Raises:
        ClientError: the daemon is lost.
        SetbackError: the hand did not get ready again, several times in a row.
        StoppedError: somebody has pressed the emergency stop.
    """
    hand = TimedHand(client, clock or MonotonicClock())
    results = [] if results is None else results
    # Whatever came before: from here on all happens between two ticks.
    hand.sleep(_BEGINNING)
    hand.events()
    terms = {"tolerance": options.tolerance, "timeout": options.timeout}

    def ask(todo: list[int]) -> None:
        count, seed = len(todo), options.seed + todo[0]
        angle = options.max_angle
        hand.call("random_goals", count=count, max_angle=angle, seed=seed, **terms)

    deadline = hand.now() + 60 * options.minutes
    for number, result in _work(hand, options, list(range(options.goals)), ask, deadline):
        assert number == len(results)
        results.append(result)
    return results


def repeat_missed_goals(
    client: Client, options: Options, clock: Clock | None, results: list[Result], seconds: float
) -> None:
    """Gives each goal that was not reached another turn, and puts how it ended in its place.

    Args:
        client: of the daemon.
        options: of the demonstration.
        clock: the daemon's; CLOCK_MONOTONIC if not given.
        results: of all goals; changed in place.
        seconds: until when [s of the clock].

    Raises:
        ClientError: see `turn`.
        SetbackError: see `turn`.
        StoppedError: see `turn`.
    """
    hand = TimedHand(client, clock or MonotonicClock())
    hand.events()
    terms = {"tolerance": options.tolerance, "timeout": options.timeout}

    def ask(todo: list[int]) -> None:
        goals = [{"quaternion": results[number].quaternion} for number in todo]
        hand.call("goals", goals=goals, **terms)

    todo = [i for i, r in enumerate(results) if r.outcome != "reached" and r.quaternion]
    for number, result in _work(hand, options, todo, ask, seconds):
        results[number] = replace(result, tries=results[number].tries + 1)


def _work(
    hand: TimedHand,
    options: Options,
    todo: list[int],
    ask: Callable[[list[int]], None],
    deadline: float,
) -> Iterator[tuple[int, Result]]:
    """Has goals worked on, and yields which one has ended, and how."""
    setbacks = 0
    while todo and hand.now() < deadline:
        left = len(todo)
        try:
            make_holding(hand)
            if setbacks or not wait(hand, block_in_hand):
                place(hand)
            hand.call("arm")
            ask(todo)
            for result in _follow(hand, options, todo, deadline):
                yield todo.pop(0), result
        except (RefusedError, SetbackError) as error:
            setbacks = 1 if len(todo) < left else setbacks + 1
            if setbacks >= _BEGINNINGS:
                raise SetbackError(f"the hand did not get ready: {error}") from error
            say(f"{error}; beginning anew")
        else:
            setbacks = 0


def _follow(
    hand: TimedHand, options: Options, todo: list[int], deadline: float
) -> Iterator[Result]:
    """Shows progress until all goals are over, the hand stops or the time is over."""
    started, error, shown = hand.now(), 0.0, 0.0
    quaternion: tuple[float, ...] = ()
    patience = started + options.timeout * len(todo) + 60.0
    while hand.now() < min(patience, deadline):
        hand.sleep(_LOOK)
        status = hand.status()
        if (goal := status["goal"]) is not None:
            error = goal["error"]
            if sys.stdout.isatty() and time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                to_go = f"{degrees(error):6.1f}° to go  {goal['seconds']:5.1f} s "
                Readout(sys.stdout).show(f"{_number(options, todo)}  {to_go}")
        for event in hand.events():
            number, kind = _number(options, todo), event["kind"]
            if kind == "goal_started":
                started, quaternion = event["t"], tuple(event["quaternion"])
                numbers = ", ".join(f"{x:+.3f}" for x in quaternion)
                say(f"{number}  [{numbers}]  {degrees(event['error']):6.1f}° away")
            elif kind in ("goal_reached", "goal_missed"):
                outcome = kind.removeprefix("goal_")
                yield _printed(
                    number, Result(outcome, event["seconds"], event["error"], quaternion)
                )
            elif kind == "mode" and event["before"] == "running":
                if event["after"] == "ready" or not todo:
                    return
                outcome = "dropped" if event["cause"] == "object_dropped" else event["cause"]
                yield _printed(number, Result(outcome, event["t"] - started, error, quaternion))
                if outcome != "dropped":
                    say(f"the hand stopped: {event['reason']}; going on")
                return
    with suppress(RefusedError):
        hand.call("cancel")
    if hand.now() < deadline:
        raise SetbackError("the daemon reported no end of the goals")


def _number(options: Options, todo: list[int]) -> str:
    return f"goal {todo[0] + 1:2d}/{options.goals}" if todo else ""


def _printed(number: str, result: Result) -> Result:
    say(f"{number}  {result.outcome} after {result.seconds:.1f} s at {degrees(result.error):.1f}°")
    return result


if __name__ == "__main__":
    main()
