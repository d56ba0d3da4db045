"""Throughput of a Ray cluster: weights to actors, chunks to the learner, by number of actors.

Run it with `python -m benchmarks.cluster`. Actors only send, so that the figures are those of Ray
and of this machine's memory. Weights and chunks have the sizes of the block's teacher.
"""

import time
from typing import Any

import numpy as np
import ray

from inhand.training.cluster.actors import ActorPool
from inhand.training.cluster.connection import LOCAL, connected

WEIGHTS = 494_000
"""Numbers of the teacher's actor, critic and scales."""

SAMPLE = 443
"""Numbers of one sample: inputs, action, its mean and deviation, value, return, end."""

HORIZON, WORLDS = 16, 64
SECONDS = 10.0


class Sender:
    """Takes weights, and sends a chunk of one rollout."""

    def __init__(self, number: int) -> None:
        self._chunk = np.zeros(HORIZON * WORLDS * SAMPLE, dtype=np.float32)

    def work(self, life: int, call: int, order: Any) -> Any:
        """Reads the weights, and returns the chunk."""
        self._chunk[0] = order.sum()
        return self._chunk


def measure(actors: int) -> tuple[float, float]:
    """Chunks a second that the learner gets from this many actors, and seconds to put weights."""
    pool = ActorPool(Sender, (), actors, patience=120.0)
    pool.start()
    weights = np.zeros(WEIGHTS, dtype=np.float32)
    while pool.working < actors:
        pool.take(1, ray.put(weights), lambda _: True)
    taken, putting, versions, began = 0, 0.0, 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        before = time.perf_counter()
        order = ray.put(weights)
        putting += time.perf_counter() - before
        versions += 1
        # The learner copies each chunk into its batch.
        for chunk in pool.take(actors, order, lambda _: True):
            taken += len(np.array(chunk)) // (HORIZON * WORLDS * SAMPLE)
    seconds = time.perf_counter() - began
    pool.stop()
    return taken / seconds, putting / versions


def main() -> None:
    """Prints a table."""
    print("| actors | chunks a second | chunks [MB/s] | weights [MB/s] | putting weights [ms] |")
    print("|---|---|---|---|---|")
    chunk, weights = 4e-6 * HORIZON * WORLDS * SAMPLE, 4e-6 * WEIGHTS
    with connected(LOCAL, ["inhand"], processors=8):
        for actors in (1, 2, 4, 8):
            rate, putting = measure(actors)
            cells = (actors, f"{rate:.0f}", f"{rate * chunk:.0f}", f"{rate * weights:.0f}")
            print(f"| {' | '.join(map(str, cells))} | {1e3 * putting:.1f} |", flush=True)


if __name__ == "__main__":
    main()
