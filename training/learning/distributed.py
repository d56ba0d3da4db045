"""A learner whose worlds are stepped by actors on the machines of a Ray cluster.

The learner is the one process with an optimizer, and with the queues of automatic ranges. It puts
its weights into Ray's store once a version. Actors act with the newest version while it learns, so
that their chunks are usually one version old.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.cluster.actors import ActorPool
from inhand.training.cluster.connection import ClusterError, alive_nodes, cpus
from inhand.training.learning.automatic_curriculum import curriculum_state
from inhand.training.learning.experience import as_tensors, as_vector, joined
from inhand.training.learning.learners import (
    Learner,
    Stopped,
    load_networks,
    make_learner,
    make_worlds,
    start_from,
)
from inhand.training.learning.memory import bytes_needed
from inhand.training.learning.rollout_actor import (
    Blueprint,
    Chunk,
    Order,
    RolloutActor,
    with_settings,
)
from inhand.training.learning.run_recipe import RunRecipe
from inhand.training.learning.teacher import Teacher

OLDEST = 2
"""Versions that a chunk may be behind the learner; older ones are dropped and counted."""

PATIENCE = 180.0
"""Time after which an actor that does not answer is replaced [s]."""

MODULES = "inhand", "mujoco", "torch"
"""What every machine of a cluster must have for training."""


class DistributedLearner:
    """A learner that is fed by actors; the program is connected to a cluster.

    Args:
        recipe: of the run.
        runs: folder of the runs.
        device: of the learner.
        threads: of the learner; 0: the cores of this machine that are not needed for actors.
        actors: their number; 0: one for each CPU of the cluster, but one for the learner.
        stop: whether the run was asked to stop.
        oldest: versions that a chunk may be behind.
        patience: time after which an actor that does not answer is replaced [s].

    Attributes:
        learner: it has one world, of which it needs the hand and the curriculum alone.
        bytes: of the newest weights, and of the chunks of the last iteration.
        waited: time of the last iteration in which the learner waited for chunks [s].

    Raises:
        CheckpointError: a checkpoint that the recipe starts from is missing, or does not fit.
        ClusterError: the worlds do not fit into the memory of the cluster.
    """

    def __init__(
        self,
        recipe: RunRecipe,
        runs: Path,
        device: str,
        threads: int = 0,
        actors: int = 0,
        stop: Callable[[], bool] = lambda: False,
        oldest: int = OLDEST,
        patience: float = PATIENCE,
    ) -> None:
        self._recipe, self._device = recipe, device
        self._stop, self._oldest, self._patience = stop, oldest, patience
        worlds = recipe.settings.worlds
        count = min(actors or max(1, cpus() - 1), worlds)
        self._worlds = -(-worlds // count)
        self._chunks = -(-worlds // self._worlds)
        self._count = max(count, self._chunks)
        self._hand, self._target = load_hand(recipe.hand), load_object(recipe.object)
        check_memory(recipe, self._count, self._worlds)
        # Actors take a core each; a learner that shares one waits for its slowest thread.
        torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) - self._count))
        alone = with_settings(recipe, 1, recipe.settings.seed)
        world = make_worlds(alone, self._hand, self._target, threads=1)
        self._networks = load_networks(recipe, world, runs)
        self.learner: Learner = make_learner(recipe, world, self._networks, device)
        start_from(self.learner, recipe, runs)
        self.pool: ActorPool | None = None
        self.bytes = 0, 0
        self.waited = 0.0

    @property
    def iteration(self) -> int:
        """Iterations so far."""
        return self.learner.iteration

    @property
    def steps(self) -> int:
        """Policy steps of all worlds so far."""
        return self.learner.steps

    @property
    def seconds(self) -> float:
        """Time spent so far [s]."""
        return self.learner.seconds

    def save(self, path: Path) -> None:
        """Writes a checkpoint, as if the worlds were here."""
        self.learner.save(path)

    def resume(self, path: Path) -> None:
        """Continues from a checkpoint; raises as `read_checkpoint` does."""
        self.learner.resume(path)

    def close(self) -> None:
        """Ends the actors."""
        if self.pool:
            self.pool.stop()
            self.pool = None

    def iterate(self) -> dict[str, float]:
        """Waits for chunks, and learns from them; returns the row for the log.

        Raises:
            Stopped: the run was asked to stop.
            ClusterError: the code of an actor failed.
            FloatingPointError: the loss is not finite.
        """
        pool = self.pool or self._start()
        began = time.monotonic()
        order = ray.put(self._order())
        chunks: list[Chunk] = pool.take(self._chunks, order, self._fits, self._stop)
        if len(chunks) < self._chunks:
            raise Stopped
        self.waited = time.monotonic() - began
        self.bytes = self.bytes[0], sum(size_of(chunk.experience) for chunk in chunks)
        learner, worlds = self.learner, self.learner.worlds
        seen = joined([as_tensors(chunk.experience, self._device) for chunk in chunks])
        for chunk in chunks:
            for end, goals in chunk.ends:
                if worlds.ranges:
                    worlds.ranges.count(end, goals)
            for goals in chunk.finest:
                if worlds.precision:
                    worlds.precision.count(goals)
        if isinstance(learner, Teacher):
            learner.join_scales(seen.scales)
        row = learner.learn(seen, began)
        counts = pool.counts
        return {
            **row,
            "actors": pool.working,
            "chunks_lost": counts.lost + counts.hung,
            "chunks_too_old": counts.refused,
            "waiting": self.waited / (time.monotonic() - began),
        }

    def _start(self) -> ActorPool:
        plan = Blueprint(
            self._recipe, self._hand, self._target, self._networks, self._worlds, self.iteration
        )
        needed = bytes_needed(self._recipe, self._worlds)
        pool = ActorPool(RolloutActor, (plan,), self._count, self._patience, needed)
        pool.start()
        self.pool = pool
        return pool

    def _fits(self, chunk: Chunk) -> bool:
        valid = self.learner.valid_from if isinstance(self.learner, Teacher) else 0
        return chunk.version >= max(self.iteration - self._oldest, valid)

    def _order(self) -> Order:
        learner, worlds = self.learner, self.learner.worlds
        weights = as_vector(learner.weights)
        self.bytes = weights.nbytes, self.bytes[1]
        curriculum = curriculum_state(worlds)
        if curriculum["ranges"]:
            # The queues of the ends stay here.
            curriculum["ranges"]["collected"] = {}
        return Order(
            version=self.iteration,
            weights=weights,
            difficulty=(worlds.goal_distance, worlds.universe_scale),
            curriculum=curriculum,
            measures=isinstance(learner, Teacher) and learner.measures,
        )


def size_of(value: Any) -> int:
    """Bytes of all arrays in some records."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if hasattr(value, "__struct_fields__"):
        return sum(size_of(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, tuple | list):
        return sum(size_of(item) for item in value)
    return 0


def check_memory(recipe: RunRecipe, actors: int, worlds: int) -> None:
    """Compares what the actors need with what the machines of the cluster have.

    Raises:
        ClusterError: not all actors fit.
    """
    each = bytes_needed(recipe, worlds)
    room = sum(int(node["Resources"].get("memory", 0)) // each for node in alive_nodes())
    if room < actors:
        raise ClusterError(
            f"--ray: {actors} actors with {worlds} worlds each need {actors * each / 1e9:.1f} GB, "
            f"and the cluster has room for {room}; set fewer worlds in the recipe, or add machines"
        )
