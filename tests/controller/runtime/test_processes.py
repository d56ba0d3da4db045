"""The daemon's child processes: real processes that end, hang, and are restarted."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from inhand.controller.config.config import Config
from inhand.controller.config.sections import CameraConfig
from inhand.controller.errors import StartError
from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.runtime import supervisor as supervisor_module
from inhand.controller.runtime.processes import (
    Child,
    camera_arguments,
    start_cameras,
    start_simulation,
    wait_for_simulation,
)
from inhand.controller.runtime.supervisor import Supervisor
from inhand.controller.system.notify import notify, watchdog_period
from inhand.controller.system.sleep_lock import SleepLock
from inhand.perception.camera.settings import DeviceSettings
from tests.controller.bench_hand import Bench

READY = (
    'print(\'{"ready": true, "bus": "/dev/pts/9", "rig": "r.toml", '
    '"cameras": {"left": "ipc://l"}, "world": "ipc://w"}\', flush=True); '
    "import time; time.sleep(60)"
)


def child(program: str, name: str = "child", *, piped: bool = False) -> Child:
    return Child(name, ["-c", program], stdout=subprocess.PIPE if piped else None).start()


def wait(what: Callable[[], object], patience: float = 5.0) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_child_is_terminated_and_then_killed() -> None:
    willing = child("import time; time.sleep(60)")
    assert not willing.ended
    willing.stop()
    assert willing.process.returncode == -signal.SIGTERM
    stubborn = child(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(60)",
        piped=True,
    )
    assert stubborn.process.stdout is not None
    stubborn.process.stdout.readline()
    stubborn.stop()
    assert stubborn.process.returncode == -signal.SIGKILL


def test_the_ready_message_of_the_world() -> None:
    world = child(READY, piped=True)
    ready = wait_for_simulation(world)
    assert (ready.bus, ready.cameras) == ("/dev/pts/9", {"left": "ipc://l"})
    world.stop()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit(3)", "ended with code 3"),
        ("print('hello')", "sent b'hello"),
        ("print('{\"ready\": true}')", "instead of its ready message"),
    ],
)
def test_a_world_that_does_not_start(program: str, words: str) -> None:
    world = child(program, piped=True)
    with pytest.raises(StartError, match=words):
        wait_for_simulation(world)
    world.stop()


def test_a_world_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inhand.controller.runtime.processes.SIMULATION_TIMEOUT", 0.1)
    world = child("import time; time.sleep(60)", piped=True)
    with pytest.raises(StartError, match="not ready after"):
        wait_for_simulation(world)
    world.stop()


def test_a_simulation_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(StartError, match=r"pybullet is not installed.*inhand\[sim\]"):
        start_simulation(Config(), tmp_path, 0)


def test_arguments_of_a_camera_process() -> None:
    arguments = camera_arguments("left", "/dev/video0", "rig.toml", "block", "ipc://x")
    assert arguments[:2] == ["-m", "inhand.perception.camera.camera_process"]
    assert arguments[arguments.index("--source") + 1] == "/dev/video0"


def test_the_settings_of_a_camera_reach_its_process(tmp_path: Path) -> None:
    device = CameraConfig(source="/dev/video0", format="MJPG", exposure=0.004)
    (camera,) = start_cameras(
        {"left": "/dev/video99"},
        "rig.toml",
        "block",
        f"ipc://{tmp_path}/x",
        tmp_path,
        settings={"left": device},
    )
    camera.stop()
    arguments = list(camera.process.args)
    told = arguments[arguments.index("--settings") + 1]
    assert msgspec.json.decode(told, type=DeviceSettings) == DeviceSettings(
        format="MJPG", exposure=0.004
    )


def test_a_camera_is_restarted_and_a_world_is_not(caplog: pytest.LogCaptureFixture) -> None:
    reasons: list[str] = []
    supervisor = Supervisor(reasons.append)
    request_queue = RequestQueue().open()
    camera, world = (child("import time; time.sleep(60)", n) for n in ("camera", "simulation"))
    supervisor.watch(camera)
    supervisor.watch(world)
    supervisor.start(request_queue, dry_run=False)
    camera.process.kill()
    wait(lambda: "camera ended with code -9; starting it again" in caplog.text)
    world.process.kill()
    wait(lambda: reasons)
    assert reasons[0] == supervisor.failure == "the simulation ended with code -9"
    supervisor.stop()
    request_queue.close()


def test_torque_takes_the_lock_against_sleep_and_a_refusal_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd-inhibit").write_text(
        "#!/bin/sh\nif [ -e no ]; then exit 1; fi\nexec cat\n"
    )
    (tmp_path / "systemd-inhibit").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    bench, request_queue = Bench(), RequestQueue().open()
    lock = SleepLock(tmp_path)
    monkeypatch.setattr(supervisor_module, "SleepLock", lambda: lock)
    supervisor = Supervisor(print)
    supervisor.keep_awake()
    supervisor.start(request_queue, dry_run=False)
    bench.run(0.1)

    def torque(on: bool, shown: Callable[[], object]) -> None:
        (bench.controller.enable if on else bench.controller.disable)()
        bench.tick()
        request_queue.snapshot = bench.controller.snapshot()
        wait(shown)

    torque(True, lambda: lock.held)
    torque(False, lambda: not lock.held)
    (tmp_path / "no").touch()
    torque(True, lambda: lock.problem)
    assert "may go to sleep" in lock.problem
    supervisor.stop()
    request_queue.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The notification socket of the service manager."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    listening.settimeout(120.0)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    return listening


def test_only_a_tick_that_advances_feeds_the_watchdog(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench, request_queue = Bench(), RequestQueue().open()
    supervisor = Supervisor(print)
    supervisor.start(request_queue, dry_run=True)
    time.sleep(0.3)
    bench.run(0.1)
    request_queue.snapshot = bench.controller.snapshot()
    assert manager.recv(100) == b"WATCHDOG=1"
    manager.settimeout(0.6)
    with pytest.raises(TimeoutError):
        manager.recv(100)
    manager.settimeout(120)
    bench.tick()
    request_queue.snapshot = bench.controller.snapshot()
    assert manager.recv(100) == b"WATCHDOG=1"
    wait(lambda: "dry run: mode off, joints read, object seen 0.00 s ago" in caplog.text)
    supervisor.stop()
    request_queue.close()


def test_in_simulated_time_the_watchdog_is_always_fed(
    manager: socket.socket,
) -> None:
    bench, request_queue = Bench(), RequestQueue().open()
    bench.run(0.1)
    request_queue.snapshot = bench.controller.snapshot()
    supervisor = Supervisor(print, lambda: 0.0, simulated=True)
    supervisor.start(request_queue, dry_run=False)
    for _ in range(3):
        assert manager.recv(100) == b"WATCHDOG=1"
    supervisor.stop()
    request_queue.close()


def test_the_service_manager_is_notified(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert notify("READY=1") and manager.recv(100) == b"READY=1"
    assert watchdog_period() == 2.0
    name = f"@inhand-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind("\0" + name[1:])
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert notify("STOPPING=1") and abstract.recv(100) == b"STOPPING=1"
    monkeypatch.delenv("NOTIFY_SOCKET")
    monkeypatch.delenv("WATCHDOG_USEC")
    assert not notify("READY=1") and watchdog_period() is None
