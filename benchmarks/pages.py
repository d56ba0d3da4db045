"""Figures inside a page: what is between two marks is replaced, all else stays."""

from pathlib import Path

from inhand.errors import InhandError
from inhand.files import write_whole

END = "<!-- to here -->\n"


class PageError(InhandError):
    """A page has no place for figures."""


def mark(command: str) -> str:
    """The mark before the figures that a command writes."""
    return f"<!-- figures: {command} writes from here -->\n"


def write_figures(page: Path, command: str, text: str) -> None:
    """Puts figures between the command's mark and the next end mark.

    Raises:
        PageError: the page lacks one of the marks.
        WriteError: it cannot be written.
    """
    before, begin, rest = page.read_text().partition(mark(command))
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise PageError(f"page {page}: the marks of the figures of {command} are missing")
    write_whole(page, f"{before}{begin}{text}{end}{after}")
