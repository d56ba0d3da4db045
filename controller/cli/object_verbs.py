"""`inhand object`: object files of an earlier schema, made into the present one."""

import re
import tomllib
from dataclasses import dataclass
from math import pi, remainder
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from inhand.files import back_up, write_whole
from inhand.perception.errors import ObjectError
from inhand.perception.objects import SCHEMA, load_object
from inhand.result import print_json


@dataclass(frozen=True)
class Object:
    """Turn an object file of schema 1 into one of schema 2.

    In schema 1, a tag's up was where its official picture has down. All tags are turned by half in
    the file; the object stays as it is. The old file is kept beside it.

    Example: inhand object migrate my-block.toml

    Attributes:
        action: `migrate` rewrites the file.
        file: The object's file.
        json: Print what was written as JSON.
    """

    action: tyro.conf.Positional[Literal["migrate"]]
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    json: bool = False

    def run(self) -> int:
        """Rewrites the file."""
        load_object(self.file, recorded=True)
        text = migrated(self.file.read_text(encoding="utf-8"), self.file)
        kept = back_up(self.file)
        write_whole(self.file, text)
        if self.json:
            print_json({"file": str(self.file), "kept": str(kept), "schema": SCHEMA})
        else:
            print(f"{self.file}: schema {SCHEMA}, tags turned by half; what it held is in {kept}")
        return 0


def migrated(text: str, path: Path) -> str:
    """An object file of schema 1 as one of schema 2, comments kept.

    Args:
        text: what the file holds, a sound object.
        path: of the file, for errors.

    Raises:
        ObjectError: it is of another schema, or written in a way that is not understood.
    """
    data = tomllib.loads(text)
    if data["schema"] != 1:
        raise ObjectError(f"object file {path}: has schema {data['schema']} already")
    wanted: dict[str, Any] = {**data, "schema": SCHEMA}
    wanted["tags"] = [{**tag, "turn": _turned(tag.get("turn", 0.0))} for tag in data["tags"]]
    head, *tables = re.split(r"(?m)^(?=[ \t]*\[\[tags\]\])", text)
    head = re.sub(r"(?m)^([ \t]*schema[ \t]*=[ \t]*)1\b", rf"\g<1>{SCHEMA}", head)
    turned = "".join(
        [
            head,
            *(
                _with_turn(table, tag["turn"])
                for table, tag in zip(tables, wanted["tags"], strict=False)
            ),
        ]
    )
    try:
        understood = tomllib.loads(turned) == wanted
    except tomllib.TOMLDecodeError:
        understood = False
    if not understood:
        raise ObjectError(
            f"object file {path}: give each tag a [[tags]] of its own with one key a line; then "
            "migrate again"
        )
    return turned


def _turned(turn: float) -> float:
    """A turn and a half turn more, -pi to pi [rad]."""
    return remainder(turn + pi, 2 * pi)


def _with_turn(table: str, turn: float) -> str:
    """The text of a [[tags]] table with another turn."""
    line = re.compile(r"(?m)^([ \t]*turn[ \t]*=[ \t]*)[^#\s]+")
    if line.search(table):
        return line.sub(rf"\g<1>{turn!r}", table, count=1)
    return re.sub(r"(\[\[tags\]\][^\n]*\n)", rf"\g<1>turn = {turn!r}\n", table, count=1)
