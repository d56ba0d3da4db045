"""The reply of a fast sync read: accepted by the stock SDK, and robust against damage."""

from dynamixel_sdk import COMM_SUCCESS, PacketHandler
from hypothesis import given
from hypothesis import strategies as st

from inhand.hardware.dynamixel.fast_read import FastReply, encode_reply, reply_header, reply_size

LENGTH = 10
# As any other reply would stuff, and any bytes.
content = st.just(b"\xff\xff\xfd" * 3 + b"\x00") | st.binary(min_size=LENGTH, max_size=LENGTH)
blocks = st.dictionaries(st.integers(0, 252), content, min_size=1, max_size=6)


def reply(rows: dict[int, bytes]) -> bytes:
    header = reply_header(len(rows), LENGTH)
    return b"".join(encode_reply(header, [(id, 0x80, data) for id, data in rows.items()]))


def came(reading: FastReply) -> dict[int, bytes]:
    """Data of the blocks that came, by servo id."""
    replies, _ = reading.replies()
    rows = zip(replies.ids, replies.came, replies.data, strict=True)
    return {id: data.tobytes() for id, good, data in rows if good}


class Played:
    """A port of the stock SDK on which a reply has arrived."""

    is_using = True

    def __init__(self, data: bytes) -> None:
        self._data = data

    def readPort(self, length: int) -> bytes:
        piece, self._data = self._data[:length], self._data[length:]
        return piece

    def isPacketTimeout(self) -> bool:
        return True


@given(blocks)
def test_the_stock_sdk_takes_our_reply(rows: dict[int, bytes]) -> None:
    size = len(rows) * (LENGTH + 4)
    data, result, _ = PacketHandler(2.0).fastSyncReadRx(Played(reply(rows)), 0xFE, size)
    assert result == COMM_SUCCESS
    assert bytes(data)[2 : 2 + LENGTH] == next(iter(rows.values()))


@given(blocks, st.binary(max_size=20), st.integers(1, 50))
def test_it_is_read_in_pieces_of_any_size_behind_noise(
    rows: dict[int, bytes], noise: bytes, piece: int
) -> None:
    stream, reading = noise + reply(rows), FastReply(tuple(rows), LENGTH)
    for start in range(0, len(stream), piece):
        reading.feed(stream[start : start + piece])
    assert reading.complete
    replies, wasted = reading.replies()
    assert replies.complete and came(reading) == rows
    assert (replies.error == 0x80).all()
    assert wasted == len(noise)


@given(blocks, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_costs_two_blocks_at_most(
    rows: dict[int, bytes], at: int, change: int
) -> None:
    data = bytearray(reply(rows))
    assert len(data) == reply_size(len(rows), LENGTH)
    at %= len(data)
    data[at] ^= change
    reading = FastReply(tuple(rows), LENGTH)
    reading.feed(bytes(data))
    assert came(reading).items() <= rows.items()
    header = len(reply_header(len(rows), LENGTH))
    if at >= header:
        assert len(came(reading)) >= len(rows) - 2
    else:
        assert not came(reading)


@given(blocks, st.integers(0, 10_000))
def test_complete_blocks_of_a_reply_that_breaks_off_are_used(
    rows: dict[int, bytes], at: int
) -> None:
    data = reply(rows)
    at %= len(data)
    reading = FastReply(tuple(rows), LENGTH)
    reading.feed(data[:at])
    assert not reading.complete
    whole = max(0, at - len(reply_header(len(rows), LENGTH))) // (LENGTH + 4)
    assert list(came(reading)) == list(rows)[:whole]
    if data[:at].startswith(reply_header(len(rows), LENGTH)):
        assert reading.broke_off_at == list(rows)[whole]


def test_an_answer_of_another_length_is_ignored() -> None:
    reading = FastReply((1, 2), LENGTH + 1)
    reading.feed(reply({1: bytes(LENGTH), 2: bytes(LENGTH)}))
    assert came(reading) == {}
