"""Spreads trials over processes or machines; results and their order do not depend on that."""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from inhand.training.evaluation.trials import EvaluationError

T = TypeVar("T")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1


def cluster(address: str, jobs: int, modules: Sequence[str]) -> AbstractContextManager[None]:
    """The connection to a Ray cluster, if there is an address.

    Args:
        address: HOST:PORT of its head, `local`, or empty.
        jobs: as given by the user.
        modules: what its machines must be able to import.

    Raises:
        EvaluationError: processes and a cluster were asked for.
        ClusterError: the cluster cannot be used.
    """
    if not address:
        return nullcontext()
    if jobs > 1:
        raise EvaluationError("--ray and --jobs exclude each other: the cluster has its own number")
    # Ray is in an extra of its own.
    from inhand.training.cluster.connection import connected

    return connected(address, ["inhand", *modules])


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Raises KeyboardInterrupt in this thread, the main one, also at SIGTERM.

    So a service manager, a job's time limit or `kill` loses no result. In the background of a shell
    a program ignores SIGINT, so that SIGTERM is the one way to end it.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def spread(
    function: Callable[[T], R], items: Sequence[T], jobs: int = 1, on_cluster: bool = False
) -> Iterator[R]:
    """Calls a function of a module with each item; yields the results in order.

    Args:
        function: what to do; its result depends on the item alone.
        items: its arguments.
        jobs: number of processes; 1: this one.
        on_cluster: whether the work goes to the cluster that this program is connected to.
    """
    if on_cluster:
        from inhand.training.cluster.tasks import in_order

        yield from in_order(function, items)
    elif jobs == 1:
        yield from map(function, items)
    else:
        # ONNX Runtime's threads do not survive a fork: a forked process would hang.
        context = multiprocessing.get_context("spawn")
        others = multiprocessing.active_children()
        with ProcessPoolExecutor(jobs, context, _begin_work, (os.getpid(),)) as pool:
            # Not `pool.map`, whose cancelled items fail once more when their workers are ended.
            results = [pool.submit(function, item) for item in items]
            try:
                yield from (result.result() for result in results)
            except BaseException:
                # The pool would wait until all items are done, which takes minutes to hours.
                for child in multiprocessing.active_children():
                    if child not in others:
                        child.terminate()
                raise


def _begin_work(parent: int) -> None:
    """Prepares a worker process: no output, and it ends when its parent ends.

    Args:
        parent: process id of the parent.
    """
    silence()
    # Also if a signal kills the parent (prctl(2)).
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have ended before that.
    if os.getppid() != parent:
        os._exit(1)


def silence() -> None:
    """Drops the standard output of this process, also of C code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
