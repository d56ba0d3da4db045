"""Keys for network clients: the server's key pair, and the list of clients that may connect.

CURVE alone accepts every client that knows the server's public key; the list restricts access.
"""

import logging
import os
from pathlib import Path
from threading import Lock

import msgspec
import tomli_w
import zmq

from inhand.controller.errors import ConfigError
from inhand.controller.ipc.client_list import (
    NAME,
    Entry,
    Role,
    add_client,
    read_client_list,
    remove_client,
    writable_by_others,
)
from inhand.descriptions import read_toml
from inhand.files import read_file

log = logging.getLogger(__name__)


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


class KeyRing:
    """The directory of the keys: `server.toml`, and `clients` with one line per client."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._server, self._clients = self.directory / "server.toml", self.directory / "clients"
        # The gateway's authenticator asks from a thread of its own.
        self._lock = Lock()
        self._state: list[tuple[int, ...]] = []
        self._known: dict[str, Entry] = {}
        self._removals = 0

    def server(self) -> KeyPair:
        """The server's key pair.

        Raises:
            ConfigError: it does not exist, or other users may read it.
        """
        try:
            readable_by_others = self._server.stat().st_mode & 0o077
            pair = msgspec.convert(read_toml(read_file(self._server)), KeyPair)
        except (OSError, ValueError, msgspec.ValidationError) as error:
            raise ConfigError(
                f"server key {self._server}: {_reason(error)}; make one with `inhand keys generate`"
            ) from error
        if readable_by_others:
            raise ConfigError(f"server key {self._server}: other users may read it; chmod 600 it")
        return pair

    def read(self) -> tuple[list[Entry], list[str]]:
        """The clients of all valid lines of the list, and what is wrong with other lines."""
        return read_client_list(self._clients)

    def entry(self, public: str) -> Entry | None:
        """The client with this public key in the current list; None if there is none."""
        with self._lock:
            self._refresh()
            return self._known.get(public)

    def removals(self) -> int:
        """How often a client was removed from the list, or its role was changed, until now."""
        with self._lock:
            self._refresh()
            return self._removals

    def _refresh(self) -> None:
        """Reads the list again if it has changed, and logs its problems."""
        state = [_identity(path) for path in (self._clients, self.directory)]
        if state == self._state:
            return
        self._state, before = state, self._known
        entries, problems = self.read()
        self._known = {entry.public: entry for entry in entries}
        for problem in problems:
            log.warning("%s; the client is refused", problem)
        if any(self._known.get(public) != entry for public, entry in before.items()):
            self._removals += 1

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
        if not NAME.fullmatch(name):
            raise ConfigError(f"key name {name!r:.80} must be of letters, digits, '.', '_' and '-'")
        if any(entry.name == name for entry in self.read()[0]):
            raise ConfigError(f"key {name} exists; revoke it first: inhand keys revoke {name}")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._server.exists():
                write_private(self._server, tomli_w.dumps(msgspec.to_builtins(_new_pair())))
            pair = _new_pair()
            key = ClientKey(command, state, self.server().public, pair.public, pair.secret)
            write_private(output, tomli_w.dumps(msgspec.to_builtins(key)))
            add_client(self._clients, Entry(role, pair.public, name))
        except OSError as error:
            raise ConfigError(f"key {name}: {error.filename}: {error.strerror}") from error

    def revoke(self, name: str) -> None:
        """Removes a client from the list; it is refused from now on.

        Raises:
            ConfigError: there is no client of that name.
        """
        if not remove_client(self._clients, name):
            names = ", ".join(entry.name for entry in self.read()[0]) or "none"
            raise ConfigError(f"there is no key {name!r:.80}; there are: {names}")


def _identity(path: Path) -> tuple[int, ...]:
    """What changes when a file is written, replaced, or gets other permissions."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_mode, found.st_ino, found.st_size


def load_client_key(path: str | Path) -> ClientKey:
    """Reads the file that `inhand keys generate` wrote for a client.

    Raises:
        ConfigError: it cannot be read, or other users may write it.
    """
    try:
        mode = Path(path).stat().st_mode
        key = msgspec.convert(read_toml(read_file(path)), ClientKey)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ConfigError(f"client key {path}: {_reason(error)}") from error
    if writable := writable_by_others(mode):
        raise ConfigError(f"client key {path}: {writable}; chmod 600 it")
    return key


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
