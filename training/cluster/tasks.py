"""Tasks on the machines of a cluster, each repeated if its machine fails; results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from inhand.errors import InhandError
from inhand.training.cluster.connection import ClusterError, cpus, first_line

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 2
"""Tasks a CPU that are handed out before their turn."""

RETRIES = 5
"""How often a task is repeated whose machine failed; it gives the same result each time."""


def in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Runs a function of a module for each item; the program is connected to a cluster.

    Raises:
        ClusterError: no machine could run a task.
        InhandError: of the function.
    """
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(function)
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(remote.remote(item))
        if len(waiting) >= AHEAD * max(1, cpus()):
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, InhandError):
            raise error.cause from error
        raise ClusterError(f"--ray: a task failed: {first_line(error)}") from error
    except RayError as error:
        raise ClusterError(
            f"--ray: no machine could run a task ({first_line(error)}); look at the cluster with "
            "`ray status`, and start again"
        ) from error
