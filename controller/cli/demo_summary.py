"""Options of the demonstration, and its summary."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from math import inf, pi
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tyro

from inhand.controller.client.connection import Message
from inhand.controller.errors import StartError
from inhand.perception.readout import Readout
from inhand.result import print_json


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
        hand: Name or file of the hand.
        object: Name or file of the object to turn.
        policy: Policy file, instead of the one that came with the program.
        eyes: What finds the object in the cameras' frames: its tags, or a network that looks at the
            colours and letters of its faces.
        network: File of the network, instead of the one that came with the program.
        real_time: Keep to real time, whether the machine can or not; else time goes slower then.
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
    hand: str = "dactyl24"
    object: str = "block"
    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    eyes: Literal["tags", "network"] = "tags"
    network: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    real_time: bool = False
    view: bool = False
    stay: bool = False
    json: bool = False

    def check(self) -> None:
        """Raises StartError if an option is out of range."""
        if not 1 <= self.goals <= 1000 or self.seed < 0:
            raise StartError("demo: --goals must be in 1..1000, --seed not negative")
        if not (0 < self.max_angle <= pi + 1e-9 and 0 < self.tolerance <= 3.15):
            raise StartError("demo: --max-angle must be in (0, 3.14159], --tolerance in (0, 3.15]")
        if not (self.minutes > 0 and 0 < self.timeout <= 3600):
            raise StartError("demo: --minutes must be above 0, --timeout in (0, 3600]")


@dataclass(frozen=True)
class Result:
    """How a goal ended.

    Attributes:
        outcome: `reached`, `missed`, `dropped`, or what else ended it.
        seconds: how long it took, of the hand's time.
        error: in the end [rad].
        quaternion: the goal, world from object, wxyz; empty if it had not begun.
        tries: how often it had its turn.
    """

    outcome: str
    seconds: float
    error: float
    quaternion: tuple[float, ...] = ()
    tries: int = 1


def summarize(
    results: list[Result],
    status: Message,
    options: Options,
    factor: float | None = None,
    trouble: str = "",
) -> None:
    """Prints how it went, as text or as JSON.

    Args:
        results: of all goals that had their turn.
        status: the daemon's, as far as it is known.
        options: of the demonstration.
        factor: how fast simulated time went, 1 for as fast as real time; None if time was real.
        trouble: why it ended early; empty if it did not.
    """
    reached = [result for result in results if result.outcome == "reached"]
    tick, latency = status.get("tick", {}), status.get("policy_latency") or {}
    if options.json:
        summary = {
            "reached": len(reached),
            "goals": [msgspec.to_builtins(result) for result in results],
            "on_time_share": tick.get("on_time_share"),
            "policy_latency": latency,
            "real_time_factor": factor,
            "trouble": trouble,
        }
        print_json(summary)
        return
    if trouble:
        say(f"ended early: {trouble}")
    with suppress(ZeroDivisionError):
        mean = sum(result.seconds for result in reached) / len(reached)
        say(f"mean time of a reached goal: {mean:.1f} s")
    policy = f"policy step {1000 * latency.get('p50', 0):.2f} ms"
    if factor is not None:
        say(f"speed: {factor:.2f} × real time, {policy}")
    elif tick:
        share = f"{100 * tick['on_time_share']:.2f} % of {tick['ticks']}"
        say(f"ticks on time: {share}, {policy}")
    if again := sum(result.tries > 1 for result in reached):
        say(f"{again} of them at the second try or later")
    say(f"reached {len(reached)}/{len(results)} goals")


def say(text: str) -> None:
    """Prints a line, over what is left of a progress line."""
    Readout(sys.stdout).clear()
    print(text, flush=True)
