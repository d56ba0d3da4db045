"""Facts about a model as JSON that is the same on every machine."""

from pathlib import Path

_DIGITS = 6


def plain(value: object) -> object:
    """Numbers rounded to what is meant, names as text."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    if isinstance(value, bytes):
        # Shapes are made in folders of passing names.
        return Path(value.decode()).name
    return value
