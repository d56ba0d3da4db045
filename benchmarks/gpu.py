"""Training on a GPU beside the cores of the same machine: ten minutes; writes `docs/gpu.md`.

    make bench-gpu

Each part is written as soon as it is measured, so that a run that is cut off leaves what it has.
"""

import os
import platform
import sys
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from benchmarks.pages import write_figures
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.learners import worlds_on_device
from inhand.training.learning.networks import teacher_inputs
from inhand.training.learning.ppo_learner import step_worlds
from inhand.training.learning.teacher import Recipe, Teacher
from inhand.training.learning.train import check_device
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.physics import Engine
from inhand.training.mujoco_worlds.tensor_environment import TensorEnvironment

PAGE = Path(__file__).parents[1] / "docs" / "gpu.md"
COMMAND = "make bench-gpu"
WORLDS = (1024, 2048, 4096, 8192, 16384, 32768)
ON_CORES = (1024, 4096)
BAR_SPEED, BAR_GOALS, BAR_MINUTES = 250_000.0, 10.0, 5.0


@dataclass(frozen=True)
class Speed:
    """Environment steps in a second, one for each world and policy step.

    Attributes:
        engine: of the physics.
        worlds: stepped together.
        steps: with resets, observations and the critic's inputs [1/s].
        physics: of the physics alone [1/s].
        room: of contacts and solver rows at the end; empty on cores.
    """

    engine: Engine
    worlds: int
    steps: float
    physics: float
    room: str


@dataclass
class Figures:
    """What was measured so far.

    Attributes:
        device: name of the device, and of the processor with its cores.
        speeds: in the order in which they were measured.
        learned: minutes of wall time, policy steps and goals an episode, row by row.
        problems: what could not be measured, and why.
    """

    device: str
    speeds: list[Speed] = field(default_factory=list)
    learned: list[tuple[float, int, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def text(self, command: str) -> str:
        """The part of the page between the two marks."""
        lines = [
            f"`{command}` on {date.today()}: {self.device}, Python {platform.python_version()}."
        ]
        lines += ["", "| engine | worlds | env steps/s | physics alone | room for contacts |"]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| {one.engine} | {one.worlds} | {one.steps:,.0f} | {one.physics:,.0f} | {one.room} |"
            for one in self.speeds
        ]
        fastest = max((one.steps for one in self.speeds if one.engine == "warp"), default=0.0)
        lines += ["", f"Bar: {BAR_SPEED:,.0f} env steps/s; {_verdict(fastest >= BAR_SPEED)}."]
        if self.learned:
            lines += ["", *self._learning()]
        lines += ["", *(f"Not measured: {problem}" for problem in self.problems)]
        return "\n".join(lines).rstrip() + "\n"

    def _learning(self) -> list[str]:
        lines = ["| minutes | million policy steps | goals an episode |", "|---|---|---|"]
        shown = self.learned[:: max(1, len(self.learned) // 10)]
        if shown[-1] != self.learned[-1]:
            shown.append(self.learned[-1])
        lines += [f"| {at:.1f} | {steps / 1e6:.1f} | {goals:.2f} |" for at, steps, goals in shown]
        met = any(goals >= BAR_GOALS and at <= BAR_MINUTES for at, _, goals in self.learned)
        bar = f"Bar: {BAR_GOALS:.0f} goals an episode within {BAR_MINUTES:.0f} minutes"
        return [*lines, "", f"{bar}; {_verdict(met)}."]


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def speed(engine: Engine, device: str, worlds: int, seconds: float) -> Speed:
    """Random actions in nominal worlds for some seconds, after everything is compiled."""
    hand, block = load_hand("dactyl24"), load_object("block")
    made: TensorEnvironment | BatchEnvironment
    if engine == "warp":
        made = worlds_on_device(hand, block, worlds, device, seed=1)
        physics: Any = made.physics
    else:
        made = BatchEnvironment(hand, block, worlds, seed=1)
        physics = made._batch
    made.harden(float(np.pi), 0.0)
    actions = torch.Generator(device=device).manual_seed(1)
    inside = 0.0
    advance = physics.step

    def wait() -> None:
        """Waits for a GPU, which computes beside this program."""
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()

    def timed(*, nstep: int) -> None:
        nonlocal inside
        wait()
        began = time.perf_counter()
        advance(nstep=nstep)
        wait()
        inside += time.perf_counter() - began

    def one_step() -> None:
        size = worlds, hand.n_actuators
        chosen = 2.0 * torch.rand(size, generator=actions, device=device) - 1.0
        step_worlds(made, chosen, device)
        teacher_inputs(made, device)

    def run(limit: float) -> float:
        """Steps of all worlds in a second."""
        wait()
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < limit:
            one_step()
            count += worlds
        wait()
        return count / (time.perf_counter() - began)

    for _ in range(3):
        one_step()
    steps = run(0.7 * seconds)
    # To measure the physics alone, each step is waited for; that costs time.
    physics.step = timed
    began = time.perf_counter()
    rate = run(0.3 * seconds)
    alone = rate * (time.perf_counter() - began) / inside
    room = getattr(physics, "room", None)
    words = "" if room is None else f"{room.contacts} contacts, {room.rows} rows"
    return Speed(engine, worlds, steps, alone, words)


def learn(figures: Figures, device: str, worlds: int, minutes: float) -> None:
    """Trains the nominal teacher until the bar is reached or the time is over."""
    hand, block = load_hand("dactyl24"), load_object("block")
    recipe = Recipe(worlds=worlds, minibatches=max(4, worlds // 1024), widen_at=1.5, vary_to=0.0)
    made = worlds_on_device(hand, block, worlds, device, recipe.seed)
    teacher = Teacher(made, recipe, device)
    began = time.monotonic()
    while (spent := (time.monotonic() - began) / 60) < minutes:
        row = teacher.iterate()
        # Goals that are near count nothing.
        goals = row["goals"] if made.goal_distance >= np.pi else 0.0
        figures.learned.append((spent, teacher.steps, goals))
        print(
            f"{spent:.1f} min  {row['goals']:.2f} goals at {made.goal_distance:.2f} rad",
            file=sys.stderr,
            flush=True,
        )
        if goals >= BAR_GOALS:
            break


def name_of(device: str) -> str:
    """The device and the processor beside it, in words."""
    cores = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    if torch.device(device).type != "cuda":
        return f"no GPU; {cores}"
    return f"{torch.cuda.get_device_name(torch.device(device))}; {cores}"


@dataclass
class Arguments:
    """Measure training on a GPU beside the cores of this machine; writes docs/gpu.md.

    Attributes:
        device: as torch names it; `cpu` only tries whether the script works.
        worlds: numbers of worlds on the device.
        cores: numbers of worlds on the cores.
        seconds: for each of them.
        minutes: limit of the training; 0 leaves it out.
        page: where the figures go.
    """

    device: str = "cuda"
    worlds: tuple[int, ...] = WORLDS
    cores: tuple[int, ...] = ON_CORES
    seconds: float = 10.0
    minutes: float = BAR_MINUTES
    page: Path = PAGE


def main() -> int:
    """Entry point of `python -m benchmarks.gpu`."""
    given = tyro.cli(Arguments, prog="python -m benchmarks.gpu")
    check_device(given.device)
    figures = Figures(name_of(given.device))
    command = " ".join(["python -m benchmarks.gpu", *sys.argv[1:]])
    parts: list[tuple[Engine, int]] = [("warp", count) for count in given.worlds]
    parts += [("mujoco", count) for count in given.cores]
    for engine, count in parts:
        print(f"measuring {count} worlds in {engine} ...", file=sys.stderr, flush=True)
        try:
            figures.speeds.append(speed(engine, given.device, count, given.seconds))
        except (InhandError, RuntimeError) as error:
            figures.problems.append(f"{count} worlds in {engine}: {str(error).splitlines()[0]}")
        write_figures(given.page, COMMAND, figures.text(command))
    if given.minutes:
        worlds = min(8192, max(given.worlds))
        try:
            learn(figures, given.device, worlds, given.minutes)
        finally:
            write_figures(given.page, COMMAND, figures.text(command))
    print(figures.text(command))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InhandError as error:
        sys.exit(f"error: {error}")
