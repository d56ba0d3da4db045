"""`inhand doctor`: checks of the computer, cameras, policy and service. Changes nothing."""

import os
import platform
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inhand.controller.calibration.doctor_tags import look_through
from inhand.controller.config.config import Config
from inhand.controller.config.eyes import check_eyes, eyes_of
from inhand.controller.policy.files import SHIPPED, allowed_hashes, file_to_load, find_policy
from inhand.controller.policy.runtime import load_policy
from inhand.controller.recording.retention import RESERVE
from inhand.controller.system.paths import recordings_directory, run_directory
from inhand.controller.system.sleep_lock import LOCK, SEATS
from inhand.errors import InhandError
from inhand.hardware.findings import Finding
from inhand.hardware.model.hand import load_hand
from inhand.perception.camera.both_eyes import BothEyes
from inhand.perception.cameras import load_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.errors import PerceptionError
from inhand.perception.keypoints.detector import VertexDetector
from inhand.perception.objects import load_object

STALE = 90
"""Age at which a calibration should be repeated [days]."""

_SCORE_BAR = 1.7


def check_station(config: Config, root: Path = Path("/")) -> list[Finding]:
    """Checks everything except the servo bus.

    Args:
        config: of the daemon that is to run here.
        root: where `sys` and the units are; another one in tests.
    """
    return [
        _kernel(root),
        _priority(config.realtime.priority),
        _memory(config.realtime.lock_memory),
        _governor(root),
        *_sleep(config.realtime.stay_awake),
        *_latency_timers(root),
        *_cameras(config),
        _policy(config),
        _disk(config),
        _sockets(config),
        _unit(root),
    ]


def _kernel(root: Path) -> Finding:
    flag = root / "sys/kernel/realtime"
    release = platform.release()
    if flag.exists() and flag.read_text().strip() == "1":
        return Finding("kernel", "good", f"{release}, PREEMPT_RT")
    return Finding(
        "kernel",
        "warning",
        f"{release} is not PREEMPT_RT: single ticks may be late",
        "install a real-time kernel (Debian: linux-image-rt-amd64)",
    )


def _priority(wanted: int) -> Finding:
    allowed, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    if os.geteuid() == 0 or wanted == 0 or allowed == resource.RLIM_INFINITY or allowed >= wanted:
        return Finding("real-time priority", "good", f"{wanted} may be asked for")
    return Finding(
        "real-time priority",
        "warning",
        f"{wanted} is configured, {allowed} is allowed to this user",
        "run the service, or raise rtprio in /etc/security/limits.d",
    )


def _memory(wanted: bool) -> Finding:
    allowed, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    enough = allowed == resource.RLIM_INFINITY or allowed >= 1 << 30
    if not wanted or os.geteuid() == 0 or enough:
        return Finding("locked memory", "good", "allowed" if wanted else "not asked for")
    return Finding(
        "locked memory",
        "warning",
        f"only {allowed >> 10} KiB may be locked: a page fault may delay a tick",
        "run the service, or raise memlock in /etc/security/limits.d",
    )


def _governor(root: Path) -> Finding:
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    slow = {file.read_text().strip() for file in files} - {"performance"}
    if not files:
        return Finding("processor governor", "good", "not adjustable on this system")
    if not slow:
        return Finding("processor governor", "good", "performance")
    return Finding(
        "processor governor",
        "warning",
        f"{', '.join(sorted(slow))}: the processor wakes slowly",
        "cpupower frequency-set -g performance",
    )


def _sleep(wanted: bool) -> Iterator[Finding]:
    if not wanted or not SEATS.is_dir():
        return
    try:
        tried = subprocess.run(
            [*LOCK, "true"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=5,
            check=False,
        )
        problem = tried.stderr.strip().splitlines()[-1:] if tried.returncode else []
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = [str(error)]
    if problem:
        remedy = "allow it, or forbid sleep as a whole (docs/operating.md, Sleep)"
        yield Finding("sleep", "warning", f"cannot be prevented: {problem[0]}", remedy)
    else:
        yield Finding("sleep", "good", "can be prevented while the hand has torque")


def _latency_timers(root: Path) -> Iterator[Finding]:
    for file in sorted((root / "sys/bus/usb-serial/devices").glob("*/latency_timer")):
        milliseconds = int(file.read_text())
        name = f"serial adapter {file.parent.name}"
        if milliseconds <= 1:
            yield Finding(name, "good", f"latency timer at {milliseconds} ms")
        else:
            yield Finding(
                name,
                "warning",
                f"latency timer at {milliseconds} ms: each read waits for it",
                f"echo 1 > {file}, or install the udev rules",
            )


def _cameras(config: Config) -> Iterator[Finding]:
    cameras = config.cameras
    if not cameras.sources:
        yield Finding(
            "cameras",
            "bad",
            "none is configured",
            "name a rig file and a source for each under [cameras] (docs/connect-your-hand.md)",
        )
        return
    try:
        rig = load_rig(cameras.rig)
    except PerceptionError as error:
        yield Finding("calibration", "bad", str(error), "inhand calibrate extrinsics")
        return
    days = (time.time() - Path(cameras.rig).stat().st_mtime) / 86_400
    stale = days > STALE
    yield Finding(
        "calibration",
        "warning" if stale else "good",
        f"{cameras.rig} is {days:.0f} days old",
        "inhand calibrate extrinsics, if a camera may have moved since" if stale else "",
    )
    try:
        target = load_object(config.object)
    except PerceptionError as error:
        yield Finding("object", "bad", str(error), "correct `object` in the configuration")
        return
    try:
        network = check_eyes(cameras, target, rig)
    except InhandError as error:
        yield Finding("eyes", "bad", str(error), "correct `eyes` under [cameras] (docs/vision.md)")
        return
    center = np.array(load_hand(config.hand).workspace.center)
    for name, source in cameras.sources.items():
        if finding := _camera_file(name, source, known=name in rig):
            yield finding
            continue
        eyes: VertexDetector | BothEyes | None = None
        if network:
            eyes = VertexDetector(rig[name], target, network, center)
            if eyes_of(cameras, target) == "both":
                eyes = BothEyes(TagDetector(rig[name], target), eyes)
        yield look_through(name, source, rig[name], target, cameras.devices.get(name), eyes)


def _camera_file(name: str, source: str, *, known: bool) -> Finding | None:
    """What is wrong with a camera before it is opened; None if nothing is."""
    what = f"camera {name}"
    if not known:
        return Finding(what, "bad", "the rig file does not have it", "calibrate it")
    if not source.startswith("/dev/"):
        return None
    if not os.path.exists(source):
        return Finding(what, "bad", f"{source} is not there", "plug it in; inhand cameras list")
    if not os.access(source, os.R_OK | os.W_OK):
        remedy = "run as a user of the group video"
        return Finding(what, "bad", f"{source} may not be opened", remedy)
    return None


def _policy(config: Config) -> Finding:
    policy = config.policy
    if not policy.file:
        remedy = "name it under [policy] file"
        return Finding("policy", "warning", "none is configured: the hand cannot be armed", remedy)
    try:
        hand, target = load_hand(config.hand), load_object(config.object)
        directory = Path(policy.directory) if policy.directory else SHIPPED
        path = find_policy(file_to_load(policy, hand.name, target.name, directory), directory)
        loaded = load_policy(path, hand, target, allowed=allowed_hashes(policy))
    except InhandError as error:
        return Finding("policy", "bad", str(error), "docs/train-for-your-object.md makes one")
    if loaded.differences:
        text = f"{path} was trained with another {'; '.join(loaded.differences)}"
        return Finding("policy", "warning", text, "train one for this hand if it turns badly")
    return Finding("policy", "good", f"{path}, for {hand.name} and {target.name}")


def _disk(config: Config) -> Finding:
    directory = recordings_directory(config.recording.directory, None)
    there = next(place for place in (directory, *directory.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK):
        remedy = "give another [recording] directory, or its rights"
        return Finding("recordings", "bad", f"{directory} cannot be written", remedy)
    if free < RESERVE:
        remedy = "make room, or give another [recording] directory"
        return Finding("recordings", "bad", f"{directory}: {free >> 20} MiB are free", remedy)
    if free < config.recording.total_size * 1_000_000:
        return Finding(
            "recordings",
            "warning",
            f"{directory}: {free >> 20} MiB are free, less than all recordings may take",
            "a smaller [recording] total_size, or more room",
        )
    return Finding("recordings", "good", f"{directory}: {free >> 30} GiB are free")


def _sockets(config: Config) -> Finding:
    directory = run_directory(config.sockets.directory)
    there = next(place for place in (directory, *directory.parents) if place.exists())
    if os.access(there, os.W_OK | os.X_OK):
        return Finding("sockets", "good", str(directory))
    return Finding(
        "sockets",
        "warning",
        f"{directory} is another user's: no daemon can be started there",
        "join the group inhand to use the one that runs, or give --directory",
    )


def _unit(root: Path) -> Finding:
    places = ("etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system")
    unit = next((x for x in (root / p / "inhandd.service" for p in places) if x.exists()), None)
    if unit is None:
        return Finding("service", "warning", "inhandd.service is not installed", "make install")
    try:
        told = subprocess.run(
            [
                *("systemd-analyze", "security", "--offline=yes", f"--root={root}"),
                "inhandd.service",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("service", "warning", f"installed; its exposure is unknown: {error}")
    score = re.search(r"exposure level for \S+: ([\d.]+)", told)
    if score is None:
        return Finding("service", "warning", "installed; systemd gives it no exposure level")
    exposed = float(score[1]) > _SCORE_BAR
    return Finding(
        "service",
        "warning" if exposed else "good",
        f"installed, exposure {score[1]} of 10",
        "compare its drop-ins with systemd/inhand.conf" if exposed else "",
    )
