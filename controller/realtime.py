"""Asks the system for real-time treatment of the tick; every refusal is a logged downgrade."""

import ctypes
import gc
import logging
import os
import sys
import threading
from collections.abc import Sequence

log = logging.getLogger(__name__)

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_SWITCH_INTERVAL = 0.0005


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
    # What lives by now lives until the end: no collection need look at it again.
    gc.collect()
    gc.freeze()
    # A thread that works for the sockets gives way to the tick sooner than after 5 ms.
    sys.setswitchinterval(_SWITCH_INTERVAL)
    return granted


def _accompany(priority: int) -> bool:
    """Has the threads that run beside the tick, ZeroMQ's too, wait for nobody but the tick.

    A thread that holds the interpreter's lock keeps the tick waiting, and one that ordinary work
    has displaced holds it for as long as it stays displaced. One step below the tick it gives the
    lock back within `_SWITCH_INTERVAL` (docs/decisions/0002-sockets-beside-the-tick.md).
    """
    # What they start, processes above all, is ordinary work again.
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    for name in os.listdir("/proc/self/task"):
        if int(name) == threading.get_native_id():
            continue
        try:
            os.sched_setscheduler(int(name), policy, os.sched_param(priority))
        except ProcessLookupError:
            continue
        except OSError as error:
            log.warning(
                "no SCHED_FIFO priority %d for the threads beside the tick (%s): they may keep it "
                "waiting",
                priority,
                error,
            )
            return False
    return True


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
    # On fault: pages that are never touched, of libraries and thread stacks, take no memory.
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        log.warning(
            "memory is not locked (%s): a page fault may delay a tick; allow it with "
            "LimitMEMLOCK=infinity",
            os.strerror(ctypes.get_errno()),
        )
        return False
    return True
