"""The status line rewrites one line of a terminal, and writes nothing elsewhere."""

import io

from inhand.perception.readout import Readout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_replaced_and_emptied() -> None:
    terminal = Terminal()
    line = Readout(terminal)
    line.show("one")
    line.show("two")
    line.clear()
    line.end()
    assert terminal.getvalue() == "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"


def test_elsewhere_nothing_is_written() -> None:
    file = io.StringIO()
    line = Readout(file)
    line.show("one")
    line.clear()
    line.end()
    assert file.getvalue() == ""
