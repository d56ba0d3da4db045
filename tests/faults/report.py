"""docs/reliability.md, written from what a run of these tests has seen."""

from dataclasses import dataclass, field
from pathlib import Path

from inhand.files import write_whole

HEAD = """\
# Faults, and how the daemon reacts

Written by `make reliability` from its own run, without manual changes. Each fault is put on the
wires of a running daemon (`tests/faults`): a serial line with servos that answer real packets,
cameras with rendered images, the sockets, real policy files, its processes. *Safe* is the time
from the fault to the event that says that the hand pauses, holds or stops, by the daemon's clock.
*Recovery* is the time from the end of the fault until the hand works again, with the requests that
an operator would make. In every row, all targets on the serial line were inside the limits of
position and speed.

| fault | put in at | reaction | safe [s] | promised [s] | recovery [s] | pass |
|---|---|---|---|---|---|---|
"""

PAIRS = """
## Two at a time

Each pair of the {count} most likely faults, one directly after the other. The more severe reaction
counts.

| first | second | reaction | safe [s] | recovery [s] | pass |
|---|---|---|---|---|---|
"""


@dataclass
class Row:
    """What came of one fault, or of two.

    Attributes:
        name: of the fault, or both names.
        wire: where it was put in.
        reaction: what the daemon did.
        promised: longest time until the hand is safe [s]; None where nothing need happen.
        safe: how long it took [s].
        recovery: how long it took to be back at work [s]; None where work went on.
        passed: whether all of it was as promised.
    """

    name: tuple[str, ...]
    wire: str = ""
    reaction: str = ""
    promised: float | None = None
    safe: float | None = None
    recovery: float | None = None
    passed: bool = False


@dataclass
class Report:
    """The rows of a run, in the order of the tests."""

    rows: list[Row] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Writes the page."""
        single = [row for row in self.rows if len(row.name) == 1]
        pairs = [row for row in self.rows if len(row.name) == 2]
        text = HEAD
        for row in single:
            cells = [row.name[0], row.wire, row.reaction, _time(row.safe), _time(row.promised)]
            text += _line([*cells, _time(row.recovery), _mark(row)])
        if pairs:
            text += PAIRS.format(count=len({name for row in pairs for name in row.name}))
            for row in pairs:
                cells = [*row.name, row.reaction, _time(row.safe), _time(row.recovery)]
                text += _line([*cells, _mark(row)])
        write_whole(path, text)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"


def _mark(row: Row) -> str:
    return "yes" if row.passed else "**no**"
