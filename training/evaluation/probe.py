"""`inhand probe`: what the policy's recurrent state encodes of its world after a few seconds.

From Dactyl's recurrent state after 5 s, 80 % of blocks were correctly labelled bigger or smaller
than nominal (arXiv:1808.00177, section 6.6). Beside the policy's memory, the same is read from the
observations alone, from the memory of a random network, and by a network trained to read it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from inhand.controller.policy.files import shipped_policy
from inhand.controller.policy.runtime import load_policy
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import ObjectDescription, load_object
from inhand.training.evaluation.probe_ceiling import ceiling_estimates
from inhand.training.evaluation.probe_page import Report, page
from inhand.training.evaluation.probe_readout import (
    APART,
    PROPERTIES,
    QUESTIONS,
    Reading,
    answered,
    asked,
    explained,
    folds,
    held_out_estimates,
    linear_hits,
    values_of,
)
from inhand.training.evaluation.probe_sample import Part, Sample, collect, joined
from inhand.training.evaluation.result_page import deliver
from inhand.training.evaluation.workers import cluster, spread

PART = 250
"""Trials that run in one batch."""

MINIMUM = 50
"""Least number of trials for a meaningful share."""


class ProbeError(InhandError):
    """The arguments of a probe are invalid, or too few trials lasted."""


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


@dataclass(frozen=True)
class Arguments:
    """Probe a policy's memory: what does it encode of size, mass, friction, delays?

    Example: inhand probe --policy policies/block.onnx

    Attributes:
        policy: ONNX file; by default the one that is shipped for the object.
        object: Name or file of the object.
        trials: Worlds to draw.
        seconds: How long the policy acts in each.
        scale: Of the ranges; each property is drawn by itself.
        epochs: Of the ceiling's training; 0 leaves the ceiling out.
        seed: Makes everything random repeatable.
        jobs: Processes at a time; results do not depend on it.
        ray: Spread trials over a Ray cluster: HOST:PORT of its head, or `local`.
        output: Page to write.
        json: Print the result as JSON.
    """

    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    object: str = "block"
    trials: int = 5500
    seconds: float = 5.0
    scale: float = 1.0
    epochs: int = 25
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
    if not (given.trials >= MINIMUM and 0 < given.seconds <= 60 and 0 < given.scale <= 1):
        raise ProbeError(
            f"probe: --trials must be at least {MINIMUM}, --seconds in (0, 60], --scale in (0, 1]"
        )
    if not 0 <= given.epochs <= 1000 or given.seed < 0:
        raise ProbeError("probe: --epochs must be in 0..1000, --seed not negative")
    hand, target = load_hand("dactyl24"), load_object(given.object)
    path = given.policy or shipped_policy(hand.name, target.name)
    policy = load_policy(path, hand, target, allowed=None)
    parts = parts_of(given, path, target)
    with cluster(given.ray, given.jobs, ["mujoco"]):
        sample = joined([*spread(collect, parts, given.jobs, bool(given.ray))])
    if len(sample.universes) < MINIMUM:
        raise ProbeError(
            f"probe: only {len(sample.universes)} of {sample.begun} trials lasted "
            f"{given.seconds:g} s; take more trials or less time"
        )
    return read(sample, given, path.name, policy.sha256)


def read(sample: Sample, given: Arguments, name: str, sha256: str) -> Report:
    """What is found in a sample.

    Args:
        sample: the trials.
        given: seed, and epochs of the ceiling.
        name: of the policy's file.
        sha256: of its content.
    """
    values, seed = values_of(sample.universes), given.seed
    sources = {
        "memory": sample.memory,
        "observation": sample.scaled[:, -1],
        "statistics": sample.statistics(),
        "random": sample.random_memory(seed),
    }
    found = {name: held_out_estimates(x, values, seed) for name, x in sources.items()}
    columns: dict[str, dict[str, Reading]] = {
        name: {
            source: explained(values[:, column], estimates[:, column])
            for source, estimates in found.items()
        }
        for column, name in enumerate(PROPERTIES)
    }
    questions = {question: asked(values, question) for question in QUESTIONS}
    answers = {
        question: {
            source: answered(linear_hits(x[rows], labels, seed)) for source, x in sources.items()
        }
        for question, (rows, labels) in questions.items()
    }
    if given.epochs:
        part = folds(len(values), seed)[0]
        estimates = ceiling_estimates(
            sample.scaled, values, part, sample.averaged, given.epochs, seed
        )
        for column, property in enumerate(PROPERTIES):
            columns[property]["ceiling"] = explained(values[part, column], estimates[:, column])
        for question, property in QUESTIONS.items():
            column = list(PROPERTIES).index(property)
            rows = np.abs(values[part, column]) >= APART
            hits = (estimates[:, column] > 0) == (values[part, column] > 0)
            answers[question]["ceiling"] = answered(hits[rows])
    return Report(
        policy=name,
        sha256=sha256,
        object=given.object,
        seconds=given.seconds,
        scale=given.scale,
        seed=seed,
        begun=sample.begun,
        n=len(values),
        explained=columns,
        answers=answers,
        majority={
            question: float(max(labels.mean(), 1 - labels.mean())) if len(labels) else 1.0
            for question, (_, labels) in questions.items()
        },
        asked={question: len(labels) for question, (_, labels) in questions.items()},
    )


def main() -> int:
    """Entry point of `inhand probe`."""
    given = tyro.cli(Arguments, prog="inhand probe", config=(tyro.conf.FlagCreatePairsOff,))
    report = probe(given)
    deliver("probe", report, page(report), given.output, given.json)
    return 0
