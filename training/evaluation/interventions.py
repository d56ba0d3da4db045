"""`inhand interventions`: what a policy loses when its memory or its world changes in mid-trial.

A probe finds what a recurrent state encodes; an intervention finds whether the actions depend on
it. At one instant the recurrent states are set to zero or exchanged between worlds, the physics are
exchanged, or a servo fails, in otherwise identical trials. Goals and drops in the time after that
are compared (arXiv:1910.07113, section 8.2, does the same).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import tyro
from numpy.typing import NDArray

from inhand.controller.policy.files import shipped_policy
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.evaluation.intervention_arms import ARMS, change_memories, change_worlds
from inhand.training.evaluation.report import bootstrap
from inhand.training.evaluation.result_page import deliver
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors

MINIMUM = 20
"""Least number of trials that must reach the instant."""


class InterventionError(InhandError):
    """The arguments are invalid, or too few trials lasted."""


@dataclass(frozen=True)
class Trials:
    """What happened in worlds that go on until their first drop or time-out.

    Attributes:
        reached: whether a goal was reached in a step, (steps, worlds).
        alive: whether the trial was still going after a step, (steps, worlds).
    """

    reached: NDArray[np.bool_]
    alive: NDArray[np.bool_]


class Effect(msgspec.Struct, frozen=True):
    """One arm beside the trials in which nothing was changed, on the same worlds.

    Attributes:
        arm: of `ARMS`.
        goals: mean goals a world in the time after the instant.
        difference: mean of the worlds' differences in goals.
        interval: its 95 % interval, by bootstrap over worlds.
        drops: share of worlds whose trial ended in that time.
        recovery: goals a minute of the trials that go on, in each span of that length after the
            instant.
    """

    arm: str
    goals: float
    difference: float
    interval: tuple[float, float]
    drops: float
    recovery: tuple[float, ...]


class Report(msgspec.Struct, frozen=True):
    """The result.

    Attributes:
        begun: number of worlds at the start.
        n: number of worlds whose trial reached the instant.
        at: the instant [s].
        seconds: time after it that counts, and length of a span [s].
        by_second: goals a minute of the trials that go on, in each second from the start.
        effects: one for each arm.
    """

    policy: str
    sha256: str
    object: str
    scale: float
    seed: int
    begun: int
    n: int
    at: float
    seconds: float
    by_second: tuple[float, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Arguments:
    """Take a policy's memory away, or change its world, in mid-trial: what does that cost?

    Example: inhand interventions --policy policies/block.onnx

    Attributes:
        policy: ONNX file; by default the one that is shipped for the object.
        object: Name or file of the object.
        trials: Worlds to draw, the same for every intervention.
        at: When the intervention comes, from the start [s].
        seconds: Time after it in which goals and drops count [s].
        spans: Number of such times after the instant, to see how soon it recovers.
        scale: Of the universes; 1 is the published ranges.
        seed: Makes everything random repeatable.
        threads: Of the physics; 0 for all cores.
        output: Page to write.
        json: Print the result as JSON.
    """

    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    object: str = "block"
    trials: int = 500
    at: float = 10.0
    seconds: float = 5.0
    spans: int = 4
    scale: float = 1.0
    seed: int = 1
    threads: int = 0
    output: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("docs/interventions.md")
    json: bool = False


def run(policy: Policy, worlds: BatchEnvironment, given: Arguments, arm: str) -> Trials:
    """Lets the policy act in every world, with one intervention.

    Until the instant, the trials of all arms are identical.
    """
    sensors = Sensors(worlds, given.seed, policy.observation_version)
    rate, size = worlds.policy_rate, worlds.size
    policy.reset()
    memories = [policy.memory] * size
    actions = np.zeros((size, worlds.hand.n_actuators))
    alive = np.ones(size, dtype=np.bool_)
    reached_at, alive_at = [], []
    for step in range(round((given.at + given.spans * given.seconds) * rate)):
        if step == round(given.at * rate):
            change_memories(policy, memories, alive, arm)
            change_worlds(worlds, alive, arm, given.seed)
        seen = sensors.observe()
        for i in np.flatnonzero(alive):
            policy.memory = memories[i]
            actions[i] = policy.act(seen[i])
            memories[i] = policy.memory
        done = worlds.step(actions)
        reached_at.append(done.reached & alive)
        alive &= ~(done.dropped | done.timed_out)
        alive_at.append(alive.copy())
    return Trials(np.array(reached_at), np.array(alive_at))


def effects(trials: dict[str, Trials], rate: float, given: Arguments) -> tuple[Effect, ...]:
    """Every arm beside `nothing`.

    Raises:
        InterventionError: too few trials reached the instant.
    """
    instant = round(given.at * rate)
    base = trials["nothing"]
    going = np.flatnonzero(base.alive[instant - 1])
    if len(going) < MINIMUM:
        raise InterventionError(
            f"interventions: only {len(going)} of {base.alive.shape[1]} trials lasted "
            f"{given.at:g} s; take more trials or an earlier instant"
        )
    end = instant + round(given.seconds * rate)
    without = base.reached[instant:end, going].sum(0)
    found = []
    for arm, one in trials.items():
        goals = one.reached[instant:end, going].sum(0)
        difference = (goals - without).astype(np.float64)
        _, interval = bootstrap(difference, given.seed)
        drops = float((~one.alive[end - 1, going]).mean())
        after = Trials(one.reached[instant:], one.alive[instant:])
        recovery = rates(after, rate, given.seconds)
        mean = float(goals.mean())
        found.append(Effect(arm, mean, float(difference.mean()), interval, drops, recovery))
    return tuple(found)


def rates(trials: Trials, rate: float, seconds: float = 1.0) -> tuple[float, ...]:
    """Goals a minute of the trials that go on, in each whole span of `seconds` from the start."""
    steps = max(1, round(seconds * rate))
    goals, going = trials.reached.sum(1), trials.alive.sum(1)
    spans = len(goals) // steps
    return tuple(
        float(60.0 * rate * goals[i : i + steps].sum() / max(1, going[i : i + steps].sum()))
        for i in range(0, spans * steps, steps)
    )


def interventions(given: Arguments) -> Report:
    """Runs all arms.

    Raises:
        InterventionError: an argument is out of range, or too few trials lasted.
        PolicyError: the policy does not fit.
    """
    sane = given.trials >= MINIMUM and 0 < given.scale <= 10 and given.threads >= 0
    sane = sane and 1 <= given.spans <= 20 and given.seed >= 0
    if not (sane and 0.1 <= given.at <= 60 and 0.1 <= given.seconds <= 60):
        raise InterventionError(
            f"interventions: --trials must be at least {MINIMUM}, --at and --seconds in [0.1, 60], "
            "--spans in 1..20, --scale in (0, 10], --seed and --threads not negative"
        )
    hand, target = load_hand("dactyl24"), load_object(given.object)
    path = given.policy or shipped_policy(hand.name, target.name)
    policy = load_policy(path, hand, target, allowed=None)
    trials, rate = {}, 0.0
    for arm in ARMS:
        worlds = BatchEnvironment(hand, target, given.trials, given.threads, given.seed)
        worlds.harden(float(np.pi), given.scale)
        rate = worlds.policy_rate
        trials[arm] = run(policy, worlds, given, arm)
    instant = round(given.at * rate)
    base = trials["nothing"]
    return Report(
        policy=path.name,
        sha256=policy.sha256,
        object=target.name,
        scale=given.scale,
        seed=given.seed,
        begun=given.trials,
        n=int(base.alive[instant - 1].sum()),
        at=given.at,
        seconds=given.seconds,
        by_second=rates(base, rate)[: math.ceil(given.at)],
        effects=effects(trials, rate, given),
    )


def page(report: Report) -> str:
    """The report as a page of the documentation."""
    lines = [
        "# What it costs to lose the memory, or the world that was known",
        "",
        f"Written by `inhand interventions`. {report.policy} (SHA-256 {report.sha256})",
        f"turned the {report.object} in {report.begun} worlds of MuJoCo drawn at scale",
        f"{report.scale:g}, under noise and latency (seed {report.seed}). The trials of every row",
        f"are the same up to {report.at:g} s, which {report.n} of them reached; then comes the",
        f"intervention. Goals and drops in the {report.seconds:g} s after it [95 % interval of the",
        "difference, by bootstrap over worlds]:",
        "",
        "| at the instant | goals a world | difference | trials that ended |",
        "|---|---|---|---|",
    ]
    for one in report.effects:
        low, high = one.interval
        change = "–" if one.arm == "nothing" else f"{one.difference:+.2f} [{low:+.2f}, {high:+.2f}]"
        lines.append(f"| {ARMS[one.arm]} | {one.goals:.2f} | {change} | {100 * one.drops:.0f} % |")
    spans = len(report.effects[0].recovery)
    ends = [f"{i * report.seconds:g} to {(i + 1) * report.seconds:g} s" for i in range(spans)]
    lines += [
        "",
        "Goals a minute of the trials that go on, by the time after the instant. Trials that ended",
        "are left out, so that easier worlds remain from column to column:",
        "",
        f"| at the instant | {' | '.join(ends)} |",
        "|---" * (spans + 1) + "|",
        *(
            f"| {ARMS[one.arm]} | {' | '.join(f'{rate:.1f}' for rate in one.recovery)} |"
            for one in report.effects
        ),
        "",
        "Goals a minute in each second from the start, where nothing is changed: "
        + ", ".join(f"{rate:.0f}" for rate in report.by_second)
        + ".",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Entry point of `inhand interventions`."""
    given = tyro.cli(Arguments, prog="inhand interventions", config=(tyro.conf.FlagCreatePairsOff,))
    report = interventions(given)
    deliver("interventions", report, page(report), given.output, given.json)
    return 0
