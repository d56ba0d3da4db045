"""Shows a result, and writes its page of the documentation."""

from pathlib import Path

import msgspec

from inhand.errors import InhandError, WriteError
from inhand.files import write_whole
from inhand.result import print_json


class PageError(InhandError):
    """The page of a result cannot be written."""


def deliver(command: str, report: msgspec.Struct, page: str, output: Path, as_json: bool) -> None:
    """Prints a result, then writes its page: a result is not lost if the page cannot be written.

    Args:
        command: name of the command, for the message.
        report: the result.
        page: the result as Markdown.
        output: file of the page.
        as_json: whether the result is printed as JSON, and not as its page.

    Raises:
        PageError: the page cannot be written.
    """
    if as_json:
        print_json(report)
    else:
        print(page, end="", flush=True)
    try:
        write_whole(output, page)
    except WriteError as error:
        raise PageError(f"{command}: {error}; the result stands above") from error
