"""A recording with a chunk that would fill the memory is refused before it is decompressed."""

import os
import struct
from pathlib import Path

import pytest
import zstandard

from inhand.controller.errors import RecordingError
from inhand.controller.recording.reader import open_recording
from tests.controller.recorded import Recorded

ZEROS = 200_000_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    hand = Recorded(tmp_path_factory.mktemp("recorded"))
    hand.start()
    hand.recorder.ask("save")
    hand.run(0.3)
    hand.close()
    return hand.files()[0].read_bytes()


def first_chunk(whole: bytes) -> int:
    at = 8
    while whole[at] != 6:
        at += 9 + struct.unpack_from("<Q", whole, at + 1)[0]
    return at


def chunk(stated: int, name: bytes, data: bytes) -> bytes:
    body = struct.pack("<QQQII", 0, 2**62, stated, 0, len(name)) + name
    body += struct.pack("<Q", len(data)) + data
    return b"\x06" + struct.pack("<Q", len(body)) + body


@pytest.mark.parametrize("what", ["stated", "contained", "lz4"])
def test_a_chunk_of_gigabytes_is_refused(whole: bytes, tmp_path: Path, what: str) -> None:
    zeros = zstandard.compress(bytes(ZEROS))
    assert len(zeros) < 100_000
    large = {
        "stated": chunk(2**40, b"", b"x"),
        "contained": chunk(100, b"zstd", zeros),
        "lz4": chunk(100, b"lz4", b"x"),
    }[what]
    at = first_chunk(whole)
    path = tmp_path / "recording.mcap"
    path.write_bytes(whole[:at] + large + whole[at:])
    with pytest.raises(RecordingError, match="a chunk (of|is)"):
        open_recording(path)


def test_a_recording_that_is_cut_anywhere_is_opened_or_refused(
    whole: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "recording.mcap"
    refused = 0
    for end in (*range(0, 40, 3), *range(40, len(whole), len(whole) // 20)):
        path.write_bytes(whole[:end])
        try:
            list(open_recording(path).records())
        except RecordingError:
            refused += 1
    # Without its description, near the beginning of the file, it is none.
    assert 14 <= refused < 34


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(RecordingError, match="not a regular file"):
            open_recording(path)
    (tmp_path / "sparse").write_bytes(b"\x89MCAP0\r\n")
    os.truncate(tmp_path / "sparse", 10**12)
    with pytest.raises(RecordingError):
        open_recording(tmp_path / "sparse")
