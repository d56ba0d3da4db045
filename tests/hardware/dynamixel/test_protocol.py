"""The codec: equal to that of Robotis, and robust against noise."""

import struct

from dynamixel_sdk import Protocol2PacketHandler
from hypothesis import given
from hypothesis import strategies as st

from inhand.hardware.dynamixel.protocol import (
    HEADER,
    Instruction,
    Parser,
    checksum,
    encode,
    encode_status,
)

ids = st.integers(0, 252)
# Rich in the bytes that stuffing is about.
contents = st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x07]) | st.integers(0, 255), max_size=60)


@given(ids, contents)
def test_packets_are_those_of_the_stock_sdk(id: int, content: list[int]) -> None:
    """Its stuffing and checksum are called one by one: its `txPacket` loses what it stuffed."""
    handler, length = Protocol2PacketHandler(), len(content) + 3
    packet = [*HEADER, id, length & 0xFF, length >> 8, Instruction.WRITE, *content, 0, 0]
    packet = handler.addStuffing(packet)
    crc = handler.updateCRC(0, packet, len(packet) - 2)
    packet[-2:] = crc & 0xFF, crc >> 8
    assert encode(id, Instruction.WRITE, bytes(content)) == bytes(packet)


def test_the_checksum_of_the_manuals_example() -> None:
    """E-manual, "CRC": read of present position of servo 1."""
    packet = bytes.fromhex("FF FF FD 00 01 07 00 02 84 00 04 00")
    assert checksum(packet) == 0x151D


@given(st.lists(st.tuples(ids, contents), max_size=4), contents, st.integers(1, 13))
def test_what_was_encoded_is_parsed_in_pieces_of_any_size(
    packets: list[tuple[int, list[int]]], noise: list[int], piece: int
) -> None:
    stream = b"".join(encode_status(id, 0, bytes(content)) for id, content in packets)
    parser, found = Parser(), []
    for start in range(0, len(stream), piece):
        found += parser.feed(stream[start : start + piece])
    assert [(p.id, list(p.data)) for p in found] == packets
    assert parser.discarded == 0


@given(contents, ids, contents)
def test_a_packet_is_found_behind_noise(noise: list[int], id: int, content: list[int]) -> None:
    # Noise that begins like a packet may claim up to 1 kB of what follows as its own.
    packet = encode_status(id, 0, bytes(content))
    found = Parser().feed(bytes(noise).replace(HEADER, b"") + packet * 40)
    assert (id, bytes(content)) in [(p.id, p.data) for p in found]


@given(ids, contents, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_never_gives_another_packet(
    id: int, content: list[int], at: int, change: int
) -> None:
    packet = bytearray(encode_status(id, 0, bytes(content)))
    packet[at % len(packet)] ^= change
    assert all(len(p.parameters) == 0 for p in Parser().feed(bytes(packet)))


def test_a_packet_of_impossible_length_is_passed_over() -> None:
    broken = HEADER + struct.pack("<BH", 1, 60_000)
    good = encode_status(1, 0, b"abcd")
    parser = Parser()
    assert [p.data for p in parser.feed(broken + good)] == [b"abcd"]
    assert parser.discarded == len(broken)
