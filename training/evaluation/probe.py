"""`inhand probe`: what the policy's recurrent state encodes of its world after a few seconds.

From Dactyl's recurrent state after 5 s, 80 % of blocks were correctly labelled bigger or smaller
than nominal (arXiv:1808.00177, section 6.6). The same linear probe of the last observation alone
is the baseline: the difference is what only the recurrent state encodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import tyro

from inhand.controller.policy.files import SHIPPED
from inhand.controller.policy.runtime import load_policy
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription, load_object
from inhand.training.evaluation.logistic import Labels, held_out_hits, wilson
from inhand.training.evaluation.packed_files import written
from inhand.training.evaluation.result_page import deliver
from inhand.training.evaluation.workers import cluster, spread
from inhand.training.mujoco_worlds.draws import NOMINAL_EVERY
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors

QUESTIONS = {
    "object bigger than nominal": "object_size",
    "object heavier than nominal": "object_mass",
    "object less slippery than nominal": "friction",
}
"""Questions, and the universe's field that is above 1 if the answer is yes."""

PART = 250
"""Trials that run in one batch."""

MINIMUM = 50
"""Least number of trials for a meaningful share."""


class ProbeError(InhandError):
    """The arguments of a probe are invalid, or too few trials lasted."""


@dataclass(frozen=True)
class Sample:
    """Trials that had not ended when the time was over.

    Attributes:
        memory: hidden and cell state, (n, 2 · hidden).
        observation: the last observation, (n, inputs).
        universes: of each trial, in order.
        begun: number of trials at the start.
    """

    memory: Array
    observation: Array
    universes: tuple[Universe, ...]
    begun: int


class Answer(msgspec.Struct, frozen=True):
    """Accuracy of the probe for one question on held-out trials; intervals are 95 %.

    Attributes:
        question: what was asked.
        memory: share of correct answers from the recurrent state.
        memory_interval: its confidence interval.
        observation: share of correct answers from the last observation alone.
        observation_interval: its confidence interval.
        majority: share of the more frequent answer, which needs no probe.
    """

    question: str
    memory: float
    memory_interval: tuple[float, float]
    observation: float
    observation_interval: tuple[float, float]
    majority: float


class Report(msgspec.Struct, frozen=True):
    """The result: policy, conditions, number of trials, and the answers."""

    policy: str
    sha256: str
    object: str
    seconds: float
    scale: float
    seed: int
    begun: int
    n: int
    answers: tuple[Answer, ...]


class Part(msgspec.Struct, frozen=True):
    """Some of the trials: what they give depends on this alone.

    Attributes:
        name: of the ONNX file.
        policy: its content.
        target: the object.
        trials: number of worlds to draw.
        seconds: duration of each trial [s].
        scale: of the universes.
        seed: of everything random.
        threads: of the physics; 0 for all cores.
    """

    name: str
    policy: bytes
    target: ObjectDescription
    trials: int
    seconds: float
    scale: float
    seed: int
    threads: int


def parts_of(given: "Arguments", policy: Path, target: ObjectDescription) -> list[Part]:
    """The trials in parts of `PART`, however many processes there are."""
    sizes = [min(PART, given.trials - at) for at in range(0, given.trials, PART)]
    seeds = np.random.SeedSequence(given.seed).generate_state(len(sizes)).tolist()
    content = policy.read_bytes()
    threads = 0 if given.jobs == 1 and not given.ray else 1
    return [
        Part(policy.name, content, target, size, given.seconds, given.scale, seed, threads)
        for size, seed in zip(sizes, seeds, strict=True)
    ]


def joined(samples: Sequence[Sample]) -> Sample:
    """One sample of several."""
    return Sample(
        memory=np.concatenate([one.memory for one in samples]),
        observation=np.concatenate([one.observation for one in samples]),
        universes=tuple(universe for one in samples for universe in one.universes),
        begun=sum(one.begun for one in samples),
    )


def collect(part: Part) -> Sample:
    """Runs the policy in drawn worlds, goal after goal; returns its last recurrent states."""
    hand, target, trials, seconds = load_hand("dactyl24"), part.target, part.trials, part.seconds
    scale, seed = part.scale, part.seed
    policy = load_policy(written(part.policy, part.name), hand, target, allowed=None)
    # Some worlds of a batch are nominal: they are no sample for any question.
    size = -(-trials * NOMINAL_EVERY // (NOMINAL_EVERY - 1)) + 1
    worlds = BatchEnvironment(hand, target, size, part.threads, seed)
    worlds.harden(float(np.pi), scale)
    sensors = Sensors(worlds, seed, policy.observation_version)
    alive = np.arange(size) % NOMINAL_EVERY != 0
    policy.reset()
    memories = [policy.memory] * size
    actions = np.zeros((size, hand.n_actuators))
    seen = sensors.observe()
    for _ in range(max(1, round(seconds * worlds.policy_rate))):
        for i in np.flatnonzero(alive):
            policy.memory = memories[i]
            actions[i] = policy.act(seen[i])
            memories[i] = policy.memory
        step = worlds.step(actions)
        alive &= ~(step.dropped | step.timed_out)
        last, seen = seen, sensors.observe()
    going = np.flatnonzero(alive)
    return Sample(
        memory=np.array([np.ravel(memories[i]) for i in going], dtype=np.float64).reshape(
            len(going), -1
        ),
        observation=last[going].astype(np.float64),
        universes=tuple(worlds.universes[i] for i in going),
        begun=int(np.sum(np.arange(size) % NOMINAL_EVERY != 0)),
    )


def answer(question: str, sample: Sample, seed: int = 0) -> Answer:
    """Answers a question from the recurrent states, and from the observations."""
    values = np.array([getattr(universe, QUESTIONS[question]) for universe in sample.universes])
    labels: Labels = values > 1.0
    n, shares = len(labels), []
    for features in (sample.memory, sample.observation):
        hits = int(held_out_hits(features, labels, seed).sum())
        shares.append((hits / n, wilson(hits, n)))
    (memory, memory_interval), (observation, observation_interval) = shares
    majority = float(max(labels.mean(), 1 - labels.mean()))
    return Answer(question, memory, memory_interval, observation, observation_interval, majority)


def page(report: Report) -> str:
    """The report as a page of the documentation."""
    lines = [
        "# What the policy's memory encodes of its world",
        "",
        f"Written by `inhand probe`. {report.policy} (SHA-256 {report.sha256}) turned the",
        f"{report.object} for {report.seconds:g} s, goal after goal, in {report.begun} worlds of",
        f"MuJoCo drawn at scale {report.scale:g}, under noise and latency (seed {report.seed});",
        f"{report.n} trials had not ended. Share of correct answers of a linear probe (logistic",
        "regression) on held-out trials [95 % confidence]:",
        "",
        "| question | from the memory | from the last observation alone | more frequent answer |",
        "|---|---|---|---|",
    ]
    for one in report.answers:
        memory, observation = (
            f"{100 * share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
            for share, (low, high) in (
                (one.memory, one.memory_interval),
                (one.observation, one.observation_interval),
            )
        )
        cells = (one.question, memory, observation, f"{100 * one.majority:.0f} %")
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "From Dactyl's memory, 80 % of sizes were answered correctly (arXiv:1808.00177, section",
        "6.6). A share like that of the more frequent answer means that a linear probe finds",
        "nothing in the memory.",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Arguments:
    """Probe a policy's memory: does it encode whether the object is bigger, heavier, slippery?

    Example: inhand probe --policy policies/block.onnx

    Attributes:
        policy: ONNX file; by default the one that is shipped for the object.
        object: Name or file of the object.
        trials: Worlds to draw.
        seconds: How long the policy acts in each.
        scale: Of the universes; 1 is the published ranges.
        seed: Makes everything random repeatable.
        jobs: Processes at a time; results do not depend on it.
        ray: Spread trials over a Ray cluster: HOST:PORT of its head, or `local`.
        output: Page to write.
        json: Print the result as JSON.
    """

    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    object: str = "block"
    trials: int = 2000
    seconds: float = 5.0
    scale: float = 1.0
    seed: int = 1
    jobs: int = 1
    ray: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = ""
    output: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("docs/probe.md")
    json: bool = False


def probe(given: Arguments) -> Report:
    """Runs the trials and answers every question.

    Raises:
        ProbeError: an argument is out of range, or too few trials lasted.
        PolicyError: the policy does not fit.
    """
    if given.jobs < 1:
        raise ProbeError("probe: --jobs must be at least 1")
    if not (given.trials >= MINIMUM and 0 < given.seconds <= 60 and 0 < given.scale <= 10):
        raise ProbeError(
            f"probe: --trials must be at least {MINIMUM}, --seconds in (0, 60], --scale in (0, 10]"
        )
    hand, target = load_hand("dactyl24"), load_object(given.object)
    path = given.policy or SHIPPED / f"{target.name}.onnx"
    policy = load_policy(path, hand, target, allowed=None)
    parts = parts_of(given, path, target)
    with cluster(given.ray, given.jobs, ["mujoco"]):
        sample = joined([*spread(collect, parts, given.jobs, bool(given.ray))])
    if len(sample.universes) < MINIMUM:
        raise ProbeError(
            f"probe: only {len(sample.universes)} of {sample.begun} trials lasted "
            f"{given.seconds:g} s; take more trials or less time"
        )
    return Report(
        policy=path.name,
        sha256=policy.sha256,
        object=target.name,
        seconds=given.seconds,
        scale=given.scale,
        seed=given.seed,
        begun=sample.begun,
        n=len(sample.universes),
        answers=tuple(answer(question, sample, given.seed) for question in QUESTIONS),
    )


def main() -> int:
    """Entry point of `inhand probe`."""
    given = tyro.cli(Arguments, prog="inhand probe", config=(tyro.conf.FlagCreatePairsOff,))
    report = probe(given)
    deliver("probe", report, page(report), given.output, given.json)
    return 0
