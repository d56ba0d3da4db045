"""Description files in TOML (hands, objects, universes, rigs): found, read and converted."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from inhand.errors import InhandError
from inhand.files import read_file

Content = TypeVar("Content")

_INTEGERS = range(-(2**63), 2**63)
"""Integers that TOML promises; Python reads larger ones, which no array can hold."""


def read_toml(raw: bytes) -> dict[str, Any]:
    """The content of a TOML file that anybody may have written.

    Raises:
        ValueError: it is malformed; the message is one line.
    """
    try:
        data = tomllib.loads(raw.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from None
    _require_integers(data)
    return data


def _require_integers(value: object) -> None:
    match value:
        case bool():
            pass
        case int() if value not in _INTEGERS:
            raise ValueError("an integer has more than 64 bits")
        case dict():
            for one in value.values():
                _require_integers(one)
        case list():
            for one in value:
                _require_integers(one)


@dataclass(frozen=True)
class DescriptionKind:
    """What all description files of one kind have in common.

    Attributes:
        name: of the kind, for messages, such as "hand".
        error: class of all errors.
        folder: directory with the files that are installed; None if there is none.
    """

    name: str
    error: type[InhandError]
    folder: Path | None = None

    def file(self, name: str | Path) -> Path:
        """The file of a description, given by its name or by a path that ends in `.toml`."""
        if self.folder is None or str(name).endswith(".toml"):
            return Path(name)
        return self.folder / f"{name}.toml"

    def read(self, name: str | Path) -> bytes:
        """The content of the file of a description, given as for `file`.

        Raises:
            InhandError: of the class `error`; it cannot be read.
        """
        path = self.file(name)
        try:
            return read_file(path)
        except FileNotFoundError as error:
            if self.folder is None:
                raise self.error(
                    f"{self.name} file {path}: {error.strerror}; give another path"
                ) from None
            known = ", ".join(sorted(file.stem for file in self.folder.glob("*.toml")))
            raise self.error(
                f"no {self.name} file {path}; give a path that ends in .toml, or one of the names "
                f"in {self.folder}: {known}"
            ) from None
        except OSError as error:
            raise self.error(f"{self.name} file {path}: {error.strerror}") from error

    def convert(self, raw: bytes, path: str | Path, content: type[Content]) -> Content:
        """The content of a file as a record.

        Args:
            raw: the bytes of the file.
            path: of the file, for messages.
            content: class of the record.

        Raises:
            InhandError: of the class `error`; the content is malformed.
        """
        try:
            return msgspec.convert(read_toml(raw), content)
        except (ValueError, msgspec.ValidationError) as error:
            problem = " ".join(str(error).split())
            raise self.error(f"{self.name} file {path}: {problem}") from error
