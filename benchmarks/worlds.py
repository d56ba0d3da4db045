"""The batch environment beside MuJoCo's threads, one core and Gymnasium-Robotics."""

import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from mujoco import rollout

from benchmarks.measure import Row, row
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.environment import BatchEnvironment

WORLDS, STEPS, ROUNDS = 1024, 5, 8
MOVING = "time", "qpos", "qvel", "act", "qacc_warmstart"
"""State arrays that a step starts from."""
PEER = "gymnasium-robotics, HandManipulateBlock"


def measure() -> list[Row]:
    """Steps of worlds beside MuJoCo's own, and of several cores beside one."""
    rows = [*physics(), *scaling(), *turns()]
    if importlib.util.find_spec("gymnasium_robotics"):
        rows.append(control_steps())
    return rows


def physics() -> list[Row]:
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
        row(name, value, "1/s", f"{peer}, world by world", most, 0.9, more_is_better=True),
    ]


def scaling() -> list[Row]:
    """Environment steps with all cores beside those with one; none on a machine with one."""
    cores = os.cpu_count() or 1
    if cores == 1:
        return []
    hand, block = load_hand("dactyl24"), load_object("block")
    sides = [BatchEnvironment(hand, block, WORLDS, threads, seed=1) for threads in (cores, 1)]
    rng = np.random.default_rng(1)
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        actions = rng.uniform(-1, 1, (STEPS, WORLDS, hand.n_actuators))
        for worlds, taken in zip(sides, times, strict=True):
            worlds.harden(float(np.pi), 0.0)
            began = time.perf_counter()
            for action in actions:
                worlds.step(action)
            taken.append(time.perf_counter() - began)
    every, one = (WORLDS * STEPS / min(taken) for taken in times)
    name, least = f"environment steps of {cores} cores", 0.9 * cores
    return [row(name, every, "1/s", "one core", one, least, more_is_better=True)]


def turns() -> list[Row]:
    """What it costs that worlds take their time steps in turn, on one core, without our code.

    Each world takes five time steps. In turn they are taken by all worlds, by small groups, whose
    data are in the cache, and by worlds that are all in the same state. The peer takes the five
    steps of one world after the other. Processor time counts.
    """
    hand, block = load_hand("dactyl24"), load_object("block")
    worlds = BatchEnvironment(hand, block, WORLDS, 1, seed=1)
    worlds.harden(float(np.pi), 0.0)
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        worlds.step(rng.uniform(-1, 1, (WORLDS, hand.n_actuators)))
    batch: Any = worlds._batch
    start = {name: batch.bind(name).copy() for name in (*MOVING, "ctrl", "xfrc_applied")}
    equal = {name: np.repeat(values[1:2], WORLDS, axis=0) for name, values in start.items()}

    def time_of(state: dict[str, Array], group: int, nstep: int) -> float:
        for name, values in state.items():
            batch.bind(name)[:] = values
        groups = np.arange(WORLDS, dtype=np.int32).reshape(-1, group)
        began = time.process_time()
        for ids in groups:
            for _ in range(STEPS // nstep):
                batch.step(ids, nstep=nstep)
        return time.process_time() - began

    cases = {
        "all worlds": (start, WORLDS),
        "groups of 8 worlds": (start, 8),
        "worlds in one state": (equal, WORLDS),
    }
    rows = []
    for name, (state, group) in cases.items():
        pairs = [[time_of(state, group, 1), time_of(state, WORLDS, STEPS)] for _ in range(ROUNDS)]
        ours, peer = (WORLDS * STEPS / least for least in np.min(pairs, axis=0))
        label = f"time steps in turn, {name}"
        rows.append(row(label, ours, "1/s", "five in a row", peer, more_is_better=True))
    return rows


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


def control_steps() -> Row:
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
