"""The installed service under a system manager: how it starts, is watched, and ends.

Runs with INHAND_TEST_SYSTEMD=1: booting a manager, though it leaves nothing behind, is not what
somebody expects of `make test` on a workstation. The machine must have a processor to spare, or the
simulated servos answer too late.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.conftest import in_ci
from tests.systemd.machine import MANAGER, Machine, forbidden

UNIT = "inhandd-sim"

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(
        os.environ.get("INHAND_TEST_SYSTEMD") != "1",
        reason="boots a system manager; set INHAND_TEST_SYSTEMD=1 for that",
    ),
]


@pytest.fixture(scope="module")
def machine(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if not MANAGER.exists():
        message = f"{MANAGER} does not exist; install Debian's package systemd"
        pytest.fail(message) if in_ci() else pytest.skip(message)
    if reason := forbidden():
        pytest.skip(f"no system manager can be booted here: {reason}")
    layer = tmp_path_factory.mktemp("machine") / "layer"
    shutil.copytree(installed, layer, symlinks=True)
    layer.chmod(0o755)
    site = next((layer / "opt/inhand/venv/lib").glob("python3*/site-packages"))
    (site / "dependencies.pth").write_text("/opt/dependencies\n")
    # The machine that the tests run on has other things to do than to be punctual.
    # At that rate the policy that comes with the program does not run.
    patient = 'tick_rate = 20\n[safety]\njoint_ticks = 20\n[policy]\nfile = ""\n'
    (layer / "etc/inhand/inhandd.toml").write_text(patient)
    machine = Machine(layer)
    try:
        assert machine.run("systemd-sysusers", "inhand.conf").returncode == 0
        assert machine.run("systemd-tmpfiles", "--create", "inhand.conf").returncode == 0
        yield machine
    finally:
        machine.close()


@pytest.fixture
def service(machine: Machine) -> Machine:
    """The service, running and ready, its failures forgotten."""
    machine.call("systemctl", "reset-failed")
    started = machine.run("systemctl", "start", UNIT)
    assert started.returncode == 0, machine.journal(UNIT)
    return machine


def inhand(machine: Machine, *arguments: str) -> Any:
    done = machine.run("inhand", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def enable(machine: Machine) -> None:
    """Gives the servos torque; on a busy machine the simulated hand may need more than one try."""

    def torque() -> bool:
        machine.run("inhand", "clear")
        machine.run("inhand", "enable")
        return bool(inhand(machine, "status")["torque"])

    machine.wait(torque)


def assert_nothing_moves(machine: Machine) -> None:
    """After a start the servos are off; joints that a busy machine reads late are a fault."""
    status = inhand(machine, "status")
    assert status["mode"] in ("off", "fault") and not status["torque"]


def restarts(machine: Machine) -> int:
    return int(machine.property(UNIT, "NRestarts"))


def may_raise_limits(machine: Machine) -> bool:
    """Whether this machine's root may; in some containers it lacks CAP_SYS_RESOURCE (24)."""
    found = re.search(r"CapEff:\s+(\w+)", machine.call("cat", "/proc/1/status"))
    assert found
    return bool(int(found[1], 16) >> 24 & 1)


def main_process(machine: Machine) -> str:
    return machine.property(UNIT, "MainPID")


def is_back(machine: Machine, before: int) -> bool:
    return restarts(machine) > before and machine.property(UNIT, "ActiveState") == "active"


def test_it_is_active_only_when_it_takes_commands(machine: Machine) -> None:
    machine.run("systemctl", "stop", UNIT)
    machine.run("systemctl", "start", "--no-block", UNIT)
    seen = set()

    def active() -> bool:
        state = machine.property(UNIT, "ActiveState")
        ready = "inhandd ready" in machine.journal(UNIT)
        # What it printed may have come between the two questions, but never after the state.
        assert ready or state != "active"
        seen.add(state)
        return state == "active"

    machine.wait(active)
    assert "activating" in seen
    assert_nothing_moves(machine)


def test_it_gets_what_punctual_ticks_need_or_says_that_it_does_not(service: Machine) -> None:
    process = main_process(service)
    status = service.call("cat", f"/proc/{process}/status")
    locked = re.search(r"VmLck:\s+(\d+) kB", status)
    assert locked
    if may_raise_limits(service):
        assert re.search(r"SCHED_FIFO.*\n.*priority: 50", service.call("chrt", "-p", process))
        assert int(locked[1]) > 10_000
    else:
        said = service.journal(UNIT)
        assert (
            "WARNING no SCHED_FIFO priority 50" in said and "WARNING memory is not locked" in said
        )
        assert int(locked[1]) == 0
    # Children do not inherit the priority: a busy camera must not hold up the tick.
    for child in service.call("pgrep", "-P", process).split():
        assert "SCHED_OTHER" in service.call("chrt", "-p", child)


def test_it_may_touch_little(service: Machine) -> None:
    process = main_process(service)
    status = service.call("cat", f"/proc/{process}/status")
    assert re.search(r"CapEff:\s+0+\n", status) and re.search(r"NoNewPrivs:\s+1", status)
    assert service.call("stat", "-c", "%U:%G", f"/proc/{process}") == "inhand:inhand"
    inside = ("nsenter", "-t", process, "-m", "-n")
    assert service.run(*inside, "touch", "/opt/inhand/x").returncode != 0
    assert service.run(*inside, "touch", "/etc/inhand/x").returncode != 0
    assert service.call(*inside, "ls", "-A", "/root") == ""
    assert service.call(*inside, "ls", "/sys/class/net").split() in ([], ["lo"])


def test_only_members_of_the_group_command(service: Machine) -> None:
    groups = ("--clear-groups", "--reuid=nobody")
    ask = ("timeout", "60", "inhand", "status", "--json")
    member = service.run("setpriv", *groups, "--regid=inhand", *ask)
    assert member.returncode == 0 and "mode" in json.loads(member.stdout)
    stranger = service.run("setpriv", *groups, "--regid=nogroup", *ask)
    assert stranger.returncode != 0 and "mode" not in stranger.stdout


def test_a_daemon_that_hangs_is_restarted_and_moves_nothing(service: Machine) -> None:
    enable(service)
    before, process = restarts(service), main_process(service)
    service.run("kill", "-STOP", process)
    service.wait(lambda: is_back(service, before))
    assert main_process(service) != process
    service.wait(lambda: "Watchdog timeout" in service.journal(UNIT))
    assert_nothing_moves(service)


def test_a_daemon_that_is_killed_is_restarted_and_moves_nothing(service: Machine) -> None:
    enable(service)
    before, process = restarts(service), main_process(service)
    orphans = service.call("pgrep", "-P", process).split()
    assert orphans
    service.run("kill", "-KILL", process)
    service.wait(lambda: is_back(service, before))
    assert_nothing_moves(service)
    for orphan in orphans:
        assert service.run("test", "-e", f"/proc/{orphan}").returncode != 0


def test_it_ends_in_order_and_soon(service: Machine) -> None:
    enable(service)
    began = time.monotonic()
    assert service.run("systemctl", "stop", UNIT).returncode == 0
    assert time.monotonic() - began < 2.0
    assert service.property(UNIT, "Result") == "success"
    assert service.property(UNIT, "ExecMainStatus") == "0"
    assert "SIGTERM" in service.journal(UNIT)
    assert service.run("test", "-e", "/run/inhand").returncode != 0


def test_three_failures_are_enough(machine: Machine) -> None:
    machine.run("systemctl", "stop", UNIT)
    machine.call("systemctl", "reset-failed")
    config = "/etc/inhand/inhandd.toml"
    machine.run("cp", config, "/tmp/kept")
    machine.run("sh", "-c", f"echo 'tick_rat = 100' > {config}")
    machine.run("systemctl", "start", UNIT)
    machine.wait(lambda: machine.property(UNIT, "ActiveState") == "failed")
    machine.run("cp", "/tmp/kept", config)
    machine.wait(lambda: "Start request repeated too quickly" in machine.journal(UNIT))
    assert machine.journal(UNIT).count("tick_rat") == 3


def test_a_loop_of_crashes_ends_after_three_with_the_servos_off(service: Machine) -> None:
    # It is started three times within a minute; the start before the test may count or not.
    for _ in range(4):
        service.wait(lambda: service.property(UNIT, "ActiveState") in ("active", "failed"))
        if service.property(UNIT, "ActiveState") == "failed":
            break
        service.run("kill", "-ABRT", main_process(service))
        service.wait(lambda: service.property(UNIT, "ActiveState") != "active")
    service.wait(lambda: service.property(UNIT, "ActiveState") == "failed")
    assert "Start request repeated too quickly" in service.journal(UNIT)
    assert service.run("pgrep", "-u", "inhand").returncode != 0
    # Somebody has looked, and starts it again.
    service.call("systemctl", "reset-failed")
    assert service.run("systemctl", "start", UNIT).returncode == 0
    assert_nothing_moves(service)


PYTHON = "/opt/inhand/venv/bin/python"
FLOOD = """
import glob, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (12_000, 12_000))
kept = []
for path in glob.glob("/run/inhand/*"):
    for _ in range(5_000):
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        try:
            one.connect(path)
        except OSError:
            one.close()
        else:
            kept.append(one)
print(len(kept), flush=True)
sys.stdin.read()
"""


def test_silent_connections_do_not_use_up_its_descriptors(service: Machine) -> None:
    process = main_process(service)
    as_member = ("setpriv", "--clear-groups", "--reuid=nobody", "--regid=inhand")
    with service.started(*as_member, PYTHON, "-c", FLOOD) as flood:
        assert flood.stdout is not None
        connected = int(flood.stdout.readline())
        assert connected > 100
        descriptors = len(service.call("ls", f"/proc/{process}/fd").split())
        limit = re.search(r"Max open files +(\d+)", service.call("cat", f"/proc/{process}/limits"))
        assert limit and descriptors < int(limit[1]) / 4
        assert service.property(UNIT, "ActiveState") == "active"
    assert "mode" in inhand(service, "status")
    assert main_process(service) == process, service.journal(UNIT)


def test_without_a_hand_it_waits_for_one(machine: Machine) -> None:
    assert machine.run("systemctl", "start", "inhandd").returncode == 0
    assert machine.property("inhandd", "ConditionResult") == "no"
    assert machine.property("inhandd", "ActiveState") == "inactive"
    assert machine.run("systemctl", "enable", "inhandd").returncode == 0
    links = machine.call("ls", "/etc/systemd/system/dev-inhand.device.wants")
    assert links == "inhandd.service"


def test_uninstalling_stops_it_first(service: Machine) -> None:
    done = service.run("/opt/source/systemd/install.sh", "uninstall")
    assert done.returncode == 0, done.stderr
    assert service.property(UNIT, "ActiveState") == "inactive"
    assert service.run("test", "-e", "/opt/inhand").returncode != 0
    assert service.run("test", "-e", "/etc/inhand/inhandd.toml").returncode == 0
    assert not Path("/opt/inhand/share").exists(), "nothing of this happens outside"
