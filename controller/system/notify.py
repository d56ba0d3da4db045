"""The sd_notify protocol: reports the daemon's state to systemd, without its library."""

import logging
import os
import socket

log = logging.getLogger(__name__)

_warned: set[str] = set()


def notify(state: str) -> bool:
    """Sends a state like `READY=1`; False without a service manager, or if it is unreachable.

    That it is unreachable is logged once, and does not end the daemon. Never waits.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    try:
        _send(path, state.encode())
    except (OSError, ValueError) as error:
        if path not in _warned:
            _warned.add(path)
            reason = getattr(error, "strerror", None) or error
            log.warning("NOTIFY_SOCKET=%s: the service manager cannot be reached: %s", path, reason)
        return False
    return True


def _send(path: str, state: bytes) -> None:
    if path[0] not in "/@":
        raise ValueError("neither a path nor an abstract address")
    address = "\0" + path[1:] if path[0] == "@" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        sock.connect(address)
        sock.sendall(state)


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
