"""A page of one file: figures, plots, a film and tables, without scripts and without network."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; }
body { font-family: sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; }
td, th { padding: 0.1em 1em 0.1em 0; text-align: left; vertical-align: top; }
img, video { width: 100%; background: white; border-radius: 4px; }
video { max-width: 40em; }
.wide { overflow-x: auto; }
"""


@dataclass
class ReportPage:
    """The parts of a page, in order; `text` joins them.

    Attributes:
        title: of the page.
        figures: what a program reads with `--json`; each name ends with its unit.
    """

    title: str
    figures: dict[str, float | str] = field(default_factory=dict)
    _parts: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Adds a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def head(self, text: str) -> None:
        """Adds a heading."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def table(self, rows: Sequence[Sequence[object]], heads: Sequence[str] = ()) -> None:
        """Adds a table."""
        first = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
        lines = [f"<tr>{first}</tr>"] if heads else []
        for row in rows:
            cells = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
            lines.append(f"<tr>{cells}</tr>")
        self._parts.append('<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>")

    def plot(self, figure: "Figure", what: str) -> None:
        """Adds a figure, with words for who cannot see it."""
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=110)
        shown = _data("image/png", picture.getvalue())
        self._parts.append(f'<img alt="{html.escape(what)}" src="{shown}">')

    def film(self, content: bytes) -> None:
        """Adds a film (MP4)."""
        shown = _data("video/mp4", content)
        self._parts.append(f'<video controls loop muted playsinline src="{shown}"></video>')

    def text(self) -> str:
        """The whole page."""
        title = html.escape(self.title)
        return (
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n<h1>{title}</h1>\n"
            + "\n".join(self._parts)
            + "\n</html>\n"
        )


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
