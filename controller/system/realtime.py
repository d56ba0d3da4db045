"""Real-time scheduling of the tick; every measure that the system refuses is logged."""

import ctypes
import gc
import logging
import os
import resource
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_SWITCH_INTERVAL = 0.0005
_NICE = 5
"""Nice value of the processes that do not move the hand."""

_FILES = 8192
"""File descriptors that the daemon asks for; it needs fewer than 400."""

_STARTING = 0.5
"""A thread that still has no ZeroMQ name after this time [s] belongs to another library."""


def configure_realtime(
    *, priority: int, affinity: Sequence[int], lock_memory: bool
) -> dict[str, bool]:
    """Applies each measure to the calling thread or the process.

    Call it from the thread that ticks, when everything it needs has been imported and built and
    the threads beside it run.

    Args:
        priority: SCHED_FIFO priority, 1 to 99, with the threads beside the tick one step below;
            0 leaves the ordinary scheduler.
        affinity: processor numbers the thread may run on; empty leaves all.
        lock_memory: whether to keep the process's pages in memory.

    Returns:
        For each measure that was asked for, whether the system granted it.
    """
    granted: dict[str, bool] = {}
    if priority:
        granted["SCHED_FIFO"] = _scheduler(priority)
    if granted.get("SCHED_FIFO") and priority > 1:
        granted["threads"] = _accompany(priority - 1)
    if affinity:
        granted["affinity"] = _affinity(affinity)
    if lock_memory:
        granted["mlockall"] = _lock_memory()
    # Objects made by now live until the end: garbage collections need not scan them again.
    gc.collect()
    gc.freeze()
    # The tick gets the interpreter lock from the threads of the sockets sooner than after 5 ms.
    sys.setswitchinterval(_SWITCH_INTERVAL)
    return granted


def raise_descriptors() -> None:
    """Raises this process's limit of file descriptors as far as the system allows, to `_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def lower_priority() -> None:
    """Lowers the priority of this thread, and of those that it starts from now on."""
    # Not essential: a system that refuses it is no reason to stop.
    with suppress(OSError):
        os.nice(_NICE)


def scheduling() -> dict[int, int]:
    """The scheduling policy of each thread of this process, by its number."""
    policies = {}
    for number in map(int, os.listdir("/proc/self/task")):
        with suppress(ProcessLookupError):
            policies[number] = os.sched_getscheduler(number)
    return policies


def restore_scheduling(before: dict[int, int]) -> None:
    """Takes real-time priorities back that a library gave to threads of this process.

    Args:
        before: what `scheduling` returned; threads that are newer get the ordinary policy.
    """
    for number, policy in scheduling().items():
        if policy != os.SCHED_OTHER == before.get(number, os.SCHED_OTHER):
            with suppress(ProcessLookupError):
                os.sched_setscheduler(number, os.SCHED_OTHER, os.sched_param(0))


def _accompany(priority: int) -> bool:
    """Gives the other threads, ZeroMQ's included, the priority one step below the tick.

    A thread that holds the interpreter lock makes the tick wait. If ordinary processes preempt
    that thread, it keeps the lock until it runs again. One step below the tick it releases the
    lock within `_SWITCH_INTERVAL` (docs/decisions/0002-sockets-beside-the-tick.md).
    """
    # Processes that these threads start get the ordinary scheduler again.
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    for number in _threads_beside():
        try:
            os.sched_setscheduler(number, policy, os.sched_param(priority))
        except ProcessLookupError:
            continue
        except OSError as error:
            log.warning(
                "no SCHED_FIFO priority %d for the threads beside the tick (%s): the tick may have "
                "to wait for them",
                priority,
                error,
            )
            return False
    return True


def _threads_beside() -> set[int]:
    """Ids of the other threads of Python and ZeroMQ.

    A starting ZeroMQ thread reads its own scheduling, sets it again, and aborts the process if it
    was changed in between (thread_routine in libzmq's thread.cpp). It gets its name after that, so
    this function waits until young threads have their names.
    """
    while True:
        python = {one.native_id for one in threading.enumerate() if one.native_id is not None}
        others = {int(name) for name in os.listdir("/proc/self/task")} - python
        of_zeromq = {number for number in others if _of(number, "comm").startswith("ZMQ")}
        if not any(_age(number) < _STARTING for number in others - of_zeromq):
            return python - {threading.get_native_id()} | of_zeromq
        time.sleep(0.01)


def _age(thread: int) -> float:
    """Age of a thread [s]; infinite if it has ended (proc(5), `starttime`)."""
    fields = _of(thread, "stat").rpartition(")")[2].split()
    if not fields:
        return float("inf")
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _of(thread: int, what: str) -> str:
    """A file of a thread in /proc; empty if the thread has ended."""
    try:
        return Path(f"/proc/self/task/{thread}/{what}").read_text()
    except OSError:
        return ""


def _scheduler(priority: int) -> bool:
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except (OSError, ValueError) as error:
        log.warning(
            "no SCHED_FIFO priority %d (%s): ticks may be late; allow it with LimitRTPRIO= or "
            "/etc/security/limits.conf",
            priority,
            error,
        )
        return False
    return True


def _affinity(affinity: Sequence[int]) -> bool:
    try:
        os.sched_setaffinity(0, affinity)
    except (OSError, ValueError) as error:
        log.warning("no affinity to processors %s (%s): running on any", list(affinity), error)
        return False
    return True


def _lock_memory() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    # MCL_ONFAULT: pages of libraries and thread stacks that are never used take no memory.
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        log.warning(
            "memory is not locked (%s): a page fault may delay a tick; allow it with "
            "LimitMEMLOCK=infinity",
            os.strerror(ctypes.get_errno()),
        )
        return False
    return True
