"""Actors that work for one learner: each has one call at a time, and those that fail are replaced.

An actor that dies is started again by Ray, on any machine with a free CPU, with nothing of its
state. Its call is lost and never repeated, so that no result comes twice.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from inhand.training.cluster.connection import ClusterError, cpus, first_line

RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.5
MOST_DOUBLINGS = 4
"""Of the patience with an actor that has never answered."""


@dataclass
class Counts:
    """What happened so far.

    Attributes:
        results: that were taken.
        lost: calls whose actor died, or was unavailable.
        hung: calls that took too long; their actors were killed.
        refused: results that the learner did not take, since they were too old.
        repeated: results that had been taken before; there should be none.
    """

    results: int = 0
    lost: int = 0
    hung: int = 0
    refused: int = 0
    repeated: int = 0


@dataclass
class Slot:
    """A place for an actor.

    Attributes:
        number: of the place, from 0.
        actor: Ray's handle.
        life: how often the place began anew.
        call: the call that is out, if any.
        calls: number of calls in this life.
        since: when the call was made, or until when none is made [s].
        worked: whether this life has given a result.
        problem: why the last call failed; empty after a result.
        vain: lives before this one that were ended as hung without a result.
    """

    number: int
    actor: Any
    life: int = 0
    call: Any = None
    calls: int = 0
    since: float = 0.0
    worked: bool = False
    problem: str = ""
    vain: int = 0

    def begin_anew(self, problem: str) -> None:
        """The actor has lost its state."""
        self.life, self.calls, self.call = self.life + 1, 0, None
        self.worked, self.problem = False, problem
        self.since = time.monotonic() + RETRY_SECONDS


class _Host:
    """The process of an actor; it makes the actor with the first call.

    Args:
        number: of its place.
        kind: the actor's class.
    """

    def __init__(self, number: int, kind: Callable[..., Any]) -> None:
        self._number, self._kind = number, kind
        self._actor: Any = None

    def work(self, life: int, call: int, order: Any, shared: list[Any]) -> Any:
        """What the actor does.

        Args:
            life: how often its place began anew.
            call: number of calls before in this life.
            order: what to do.
            shared: references of the other arguments of the actor's constructor. They come with
                each call, since Ray cannot keep them for a restart.
        """
        if self._actor is None:
            self._actor = self._kind(self._number, *ray.get(shared))
        return self._actor.work(life, call, order)


class ActorPool:
    """A number of actors of one class, with a method `work(life, call, order)`.

    Args:
        kind: the class.
        arguments: of its constructor, after the number of the actor's place. They stay with this
            process, and are sent to each machine once.
        size: number of actors.
        patience: time after which an actor that does not answer is killed [s]; longer for one that
            never did.
        memory: that an actor needs [bytes].

    Attributes:
        counts: what happened so far.
    """

    def __init__(
        self,
        kind: Callable[..., Any],
        arguments: tuple[Any, ...],
        size: int,
        patience: float,
        memory: int = 0,
    ) -> None:
        self._kind, self._arguments, self._size = kind, arguments, size
        self._patience, self._memory = patience, memory
        self.counts = Counts()
        self._shared: list[Any] = []
        self._slots: list[Slot] = []
        self._taken: dict[int, tuple[int, int]] = {}
        self._silent_since = 0.0

    def start(self) -> None:
        """Starts the actors."""
        self._shared = [ray.put(argument) for argument in self._arguments]
        self._slots = [Slot(i, self._new(i)) for i in range(self._size)]
        self._silent_since = time.monotonic()

    def _new(self, number: int) -> Any:
        options: dict[str, Any] = {"memory": self._memory} if self._memory else {}
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0, **options)
        return remote(_Host).remote(number, self._kind)

    def stop(self) -> None:
        """Ends the actors."""
        for slot in self._slots:
            ray.kill(slot.actor)
        self._slots = []

    @property
    def working(self) -> int:
        """Number of actors whose present life has given a result."""
        return sum(slot.worked for slot in self._slots)

    def take(
        self,
        count: int,
        order: Any,
        fits: Callable[[Any], bool],
        give_up: Callable[[], bool] = lambda: False,
    ) -> list[Any]:
        """Waits for results; an actor that is done gets its next call at once.

        Args:
            count: number of results.
            order: argument of each new call, a reference of `ray.put`.
            fits: whether a result is taken; it is counted as refused otherwise.
            give_up: whether to return with fewer results.

        Raises:
            ClusterError: the code of an actor failed.
        """
        found: list[Any] = []
        while len(found) < count and not give_up():
            self._call_idle(order)
            calls = {slot.call: slot for slot in self._slots if slot.call is not None}
            if not calls:
                time.sleep(LOOK_SECONDS)
            else:
                for call in ray.wait(list(calls), num_returns=1, timeout=LOOK_SECONDS)[0]:
                    found += self._result(calls[call], call, fits)
            self._look_for_hung()
        self._call_idle(order)
        return found

    def _call_idle(self, order: Any) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.call is None and now >= slot.since:
                slot.call = slot.actor.work.remote(slot.life, slot.calls, order, self._shared)
                slot.calls, slot.since = slot.calls + 1, now

    def _result(self, slot: Slot, call: Any, fits: Callable[[Any], bool]) -> list[Any]:
        """The result of a call that has ended, if it is one to take."""
        try:
            result = ray.get(call)
        except RayTaskError as error:
            # The actor lives; its code failed, which would happen again.
            raise ClusterError(f"--ray: an actor failed: {first_line(error)}") from error
        except RayError as error:
            self._lost(slot, error)
            return []
        at = slot.life, slot.calls - 1
        slot.call, slot.since, slot.worked, slot.problem, slot.vain = None, 0.0, True, "", 0
        self._silent_since = time.monotonic()
        if at <= self._taken.get(slot.number, (-1, -1)):
            self.counts.repeated += 1
            return []
        self._taken[slot.number] = at
        if not fits(result):
            self.counts.refused += 1
            return []
        self.counts.results += 1
        return [result]

    def _lost(self, slot: Slot, error: RayError) -> None:
        # As long as Ray has no machine for the actor, each call fails. The first one counts.
        if not slot.problem:
            self.counts.lost += 1
            say(f"actor {slot.number} was lost with its call; it begins anew")
        slot.begin_anew(first_line(error))
        if isinstance(error, ActorDiedError):
            # Ray will not start it again, since it failed in its constructor.
            slot.actor = self._new(slot.number)

    def _look_for_hung(self) -> None:
        now = time.monotonic()
        room = cpus() >= len(self._slots) if self._overdue(now) else True
        for slot in self._overdue(now):
            # A life that has not begun may wait for a machine.
            if slot.worked or room:
                self.counts.hung += 1
                say(f"actor {slot.number} has not answered for {self._limit(slot):g} s; killed")
                slot.vain = 0 if slot.worked else slot.vain + 1
                ray.kill(slot.actor, no_restart=False)
                slot.begin_anew("it hung")
        if now - self._silent_since > self._patience:
            self._silent_since = now
            problem = "; ".join({slot.problem for slot in self._slots if slot.problem}) or "busy"
            say(f"no result for {self._patience:g} s, waiting for the cluster ({problem})")

    def _overdue(self, now: float) -> list[Slot]:
        return [
            slot
            for slot in self._slots
            if slot.call is not None and now - slot.since > self._limit(slot)
        ]

    def _limit(self, slot: Slot) -> float:
        """Time after which an actor counts as hung [s].

        It doubles with each life in vain: an actor that only starts slowly must not be ended again
        and again.
        """
        return self._patience * 2.0 ** min(slot.vain, MOST_DOUBLINGS)


def say(line: str) -> None:
    """Tells the user what happens in the cluster."""
    print(f"cluster: {line}", file=sys.stderr, flush=True)
