"""Two installs a month apart are the same: `constraints.txt` pins all that is installed."""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"


def needed() -> set[str]:
    """Every package that `make` installs: the program's, with all extras, and theirs."""
    every = metadata.metadata("inhand").get_all("Provides-Extra") or []
    waiting = [("inhand", frozenset(every))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            # Of an extra that `make` does not install.
            continue
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in (extras or {""})):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    # setuptools comes with Python itself.
    return {str(canonicalize_name(name)) for name, _ in seen} - {"inhand", "setuptools"}


def test_everything_that_is_installed_is_pinned_to_what_it_is() -> None:
    lines = CONSTRAINTS.read_text().splitlines()
    pinned = {
        str(canonicalize_name(name)): version
        for name, version in (line.split("==") for line in lines)
    }
    assert len(pinned) == len(lines), "a package is named twice"
    installed = {
        name: re.sub(r"\+.*", "", metadata.version(name)) for name in needed() if _is_there(name)
    }
    assert {"numpy", "pybullet", "mujoco", "torch", "pytest"} <= installed.keys()
    missing = installed.keys() - pinned.keys()
    assert not missing, f"add to constraints.txt: {sorted(missing)}"
    differ = {n: v for n, v in installed.items() if pinned[n] != v}
    assert not differ, f"other versions than constraints.txt has: {differ}; make clean, then make"


def _is_there(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
