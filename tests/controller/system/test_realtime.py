"""Real-time measures: a refused measure is a warning and not an error."""

import os
import subprocess
import sys
import threading

import pytest

from inhand.controller.system.realtime import lower_priority

pytestmark = pytest.mark.alone

PROGRAM = """
import gc, json, logging, resource, sys
from inhand.controller.system.realtime import configure_realtime
logging.basicConfig(level=logging.WARNING, format="%(message)s")
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
given = configure_realtime(priority=500, affinity=[4096], lock_memory=False)
none = configure_realtime(priority=0, affinity=[], lock_memory=False)
print(json.dumps([given, none, gc.get_freeze_count() > 0, sys.getswitchinterval()]))
"""


def test_refused_measures_are_logged_and_the_others_applied() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120
    )
    expected = '[{"SCHED_FIFO": false, "affinity": false}, {}, true, 0.0005]'
    assert ended.stdout.strip() == expected
    assert "no SCHED_FIFO priority 500" in ended.stderr
    assert "no affinity to processors [4096]" in ended.stderr


def test_granted_measures_are_in_force() -> None:
    program = (
        "import os; from inhand.controller.system.realtime import configure_realtime; "
        f"print(configure_realtime(priority=0, affinity=[{min(os.sched_getaffinity(0))}], "
        "lock_memory=True)['affinity'], len(os.sched_getaffinity(0)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert ended.stdout.split() == ["True", "1"]


def require_fifo() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))
    except OSError:
        # Most users may not: it takes LimitRTPRIO=, as the service has it.
        pytest.skip("this user may not use SCHED_FIFO")
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_other_threads_get_the_priority_below_the_tick_and_their_processes_do_not() -> None:
    program = """
import os, subprocess, sys, threading
from inhand.controller.system.realtime import configure_realtime
go, found = threading.Event(), []
def beside():
    go.wait()
    found.append((os.sched_getscheduler(0) & 0xff, os.sched_getparam(0).sched_priority))
    code = "import os; print(os.sched_getscheduler(0))"
    found.append(int(subprocess.check_output([sys.executable, "-c", code])))
thread = threading.Thread(target=beside)
thread.start()
granted = configure_realtime(priority=40, affinity=[], lock_memory=False)
go.set(), thread.join()
print(granted == {"SCHED_FIFO": True, "threads": True}, found)
"""
    require_fifo()
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    assert ended.stdout.strip() == f"True [({os.SCHED_FIFO}, 39), {os.SCHED_OTHER}]"


def test_threads_that_start_at_this_moment_are_left_to_start() -> None:
    """ZeroMQ ends the process if the scheduling of its thread changes while it sets it."""
    program = """
import zmq
from inhand.controller.system.realtime import configure_realtime
for _ in range(300):
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    granted = configure_realtime(priority=2, affinity=[], lock_memory=False)
    socket.close(0)
    context.term()
print(granted)
"""
    require_fifo()
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=240
    )
    assert ended.returncode == 0 and "'SCHED_FIFO': True" in ended.stdout, ended.stderr


def test_it_lowers_the_priority() -> None:
    told: list[int] = []

    def look() -> None:
        lower_priority()
        told.append(os.getpriority(os.PRIO_PROCESS, 0))

    # The priority is a thread's own.
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert told == [min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)]
