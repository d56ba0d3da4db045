"""Trials of a policy in drawn worlds: what a probe may read of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import torch

from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription
from inhand.training.evaluation.packed_files import written
from inhand.training.mujoco_worlds.automatic_ranges import AutomaticRanges, RangesRecipe
from inhand.training.mujoco_worlds.draws import NOMINAL_EVERY
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors

AVERAGED = 1.0
"""Time over which the recurrent state is averaged, at the end of a trial [s]."""

UNITS = 256
"""Of the random LSTM: as many as the shipped policies have."""


@dataclass(frozen=True)
class Sample:
    """Trials that had not ended when the time was over.

    Attributes:
        memory: hidden and cell state, mean over the last `AVERAGED` seconds, (n, 2 · hidden).
        observations: of every policy step, (n, steps, inputs).
        averaged: number of steps in `AVERAGED`.
        universes: of each trial, in order.
        begun: number of trials at the start.
    """

    memory: Array
    observations: Array
    averaged: int
    universes: tuple[Universe, ...]
    begun: int

    @cached_property
    def scaled(self) -> Array:
        """The observations with mean 0 and deviation 1 over all trials and steps."""
        mean, deviation = (f(self.observations, axis=(0, 1)) for f in (np.mean, np.std))
        scaled: Array = (self.observations - mean) / np.maximum(deviation, 1e-6)
        return scaled

    def statistics(self) -> Array:
        """Mean and deviation of the observations, last second and whole trial, (n, 4 · inputs)."""
        spans = (self.scaled[:, -self.averaged :], self.scaled)
        return np.concatenate([f(span, axis=1) for span in spans for f in (np.mean, np.std)], 1)

    def random_memory(self, seed: int) -> Array:
        """The averaged state of an LSTM with random weights that saw the trial, (n, 512)."""
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            network = torch.nn.LSTM(self.scaled.shape[2], UNITS, batch_first=True)
            first = torch.as_tensor(self.scaled[:, : -self.averaged], dtype=torch.float32)
            state = network(first)[1] if first.shape[1] else None
            total = torch.zeros(len(self.scaled), 2 * UNITS)
            for k in range(self.averaged, 0, -1):
                step = torch.as_tensor(self.scaled[:, -k : -k + 1 or None], dtype=torch.float32)
                state = network(step, state)[1]
                total += torch.cat([part[0] for part in state], dim=1)
        averaged: Array = (total / self.averaged).numpy().astype(np.float64)
        return averaged


class Part(msgspec.Struct, frozen=True):
    """Some of the trials: what they give depends on this alone.

    Attributes:
        name: of the ONNX file.
        policy: its content.
        target: the object.
        trials: number of worlds to draw.
        seconds: duration of each trial [s].
        scale: strength at which the ranges of all axes end; 1 is the published ranges.
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


def joined(samples: Sequence[Sample]) -> Sample:
    """One sample of several."""
    return Sample(
        memory=np.concatenate([one.memory for one in samples]),
        observations=np.concatenate([one.observations for one in samples]),
        averaged=samples[0].averaged,
        universes=tuple(universe for one in samples for universe in one.universes),
        begun=sum(one.begun for one in samples),
    )


def collect(part: Part) -> Sample:
    """Runs the policy in drawn worlds, goal after goal; returns its last recurrent states."""
    hand, target, trials, scale = load_hand("dactyl24"), part.target, part.trials, part.scale
    policy = load_policy(written(part.policy, part.name), hand, target, allowed=None)
    # Some worlds of a batch are nominal: they are no sample for any question.
    size = -(-trials * NOMINAL_EVERY // (NOMINAL_EVERY - 1)) + 1
    worlds = BatchEnvironment(hand, target, size, part.threads, part.seed)
    # Every axis by itself, as automatic ranges draw it; the ends stay where they are.
    worlds.ranges = AutomaticRanges(RangesRecipe(start=scale, episodes=size + 1), size)
    worlds.harden(float(np.pi), scale)
    sensors = Sensors(worlds, part.seed, policy.observation_version)
    varied = np.arange(size) % NOMINAL_EVERY != 0
    alive = varied.copy()
    policy.reset()
    memories = [policy.memory] * size
    steps = max(1, round(part.seconds * worlds.policy_rate))
    averaged = min(steps, max(1, round(AVERAGED * worlds.policy_rate)))
    actions = np.zeros((size, hand.n_actuators))
    seen: list[Array] = []
    states = np.zeros((size, np.ravel(policy.memory).size))
    for step in range(steps):
        seen.append(sensors.observe().astype(np.float32))
        for i in np.flatnonzero(alive):
            policy.memory = memories[i]
            actions[i] = policy.act(seen[-1][i])
            memories[i] = policy.memory
            if step >= steps - averaged:
                states[i] += np.ravel(memories[i]) / averaged
        done = worlds.step(actions)
        alive &= ~(done.dropped | done.timed_out)
    going = np.flatnonzero(alive)
    return Sample(
        memory=states[going],
        observations=np.stack(seen, axis=1)[going],
        averaged=averaged,
        universes=tuple(worlds.universes[i] for i in going),
        begun=int(varied.sum()),
    )
