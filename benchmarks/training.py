"""The batch environment beside raw MuJoCo stepping with the same threads."""

import os
import time

import mujoco
import numpy as np
from mujoco import rollout

from benchmarks.measure import Row, row
from hardware.hand import load_hand
from perception.objects import load_object
from training.environment import BatchEnvironment
from training.mujoco_model import build_spec

WORLDS, STEPS, ROUNDS = 256, 20, 5


def measure() -> list[Row]:
    """Control steps a second with everything, and of physics alone."""
    hand, block = load_hand("dactyl24"), load_object("block")
    worlds = BatchEnvironment(hand, block, WORLDS, seed=1)
    model = build_spec(hand, block).compile()
    threads = os.cpu_count() or 1
    datas = [mujoco.MjData(model) for _ in range(threads)]
    state = np.zeros(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
    mujoco.mj_getState(model, datas[0], state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    start = np.tile(state, (WORLDS, 1))
    substeps = STEPS * worlds.path.ticks_per_action * worlds._steps_per_tick
    rng = np.random.default_rng(1)
    ours, raw = [], []
    with rollout.Rollout(nthread=threads) as pool:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(STEPS):
                step = worlds.step(rng.uniform(-1, 1, (WORLDS, hand.n_actuators)))
                worlds.reset(np.flatnonzero(step.dropped | step.timed_out))
            ours.append(WORLDS * STEPS / (time.perf_counter() - began))
            targets = np.clip(
                hand.rest + rng.uniform(-1, 1, (WORLDS, STEPS, hand.n_actuators)),
                hand.lower,
                hand.upper,
            )
            control = np.repeat(targets, substeps // STEPS, axis=1)
            began = time.perf_counter()
            pool.rollout(model, datas, start, control)
            raw.append(WORLDS * STEPS / (time.perf_counter() - began))
    value, peer = float(np.median(ours)), float(np.median(raw))
    name = "control steps of the environment"
    return [row(name, value, "1/s", "raw mj_step", peer, 0.9, more_is_better=True)]
