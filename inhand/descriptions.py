"""Description files in TOML (hands, objects, universes, rigs): found, read and converted."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from inhand.errors import InhandError

Content = TypeVar("Content")


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
            return path.read_bytes()
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
            return msgspec.convert(tomllib.loads(raw.decode()), content)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise self.error(f"{self.name} file {path}: {error}") from error
