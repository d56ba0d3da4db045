"""Prints the lowest version of each dependency in pyproject.toml, as constraints for pip.

With --check it compares them with what is installed, and fails if something else is. With --extras
it prints the names of all extras.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def lowest() -> dict[str, str]:
    """Lowest version by package.

    Raises:
        SystemExit: a dependency has no lower bound.
    """
    versions = {}
    extras = PROJECT["optional-dependencies"].values()
    for line in [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]:
        found = re.fullmatch(r"([\w.-]+)\s*(?:>=|==)\s*([0-9][0-9a-z.]*?)(\.\*)?([,;].*)?", line)
        if not found:
            sys.exit(f"pyproject.toml: {line!r} has no lower bound")
        name, version = found[1], found[2]
        if versions.setdefault(name, version) != version:
            sys.exit(f"pyproject.toml: {name} has two lower bounds")
    return versions


def main() -> None:
    """Prints, or checks."""
    if sys.argv[1:] == ["--extras"]:
        print(",".join(PROJECT["optional-dependencies"]))
        return
    if sys.argv[1:] != ["--check"]:
        print(*(f"{name}=={version}" for name, version in lowest().items()), sep="\n")
        return
    for name, version in lowest().items():
        there = re.sub(r"(\.0)+$", "", re.sub(r"\+.*", "", metadata.version(name)))
        if there != re.sub(r"(\.0)+$", "", version):
            sys.exit(f"{name} {there} is installed, not {version}")
        print(f"{name} {there}")


if __name__ == "__main__":
    main()
