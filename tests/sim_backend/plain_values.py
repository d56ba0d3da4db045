"""Model parameters as JSON values that are equal on every machine."""

from pathlib import Path

_DIGITS = 6


def plain(value: object) -> object:
    """Rounds numbers to six digits, and reduces paths to file names."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    if isinstance(value, bytes):
        # Shape files are in temporary directories, whose names differ.
        return Path(value.decode()).name
    return value
