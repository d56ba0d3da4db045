"""The root of the project's errors, and what their messages share."""

import sys

NEWEST_OF_PYBULLET = (3, 11)
"""Newest Python that PyBullet has wheels for."""


class InhandError(Exception):
    """Base class of all errors: the message says what was wrong, where, and what to do."""


class WriteError(InhandError):
    """A file cannot be written; what was there before is unchanged."""


def remedy(extra: str, version: tuple[int, ...] = sys.version_info[:2]) -> str:
    """What to do if an extra is not installed, on this version of Python."""
    if extra == "sim" and version > NEWEST_OF_PYBULLET:
        newest, own = (".".join(map(str, one)) for one in (NEWEST_OF_PYBULLET, version))
        return (
            f"it has wheels up to Python {newest} and this is {own}: use Python {newest}, or the "
            "engines mujoco (`inhand[train]`) and drake (`inhand[drake]`)"
        )
    return f"install it with `pip install 'inhand[{extra}]'`"
