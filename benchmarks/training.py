"""The batch environment beside MuJoCo and Gymnasium-Robotics, and the time of the learners."""

import importlib.util
import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco import rollout

from benchmarks.measure import Row, row
from benchmarks.pages import write_figures
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.training.learning.learners import Learner
from inhand.training.learning.refine import Refinement, RefineRecipe
from inhand.training.learning.student import Student, StudentRecipe
from inhand.training.learning.teacher import Recipe, Teacher
from inhand.training.mujoco_worlds.environment import BatchEnvironment

WORLDS, STEPS, ROUNDS = 1024, 5, 8
MOVING = "time", "qpos", "qvel", "act", "qacc_warmstart"
"""State arrays that a step starts from."""
STAGES = ("teacher", "student", "refinement")
PARTS = ("physics", "environment", "sensors", "learning")
SHARE = "{} of the {}, share of processor time"
PEER_RATE = "a hand in real time"
POLICY_RATE = 20.0
"""Policy steps a second of a hand."""

COMMAND = "inhand bench training"
PAGE = Path(__file__).parents[1] / "docs" / "training.md"
PEER = "gymnasium-robotics, HandManipulateBlock"


def measure() -> list[Row]:
    """Throughput of physics and of control steps, and the share of time that learning takes."""
    rows = _physics()
    if importlib.util.find_spec("gymnasium_robotics"):
        rows.append(_control_steps())
    return rows + _learning()


def _physics() -> list[Row]:
    """Environment steps beside MuJoCo's threads over the same trajectories.

    MuJoCo is measured twice: with all worlds advanced step by step, as acting on observations
    requires, and world by world through all steps, which is faster, as it keeps caches warm.
    """
    hand, block = load_hand("dactyl24"), load_object("block")
    threads = os.cpu_count() or 1
    worlds = BatchEnvironment(hand, block, WORLDS, threads, seed=1)
    rng = np.random.default_rng(1)
    kind = mujoco.mjtState.mjSTATE_FULLPHYSICS
    ours, stepped, raw = [], [], []
    with rollout.Rollout(nthread=threads) as pool:
        for _ in range(ROUNDS):
            worlds.harden(float(np.pi), 0.0)
            batch: Any = worlds._batch
            models = [batch.get_model(i) for i in range(WORLDS)]
            start = np.zeros((WORLDS, mujoco.mj_stateSize(models[0], kind)))
            for i, (model, state) in enumerate(zip(models, start, strict=True)):
                mujoco.mj_getState(model, batch.get_data(i), state, kind)
            held = [(bound, bound.copy()) for bound in map(batch.bind, MOVING)]
            commands, advance = _watch(worlds)
            actions = rng.uniform(-1, 1, (STEPS, WORLDS, hand.n_actuators))
            began = time.perf_counter()
            for action in actions:
                worlds.step(action)
            ours.append(time.perf_counter() - began)
            batch.step = advance
            ends = [worlds._qpos.copy()]
            for bound, values in held:
                bound[:] = values
            began = time.perf_counter()
            for command in commands:
                worlds._ctrl[:] = command
                advance(nstep=worlds._steps_per_tick)
            stepped.append(time.perf_counter() - began)
            ends.append(worlds._qpos.copy())
            control = np.repeat(np.stack(commands, axis=1), worlds._steps_per_tick, axis=1)
            datas = [mujoco.MjData(models[0]) for _ in range(threads)]
            began = time.perf_counter()
            states, _ = pool.rollout(models, datas, start, control)
            raw.append(time.perf_counter() - began)
            ends.append(states[:, -1, 1 : 1 + models[0].nq])
            if not all(np.array_equal(ends[0], other) for other in ends[1:]):
                raise AssertionError("the sides did not step the same trajectories")
    # The best round of each: other load of the machine can only slow a round down.
    value, steps, most = (WORLDS * STEPS / min(times) for times in (ours, stepped, raw))
    name = "environment steps, same trajectories"
    peer = "raw threaded mj_step"
    return [
        row(name, value, "1/s", peer, steps, 0.9, more_is_better=True),
        row(name, value, "1/s", f"{peer}, world by world", most),
    ]


def _watch(worlds: BatchEnvironment) -> tuple[list[Array], Callable[..., None]]:
    """Records the servo commands of every tick; returns the list and the original step."""
    commands: list[Array] = []
    batch: Any = worlds._batch
    advance = batch.step

    def step(nstep: int) -> None:
        commands.append(worlds._ctrl.copy())
        advance(nstep=nstep)

    batch.step = step
    return commands, advance


def _control_steps() -> Row:
    """Control steps on one core with randomized worlds, observations and resets; peer likewise."""
    hand, block = load_hand("dactyl24"), load_object("block")
    worlds = BatchEnvironment(hand, block, WORLDS, 1, seed=1)
    worlds.harden(float(np.pi), 1.0)
    theirs = _shadow_hand(worlds)
    rng = np.random.default_rng(1)
    ours, peer = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(STEPS):
            step = worlds.step(rng.uniform(-1, 1, (WORLDS, hand.n_actuators)))
            worlds.reset(np.flatnonzero(step.dropped | step.timed_out))
            worlds.observe()
        ours.append(WORLDS * STEPS / (time.perf_counter() - began))
        began, length = time.perf_counter(), 50
        theirs.reset()
        for _ in range(length):
            theirs.step(rng.uniform(-1, 1, 20).astype(np.float32))
        peer.append(length / (time.perf_counter() - began))
    value, other = max(ours), max(peer)
    return row("control steps a core", value, "1/s", PEER, other, 1.0, more_is_better=True)


def _shadow_hand(worlds: BatchEnvironment) -> Any:
    """Their environment at our physics step and control rate."""
    import gymnasium
    import gymnasium_robotics
    from gymnasium_robotics.utils import mujoco_utils

    # The peer's check of a joint's type fails with MuJoCo 3.17.
    mujoco_utils.get_joint_qpos = lambda model, data, name: data.joint(name).qpos.copy()
    mujoco_utils.get_joint_qvel = lambda model, data, name: data.joint(name).qvel.copy()
    gymnasium.register_envs(gymnasium_robotics)
    environment = gymnasium.make("HandManipulateBlock-v1")
    inner: Any = environment.unwrapped
    inner.model.opt.timestep = 1.0 / worlds.path.tick_rate / worlds._steps_per_tick
    inner.n_substeps = worlds.path.ticks_per_action * worlds._steps_per_tick
    environment.reset(seed=1)
    return environment


def _learning() -> list[Row]:
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
