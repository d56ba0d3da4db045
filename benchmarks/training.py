"""The time of the learners; that of the worlds is in `benchmarks.worlds`."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Row, row
from benchmarks.pages import write_figures
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.learners import Learner
from inhand.training.learning.refine import Refinement, RefineRecipe
from inhand.training.learning.student import Student, StudentRecipe
from inhand.training.learning.teacher import Recipe, Teacher
from inhand.training.mujoco_worlds.environment import BatchEnvironment

STAGES = ("teacher", "student", "refinement")
PARTS = ("physics", "environment", "sensors", "learning")
SHARE = "{} of the {}, share of processor time"
PEER_RATE = "a hand in real time"
POLICY_RATE = 20.0
"""Policy steps a second of a hand."""

COMMAND = "inhand bench training"
PAGE = Path(__file__).parents[1] / "docs" / "training.md"


def measure() -> list[Row]:
    """Where the processor time of the learners goes, and what bfloat16 saves.

    Processor time with one thread: the time that several threads wait for each other depends on the
    load of the machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = []
        makers: list[Callable[[bool], Learner]] = [_teacher, _student, _refine]
        for name, make in zip(STAGES, makers, strict=True):
            fast, exact = make(True), make(False)
            rows += _rates(name, fast)
            rows += _parts(name, fast)
            if not isinstance(fast, Student):
                rows.append(_speed(name, fast, exact))
        return rows
    finally:
        torch.set_num_threads(threads)


def _worlds(size: int) -> BatchEnvironment:
    worlds = BatchEnvironment(load_hand("dactyl24"), load_object("block"), size, 1, seed=1)
    worlds.harden(float(np.pi), 1.0)
    return worlds


def _teacher(bfloat16: bool) -> Teacher:
    recipe = Recipe(bfloat16=bfloat16)
    return Teacher(_worlds(recipe.worlds), recipe)


def _student(bfloat16: bool) -> Student:
    recipe = StudentRecipe(bfloat16=bfloat16)
    return Student(_worlds(recipe.worlds), _teacher(bfloat16).network, recipe)


def _refine(bfloat16: bool) -> Refinement:
    recipe = RefineRecipe(critic_iterations=0, bfloat16=bfloat16)
    student, teacher = _student(bfloat16).network, _teacher(bfloat16).network
    return Refinement(_worlds(recipe.worlds), student, teacher, recipe)


def _rates(name: str, learner: Learner, iterations: int = 2) -> list[Row]:
    """Policy steps a second of one core: while it acts, and while it learns from them."""
    learner.iterate()
    collect, acting = learner.collect, list[float]()

    def timed() -> Any:
        began = time.process_time()
        seen = collect()
        acting.append(time.process_time() - began)
        return seen

    method = "collect"
    setattr(learner, method, timed)
    before, began = learner.steps, time.process_time()
    for _ in range(iterations):
        learner.iterate()
    whole, steps = time.process_time() - began, learner.steps - before
    setattr(learner, method, collect)
    spent = {"acts": sum(acting), "learns": whole - sum(acting)}
    return [
        row(f"steps of a core that {what}, {name}", steps / seconds, "1/s", PEER_RATE, POLICY_RATE)
        for what, seconds in spent.items()
    ]


def _parts(name: str, learner: Learner, iterations: int = 2) -> list[Row]:
    """Shares of physics, of the rest of the environment, of sensors, and of learning."""
    spent = {"physics": 0.0, "environment": 0.0, "sensors": 0.0}
    inside: list[str] = []

    def time_calls(owner: object, method: str, part: str) -> None:
        original = getattr(owner, method)

        def timed(*arguments: Any, **keywords: Any) -> Any:
            began = time.process_time()
            inside.append(part)
            try:
                return original(*arguments, **keywords)
            finally:
                inside.pop()
                took = time.process_time() - began
                spent[part] += took
                if inside:
                    spent[inside[-1]] -= took

        setattr(owner, method, timed)

    learner.iterate()
    worlds = learner.worlds
    assert isinstance(worlds, BatchEnvironment)
    time_calls(worlds._batch, "step", "physics")
    for method in ("step", "reset", "observe", "privileged"):
        time_calls(worlds, method, "environment")
    if not isinstance(learner, Teacher):
        for method in ("observe", "reset", "privileged"):
            time_calls(learner.policy.sensors, method, "sensors")
    began = time.process_time()
    for _ in range(iterations):
        learner.iterate()
    whole, whole_of = time.process_time() - began, "all of it"
    rows = [
        row(SHARE.format(part, name), 100 * share / whole, "%", whole_of, 100.0)
        for part, share in spent.items()
        if share
    ]
    learning = 100 * (1 - sum(spent.values()) / whole)
    return [*rows, row(SHARE.format("learning", name), learning, "%", whole_of, 100.0, 0.35)]


def time_table(rows: Sequence[Row]) -> str:
    """Where the processor time goes, by stage, as a Markdown table [%]."""
    shares = {one.name: f"{one.value:.0f}" for one in rows}
    lines = [f"| stage | {' | '.join(PARTS)} |", "|---" * (1 + len(PARTS)) + "|"]
    for stage in STAGES:
        cells = [shares.get(SHARE.format(part, stage), "–") for part in PARTS]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(rows: Sequence[Row], page: Path = PAGE) -> None:
    """Writes the table into the page about training; raises as `write_figures` does."""
    cores = f"{platform.machine()}, {os.cpu_count()} cores"
    when = f"`{COMMAND} --write` on {date.today()}, {cores}"
    head = f"{when}: share of processor time [%].\n\n"
    write_figures(page, COMMAND, f"{head}{time_table(rows)}")


def _speed(name: str, fast: Learner, exact: Learner) -> Row:
    """Steps in a second of processor time with networks in bfloat16, beside float32."""
    times: list[list[float]] = [[], []]
    for _ in range(3):
        for learner, taken in zip((fast, exact), times, strict=True):
            began = time.process_time()
            learner.iterate()
            taken.append(time.process_time() - began)
    quick, slow = (
        learner.recipe.horizon * learner.worlds.size / min(taken)
        for learner, taken in zip((fast, exact), times, strict=True)
    )
    label = f"steps of the {name} with bfloat16"
    return row(label, quick, "1/s", "with float32", slow, more_is_better=True)
