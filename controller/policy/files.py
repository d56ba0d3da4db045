"""Policy files: where they are and which may be loaded."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from inhand.controller.config.sections import PolicyConfig
from inhand.controller.errors import PolicyError

SHIPPED = Path(__file__).resolve().parents[2] / "policies"
"""Policies that came with the program; `SHA256SUMS` there lists the ones that may be loaded."""


def shipped_hashes(directory: Path = SHIPPED) -> frozenset[str]:
    """SHA-256 of the policies that came with the program."""
    try:
        lines = (directory / "SHA256SUMS").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.split()[0] for line in lines if line.strip())


def allowed_hashes(config: PolicyConfig) -> frozenset[str]:
    """SHA-256 of the policies that may be loaded: the shipped ones, and those in the allow-list."""
    return shipped_hashes() | set(config.allow)


def file_to_load(policy: PolicyConfig, hand: str, target: str, directory: Path) -> str:
    """Name of the file to load at start for a hand and an object, by name; empty for none."""
    name = policy.file.replace("{object}", target)
    of_the_hand = f"{hand}-{name}"
    if name != policy.file and (directory / of_the_hand).is_file():
        return of_the_hand
    return name


def shipped_policy(hand: str, target: str) -> Path:
    """The policy that came with the program for a hand and an object, by name."""
    return SHIPPED / file_to_load(PolicyConfig(), hand, target, SHIPPED)


def find_policy(name: str, directory: Path) -> Path:
    """The file in a directory with this name, or whose SHA-256 begins so (8 digits or more).

    Raises:
        PolicyError: there is none, or more than one.
    """
    # Whoever opens a FIFO waits for its other end.
    files = [file for file in sorted(directory.glob("*.onnx")) if not file.is_fifo()]
    found = [file for file in files if file.name == name or file.stem == name]
    if not found and len(name) >= 8:
        try:
            digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        except OSError as error:
            raise PolicyError(f"policy {error.filename}: {error.strerror}") from error
        found = [f for f, digest in zip(files, digests, strict=True) if digest.startswith(name)]
    if len(found) != 1:
        known = ", ".join(file.name for file in files) or "none"
        what = "no" if not found else "more than one"
        raise PolicyError(f"policy {name!r}: {what} such file in {directory}; there are: {known}")
    return found[0]


def policy_with_hash(sha256: str, directories: Iterable[Path]) -> Path:
    """The policy file in one of the directories that has this SHA-256.

    Raises:
        PolicyError: none has.
    """
    searched = list(directories)
    for directory in searched:
        for file in sorted(directory.glob("*.onnx")):
            if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sha256:
                return file
    places = ", ".join(str(directory) for directory in searched)
    raise PolicyError(f"no policy with SHA-256 {sha256} in {places}; say where it is")
