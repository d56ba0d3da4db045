"""The page of simulated time: whoever reads it gets a number that was written, whole."""

import struct
import subprocess
import sys
from pathlib import Path

from inhand.perception.simulated_time import TimePage

WRITER = """
import sys
from pathlib import Path
from inhand.perception.simulated_time import TimePage

page = TimePage.open(Path(sys.argv[1]), create=True)
page.set(float(sys.argv[2]), 1.0)
print("begun", flush=True)
while True:
    for value in sys.argv[2:]:
        page.set(float(value), 1.0)
"""

# All of their bytes differ.
VALUES = struct.unpack("2d", bytes([1] * 8 + [2] * 8))


def test_a_reader_never_sees_half_of_a_number(tmp_path: Path) -> None:
    words = [sys.executable, "-c", WRITER, str(tmp_path), *map(repr, VALUES)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"begun\n"
        page = TimePage.open(tmp_path)
        seen = {page.now() for _ in range(300_000)}
        writer.kill()
    assert seen <= set(VALUES)


def test_a_page_begins_at_zero_and_gives_what_was_set(tmp_path: Path) -> None:
    made = TimePage.open(tmp_path, create=True)
    page = TimePage.open(tmp_path)
    assert (page.now(), page.factor()) == (0.0, 1.0)
    made.set(12.5, 0.25)
    assert (page.now(), page.factor()) == (12.5, 0.25)
