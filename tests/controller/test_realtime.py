"""Real-time measures: what the system refuses is a warning, never an end."""

import os
import subprocess
import sys

PROGRAM = """
import gc, json, logging, resource, sys
from controller.realtime import configure_realtime
logging.basicConfig(level=logging.WARNING, format="%(message)s")
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
given = configure_realtime(priority=500, affinity=[4096], lock_memory=False)
none = configure_realtime(priority=0, affinity=[], lock_memory=False)
print(json.dumps([given, none, gc.get_freeze_count() > 0, sys.getswitchinterval()]))
"""


def test_what_is_refused_is_said_and_the_rest_applied() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=30
    )
    expected = '[{"SCHED_FIFO": false, "affinity": false}, {}, true, 0.0005]'
    assert ended.stdout.strip() == expected
    assert "no SCHED_FIFO priority 500" in ended.stderr
    assert "no affinity to processors [4096]" in ended.stderr


def test_what_is_granted_is_in_force() -> None:
    program = (
        "import os; from controller.realtime import configure_realtime; "
        f"print(configure_realtime(priority=0, affinity=[{min(os.sched_getaffinity(0))}], "
        "lock_memory=True)['affinity'], len(os.sched_getaffinity(0)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stdout.split() == ["True", "1"]
