"""What an unprivileged user is refused, and what root is granted: each in a process of its own."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

ASK = """
import gc, json, logging, os, resource, subprocess, sys
from pathlib import Path
from inhand.controller.system.realtime import configure_realtime

refuse, priority, affinity = json.loads(sys.argv[1])
logging.basicConfig(format="%(levelname)s %(message)s")
# A process that has real-time priority already may keep it.
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
if refuse:
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    if os.getuid() == 0:
        os.setuid(65534)
granted = configure_realtime(priority=priority, affinity=affinity, lock_memory=priority > 0)
status = Path("/proc/self/status").read_text()
locked = int(status.split("VmLck:")[1].split()[0])
child = subprocess.run(["sh", "-c", "chrt -p $$"], capture_output=True, text=True)
print(json.dumps({
    "granted": granted,
    "policy": os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK,
    "priority": os.sched_getparam(0).sched_priority,
    "affinity": sorted(os.sched_getaffinity(0)),
    "locked": locked,
    "frozen": gc.get_freeze_count(),
    "switch": sys.getswitchinterval(),
    "child": child.stdout,
}))
"""


def ask(*, refuse: bool, priority: int, affinity: list[int]) -> tuple[dict[str, Any], list[str]]:
    """The result, and the lines that were logged."""
    command = [sys.executable, "-c", ASK, json.dumps([refuse, priority, affinity])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr.splitlines()


def test_every_refusal_is_a_warning_and_the_rest_goes_on() -> None:
    result, said = ask(refuse=True, priority=50, affinity=[4000])
    assert result["granted"] == {"SCHED_FIFO": False, "affinity": False, "mlockall": False}
    assert result["policy"] == os.SCHED_OTHER and result["locked"] == 0
    assert len(said) == 3 and all(line.startswith("WARNING") for line in said)
    for line, remedy in zip(said, ["LimitRTPRIO", "running on any", "LimitMEMLOCK"], strict=True):
        assert remedy in line
    assert result["frozen"] > 0 and result["switch"] < 0.001


def test_what_is_not_asked_for_is_not_done() -> None:
    result, said = ask(refuse=True, priority=0, affinity=[])
    assert result["granted"] == {} and not said
    assert result["affinity"] == sorted(os.sched_getaffinity(0))


@pytest.mark.skipif(os.getuid() != 0, reason="only root is sure to be granted everything")
def test_what_is_granted_is_in_force() -> None:
    one = min(os.sched_getaffinity(0))
    result, said = ask(refuse=False, priority=10, affinity=[one])
    asked = ["SCHED_FIFO", "threads", "affinity", "mlockall"]
    assert result["granted"] == dict.fromkeys(asked, True)
    assert not said
    assert (result["policy"], result["priority"]) == (os.SCHED_FIFO, 10)
    assert result["affinity"] == [one] and result["locked"] > 1000
    assert "SCHED_OTHER" in result["child"], "children do not inherit the priority"
