"""The list of clients that may connect over the network: a text file with one line per client."""

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from inhand.files import read_file, write_whole

Role = Literal["operate", "command", "observe"]

NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
"""What the name of a client may be."""

_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
"""A public key: 32 bytes in Z85 (rfc.zeromq.org/spec/32)."""


@dataclass(frozen=True)
class Entry:
    """A client that may connect.

    Attributes:
        role: `operate` allows all requests; `command` too, but to clear only an own emergency stop;
            `observe` allows reading and the emergency stop.
        public: its public key, Z85.
        name: its name.
    """

    role: Role
    public: str
    name: str


def read_client_list(path: Path) -> tuple[list[Entry], list[str]]:
    """Reads the list; a line that is not valid does not affect the others.

    Args:
        path: of the list. If the file does not exist, there are no clients.

    Returns:
        The clients of all valid lines, and one message for each problem. A list that other users
        may change has one problem and no clients.
    """
    try:
        modes = {place: place.stat().st_mode for place in (path, path.parent)}
        text = read_file(path)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"list of clients {path}: {error.strerror}"]
    for place, mode in modes.items():
        if writable := writable_by_others(mode):
            return [], [f"list of clients {place}: {writable}; chmod go-w it, and check every line"]
    entries: list[Entry] = []
    problems: list[str] = []
    for number, line in enumerate(text.decode(errors="replace").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        reason = _reason(words) or _repeated(words, entries)
        if reason:
            problems.append(f"list of clients {path}, line {number}: {reason}")
        else:
            entries.append(Entry(cast(Role, words[0]), words[1], words[2]))
    return entries, problems


def add_client(path: Path, entry: Entry) -> None:
    """Adds a line to the list; the other lines stay as they are.

    Raises:
        OSError: the list cannot be read.
        WriteError: it cannot be written.
    """
    lines = _lines(path) or ["# role, public key, name: the clients that may connect."]
    _write(path, [*lines, f"{entry.role} {entry.public} {entry.name}"])


def remove_client(path: Path, name: str) -> bool:
    """Removes all lines with this name from the list; the other lines stay as they are.

    Returns:
        Whether there was such a line.

    Raises:
        OSError: the list cannot be read.
        WriteError: it cannot be written.
    """
    lines = _lines(path)
    left = [line for line in lines if line.startswith("#") or line.split()[2:3] != [name]]
    if len(left) == len(lines):
        return False
    _write(path, left)
    return True


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def _write(path: Path, lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
    write_whole(path, data, mode=0o600)


def writable_by_others(mode: int) -> str:
    """Says so if a file with this mode can be changed by users who do not own it; else empty."""
    return "other users may write it" if mode & (stat.S_IWGRP | stat.S_IWOTH) else ""


def _reason(words: list[str]) -> str:
    """Why these words are not an entry; empty if they are."""
    if len(words) != 3 or words[0] not in get_args(Role) or not _Z85.fullmatch(words[1]):
        roles = " or ".join(get_args(Role))
        return f"must be a role ({roles}), a public key of 40 characters, and a name"
    if not NAME.fullmatch(words[2]):
        return "the name must be of letters, digits, '.', '_' and '-', at most 64"
    return ""


def _repeated(words: list[str], entries: list[Entry]) -> str:
    """Which of key and name an earlier line has too; empty if neither."""
    if any(entry.public == words[1] for entry in entries):
        return "an earlier line has the same public key"
    if any(entry.name == words[2] for entry in entries):
        return "an earlier line has the same name"
    return ""
