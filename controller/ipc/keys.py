"""Keys for network clients: the server's key pair, and the list of clients that may connect.

CURVE alone accepts every client that knows the server's public key; the list restricts access.
"""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import msgspec
import tomli_w
import zmq

from inhand.controller.errors import ConfigError
from inhand.files import write_whole

Role = Literal["command", "observe"]

_NAME = re.compile(r"[\w.-]{1,64}")


class KeyPair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A CURVE key pair, each half in Z85 (40 characters)."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"


class ClientKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a client's key file, which only its owner may read.

    Attributes:
        command: address of the command socket.
        state: address of the state socket.
        server: the server's public key.
        public: the client's public key.
        secret: the client's secret key.
    """

    command: str
    state: str
    server: str
    public: str
    secret: str

    def __repr__(self) -> str:
        return f"ClientKey(command={self.command!r}, public={self.public!r})"


@dataclass(frozen=True)
class Entry:
    """A client that may connect.

    Attributes:
        role: `command` allows all requests; `observe` allows reading and the emergency stop.
        public: its public key, Z85.
        name: its name.
    """

    role: Role
    public: str
    name: str


class KeyRing:
    """The directory of the keys: `server.toml`, and `clients` with one line per client."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._server, self._clients = self.directory / "server.toml", self.directory / "clients"
        self._known: tuple[int, dict[str, Entry]] = (-1, {})

    def server(self) -> KeyPair:
        """The server's key pair.

        Raises:
            ConfigError: it does not exist, or other users may read it.
        """
        try:
            readable_by_others = self._server.stat().st_mode & 0o077
            pair = msgspec.convert(tomllib.loads(self._server.read_text()), KeyPair)
        except (OSError, ValueError, msgspec.ValidationError) as error:
            raise ConfigError(
                f"server key {self._server}: {_reason(error)}; make one with `inhand keys generate`"
            ) from error
        if readable_by_others:
            raise ConfigError(f"server key {self._server}: other users may read it; chmod 600 it")
        return pair

    def clients(self) -> list[Entry]:
        """The clients that may connect.

        Raises:
            ConfigError: the list cannot be read.
        """
        try:
            lines = self._clients.read_text().splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"list of clients {self._clients}: {_reason(error)}") from error
        return [
            self._entry(number, line.split())
            for number, line in enumerate(lines, 1)
            if line.strip() and not line.startswith("#")
        ]

    def entry(self, public: str) -> Entry | None:
        """The client with this public key in the current list; None if there is none."""
        try:
            changed = self._clients.stat().st_mtime_ns
        except OSError:
            return None
        if changed != self._known[0]:
            self._known = changed, {entry.public: entry for entry in self.clients()}
        return self._known[1].get(public)

    def generate(self, name: str, role: Role, command: str, state: str, output: Path) -> None:
        """Adds a new client to the list, and writes its key file.

        Args:
            name: name of the client.
            role: role of the client.
            command: address of the command socket, as seen by the client.
            state: address of the state socket.
            output: the file to write; it must not exist.

        Raises:
            ConfigError: the name is in use or not valid, or a file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(f"key name {name!r:.80} must be of letters, digits, '.', '_' and '-'")
        entries = self.clients()
        if any(entry.name == name for entry in entries):
            raise ConfigError(f"key {name} exists; revoke it first: inhand keys revoke {name}")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._server.exists():
                write_private(self._server, tomli_w.dumps(msgspec.to_builtins(_new_pair())))
            pair = _new_pair()
            key = ClientKey(command, state, self.server().public, pair.public, pair.secret)
            write_private(output, tomli_w.dumps(msgspec.to_builtins(key)))
            self._write([*entries, Entry(role, pair.public, name)])
        except OSError as error:
            raise ConfigError(f"key {name}: {error.filename}: {error.strerror}") from error

    def revoke(self, name: str) -> None:
        """Removes a client from the list; it is refused from now on.

        Raises:
            ConfigError: there is no client of that name.
        """
        entries = self.clients()
        left = [entry for entry in entries if entry.name != name]
        if len(left) == len(entries):
            names = ", ".join(entry.name for entry in entries) or "none"
            raise ConfigError(f"there is no key {name!r:.80}; there are: {names}")
        self._write(left)

    def _write(self, entries: list[Entry]) -> None:
        text = "# role, public key, name: the clients that may connect.\n"
        text += "".join(f"{entry.role} {entry.public} {entry.name}\n" for entry in entries)
        write_whole(self._clients, text, mode=0o600)

    def _entry(self, number: int, words: list[str]) -> Entry:
        if len(words) != 3 or words[0] not in get_args(Role) or len(words[1]) != 40:
            raise ConfigError(
                f"list of clients {self._clients}, line {number}: must be a role "
                f"({' or '.join(get_args(Role))}), a public key of 40 characters, and a name"
            )
        return Entry(cast(Role, words[0]), words[1], words[2])


def load_client_key(path: str | Path) -> ClientKey:
    """Reads the file that `inhand keys generate` wrote for a client.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return msgspec.convert(tomllib.loads(Path(path).read_text()), ClientKey)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ConfigError(f"client key {path}: {_reason(error)}") from error


def write_private(path: Path, text: str) -> None:
    """Writes a new file that only its owner may read; raises OSError if it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError:
        path.unlink()
        raise


def _new_pair() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def _reason(error: Exception) -> str:
    # A parser's error message may quote the file, and with it a secret.
    return (error.strerror or "") if isinstance(error, OSError) else "it is damaged"
