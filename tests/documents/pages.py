"""The documentation as data: links, commands and files of its pages."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"

PAGES = sorted(
    [
        *DOCS.rglob("*.md"),
        ROOT / "README.md",
        CONTRIBUTING,
        *(ROOT / "policies").glob("*.md"),
    ],
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^`([\w-]+\.toml)`:\n\n```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?<![\w/.-])(\w+/[\w/.-]*\w\.(?:py|toml|md|sh|conf|rules))\b")
_PROGRAMS = ("inhand", "inhandd")


def blocks(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks in a language."""
    for found, text in _FENCE.findall(page.read_text()):
        if found == language:
            yield text


def files(page: Path) -> dict[str, str]:
    """The files that a page asks the reader to write, by name."""
    return dict(_FILE.findall(page.read_text()))


def links(page: Path) -> Iterator[str]:
    """Targets of a page's links, outside code."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    yield from _LINK.findall(text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


def paths(page: Path) -> Iterator[str]:
    """Paths of files that a page names."""
    yield from _PATH.findall(page.read_text())


def mentions(page: Path) -> Iterator[list[str]]:
    """Calls of the program in running text, possibly shortened, as lists of words."""
    text = page.read_text().replace("\n", " ")
    for line in re.findall(r"`((?:inhand|inhandd) [^`]*)`", text):
        words = re.split(r"&&|\|", line)[0].split()
        if len(words) > 1 and not words[1].endswith((":", "…")):
            yield words


def commands(page: Path) -> Iterator[list[str]]:
    """The lines of a page's blocks that call the program, as lists of words."""
    text = page.read_text()
    fenced = [line for _, block in _FENCE.findall(text) for line in _lines(block)]
    indented = _lines("\n".join(re.findall(r"^    (.*)$", text, re.MULTILINE)))
    for line in [*fenced, *indented]:
        for part in re.split(r"&&|;|>", line):
            words = shlex.split(part, comments=True)
            while words and words[0] in ("nice", ".venv/bin/python"):
                words = words[1:]
            if words and words[0] in _PROGRAMS:
                yield words


def _lines(block: str) -> list[str]:
    """Lines of a block; a line that ends in a backslash is joined with the next one."""
    joined = re.sub(r"\\\n\s*", " ", block)
    return [x.strip() for x in joined.splitlines() if x.strip().startswith((*_PROGRAMS, "nice"))]
