"""Whether a page can be served on an address."""

import socket

from inhand.controller.errors import ConfigError


def check_address(host: str, port: int) -> None:
    """Refuses what viser would wait for without an end.

    Args:
        host: name or address of this machine.
        port: first one to be tried; 0 for a free one.

    Raises:
        ConfigError: the address is not this machine's, or there is no such port.
    """
    if not 0 <= port <= 65_535:
        raise ConfigError(f"page: --port {port} must lie in 0..65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, 0), family=family).close()
    except OSError as error:
        raise ConfigError(
            f"page: cannot serve on {host} ({error.strerror}); name an address of this machine "
            "with --host"
        ) from error
