"""Who uses a serial port: other processes, found by their open files."""

import grp
import os
import time
from pathlib import Path

_PROCESSES = Path("/proc")
INTERFERING = ("ModemManager", "brltty")
"""ModemManager sends modem commands to new ports; brltty claims some for braille displays."""


def users_of(port: str, pause: float = 0.0) -> list[str]:
    """Processes that have the port open, as `name (pid)`; without this one.

    Args:
        port: device file.
        pause: time to wait after each process, so that other threads are not held up [s].

    Returns:
        Those that could be looked at: of other users only with privileges. The process at the other
        end of a pseudo-terminal, such as an emulator, is no user.
    """
    # A link may lead elsewhere from one moment to the next.
    port = os.path.realpath(port)
    try:
        # Compared by device, not by path: /dev/pts/0 of a container is another device.
        device = os.stat(port)
    except OSError:
        return []
    found = []
    for process in _PROCESSES.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        if pause:
            time.sleep(pause)
        try:
            files = list((process / "fd").iterdir())
            if any(_is(device, file) for file in files) and not _serves(process, files, port):
                found.append(f"{(process / 'comm').read_text().strip()} ({process.name})")
        except OSError:
            # The process has ended, or belongs to another user.
            continue
    return found


def interfering_programs(processes: Path = _PROCESSES) -> list[str]:
    """Running programs that are known to take serial adapters away, as `name (pid)`."""
    found = []
    for process in processes.iterdir():
        try:
            name = (process / "comm").read_text().strip() if process.name.isdigit() else ""
        except OSError:
            continue
        if name in INTERFERING:
            found.append(f"{name} ({process.name})")
    return sorted(found)


def group_of(port: str) -> str:
    """Name of the group that may open the port."""
    number = os.stat(port).st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def not_permitted(port: str) -> tuple[str, str]:
    """What a user who may not open the port is told, and the remedy."""
    group, rules = group_of(port), "install the udev rules (docs/hardware.md)"
    join = f"sudo usermod -aG {group} $USER, then log in again; or "
    return (
        f"this user may not open {port}, which is for group {group}",
        rules if group == "root" else join + rules,
    )


def _is(device: os.stat_result, file: Path) -> bool:
    try:
        return os.path.samestat(device, file.stat())
    except OSError:
        return False


def _serves(process: Path, files: list[Path], port: str) -> bool:
    """Whether a process has the other end of this pseudo-terminal."""
    if not port.startswith("/dev/pts/"):
        return False
    index = f"tty-index:\t{port.rpartition('/')[2]}"
    for file in files:
        try:
            at_master = os.readlink(file).endswith("ptmx")
            if at_master and index in (process / "fdinfo" / file.name).read_text().splitlines():
                return True
        except OSError:
            continue
    return False
