"""`inhand keys`: who may reach the daemon over the network."""

import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from inhand.controller.config.config import load_config
from inhand.controller.errors import ConfigError
from inhand.controller.ipc.client_list import Role
from inhand.controller.ipc.keys import KeyRing
from inhand.result import print_json


@dataclass(frozen=True)
class Keys:
    """Make, list and revoke the keys of clients on other machines.

    Example: inhand keys generate laptop --role observe

    Attributes:
        action: `generate` admits a new client and writes its key file; `list` shows the admitted
            clients; `revoke` removes one.
        name: What to call the client.
        role: `operate` may do everything; `command` too, but end only its own emergency stop;
            `observe` may watch, and call an emergency stop.
        output: The client's file; NAME.toml if not given. Carry it there in secret.
        host: This machine's name, as the client will reach it.
        config: Configuration of the daemon, which says where keys and sockets are.
        json: Print the list as JSON.
    """

    action: tyro.conf.Positional[Literal["generate", "list", "revoke"]]
    name: tyro.conf.Positional[str] = ""
    role: Role = "command"
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    host: str = ""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    json: bool = False

    def run(self) -> int:
        """Reads the list, and changes it."""
        file = self.config
        if file is None and SYSTEM_CONFIG.exists():
            file = SYSTEM_CONFIG
        network = load_config(file).network
        ring = KeyRing(network.keys)
        if self.action != "list" and not self.name:
            raise ConfigError(f"keys {self.action}: name the client")
        if self.action == "generate":
            if not network.command:
                raise ConfigError(
                    "keys generate: the daemon has no network addresses; give it some under "
                    "[network] in its configuration, and name that with --config"
                )
            output = self.output or Path(f"{self.name}.toml")
            host = self.host or socket.gethostname()
            command, state = (
                f"tcp://{host}:{address.rpartition(':')[2]}"
                for address in (network.command, network.state)
            )
            ring.generate(self.name, self.role, command, state, output)
            print(f"{output}: for {self.name}, which may {self.role}; keep it secret")
        elif self.action == "revoke":
            ring.revoke(self.name)
            print(f"{self.name} is no longer admitted")
        else:
            return _show(ring, as_json=self.json)
        return 0


def _show(ring: KeyRing, *, as_json: bool) -> int:
    """Prints the list; lines that are not valid count as a failure."""
    entries, problems = ring.read()
    if as_json:
        print_json(entries)
    else:
        for entry in entries:
            print(f"{entry.role:8} {entry.public} {entry.name}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


SYSTEM_CONFIG = Path("/etc/inhand/inhandd.toml")
"""The configuration of the installed service."""
