"""The sd_notify protocol: reports the daemon's state to systemd, without its library."""

import os
import socket


def notify(state: str) -> bool:
    """Sends a state like `READY=1`; False without a service manager.

    Raises:
        OSError: the service manager cannot be reached.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    if path[0] not in "/@":
        raise OSError(f"NOTIFY_SOCKET={path} is neither a path nor an abstract address")
    address = "\0" + path[1:] if path[0] == "@" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect(address)
        sock.sendall(state.encode())
    return True


def watchdog_period() -> float | None:
    """Time within which the service manager wants `WATCHDOG=1` [s]; None if it does not.

    The variables are those of sd_watchdog_enabled(3); a child process inherits them, but they are
    not meant for it.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant_for = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not microseconds.isdecimal() or meant_for != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None
