"""`inhand print`: objects with their tags, calibration plates and single tags, in true size."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from inhand.files import back_up, write_whole
from inhand.perception.calibration.plate import Plate
from inhand.perception.errors import PerceptionError
from inhand.perception.objects import load_object
from inhand.perception.printing.object_sheet import object_pages
from inhand.perception.printing.page import Page, Paper, pdf
from inhand.perception.printing.plate_sheet import plate_page, plate_picture
from inhand.perception.printing.tag_sheet import tag_pages


@dataclass(frozen=True)
class PrintObject:
    """Net of an object in true size, with its tags, fold lines and a ruler.

    If the net is larger than the paper, the faces are printed one by one.

    Example: inhand print object block --pdf block.pdf

    Attributes:
        object: Name or file of the object.
        pdf: File to write; without it, NAME.pdf in this folder.
        paper: To print on.
    """

    object: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|FILE")]
    pdf: Path | None = None
    paper: Paper = "a4"

    def run(self) -> None:
        description = load_object(self.object)
        pages = object_pages(description, self.paper)
        _write(self.pdf or Path(f"{description.name}.pdf"), pages, description.name)


@dataclass(frozen=True)
class PrintPlate:
    """The plate for the calibration of cameras, in true size.

    Example: inhand print plate --paper a3 --plate.square 0.028 --plate.marker 0.021

    Attributes:
        pdf: PDF file to write; plate.pdf if neither is named.
        png: PNG file to write instead, with its resolution.
        dpi: Resolution of the PNG file [pixels per inch].
        paper: To print on.
        plate: What to print.
    """

    pdf: Path | None = None
    png: Path | None = None
    dpi: int = 600
    paper: Paper = "a4"
    plate: Plate = field(default_factory=Plate)

    def run(self) -> None:
        if self.png is not None:
            _keep(self.png, ".png", plate_picture(self.plate, self.paper, self.dpi))
            print(f"wrote {self.png}: {self.dpi} dpi; print it at 100 %, then measure a square")
        if self.pdf is not None or self.png is None:
            page = plate_page(self.plate, self.paper)
            _write(self.pdf or Path("plate.pdf"), [page], "calibration plate")


@dataclass(frozen=True)
class PrintTag:
    """Single tags of the family 36h11, in true size.

    Example: inhand print tag 0 1 2 3 4 5 --size 0.04

    Attributes:
        ids: Of the tags, 0 to 586.
        size: Outer edge of the black square [m], as in an object file.
        pdf: File to write; tags.pdf if it is not named.
        paper: To print on.
    """

    ids: Annotated[tyro.conf.Positional[tuple[int, ...]], tyro.conf.arg(metavar="ID")]
    size: float = 0.04
    pdf: Path | None = None
    paper: Paper = "a4"

    def run(self) -> None:
        if not self.ids:
            raise PerceptionError("inhand print tag: name the ids, such as `inhand print tag 0 1`")
        pages = tag_pages(self.ids, self.size, self.paper)
        _write(self.pdf or Path("tags.pdf"), pages, "AprilTag 36h11")


def _keep(path: Path, ending: str, data: bytes) -> None:
    """Writes a file; another one of that name stays beside it."""
    if path.suffix.lower() != ending:
        raise PerceptionError(f"file {path}: its name must end in {ending}")
    if path.is_file() and path.read_bytes() != data:
        back_up(path)
    write_whole(path, data)


def _write(path: Path, pages: list[Page], title: str) -> None:
    _keep(path, ".pdf", pdf(pages, title))
    number = "1 page" if len(pages) == 1 else f"{len(pages)} pages"
    print(f"wrote {path}: {number}; print at 100 %, then measure the ruler: 100 mm")


_VERBS: dict[str, Callable[..., Any]] = {
    "object": PrintObject,
    "plate": PrintPlate,
    "tag": PrintTag,
}


def main() -> None:
    """Entry point of `inhand print`."""
    tyro.extras.subcommand_cli_from_dict(
        _VERBS, prog="inhand print", description=__doc__, config=(tyro.conf.FlagCreatePairsOff,)
    ).run()
