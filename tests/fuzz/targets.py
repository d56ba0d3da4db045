"""What is fuzzed: each reader of foreign bytes, with a corpus and the one error it may raise."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from inhand.controller.config.config import load_config
from inhand.controller.errors import RecordingError
from inhand.controller.ipc.client_list import read_client_list
from inhand.controller.ipc.keys import KeyRing, load_client_key
from inhand.controller.ipc.protocol import ProtocolError, decode_request, reply_error, reply_ok
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.ipc.zmtp import GREETING, Session, ZmtpError, encode, ready
from inhand.controller.policy.runtime import load_policy
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.tick_record import pack, recorded_requests
from inhand.controller.recording.writer import repair
from inhand.errors import InhandError
from inhand.hardware.dynamixel.fast_read import FastReply
from inhand.hardware.dynamixel.protocol import Instruction, Parser, encode_status
from inhand.hardware.dynamixel.protocol import encode as servo_packet
from inhand.hardware.model.hand import hand_file, load_hand, parse_hand
from inhand.hardware.model.universe import load_universe
from inhand.perception import records
from inhand.perception.cameras import parse_rig, save_rig
from inhand.perception.errors import PerceptionError
from inhand.perception.objects import load_object, object_file, parse_object
from inhand.sim_backend.rig import default_rig
from tests.controller import tiny_policy
from tests.controller.ipc.test_protocol import EXAMPLES
from tests.controller.recorded import Recorded

HAND, BLOCK = load_hand("dactyl24"), load_object("block")


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: of it.
        corpus: makes what is mutated.
        read: reads some bytes; a file that it needs is put into the directory.
        errors: what it may raise, with a message on one line.
    """

    name: str
    corpus: Callable[[], Sequence[bytes]]
    read: Callable[[bytes, Path], object]
    errors: type[Exception] = InhandError


def _request(data: bytes, _: Path) -> None:
    """Whatever is decoded can be answered and recorded."""
    try:
        request = decode_request(data)
    except ProtocolError as error:
        json.loads(reply_error(error.id, error.code, str(error)))
        raise
    json.loads(reply_ok(request.id, {}))
    pack(recorded_requests([PendingRequest([b"me"], request)]))


def _requests() -> list[bytes]:
    return [json.dumps({"v": 1, "id": 1, **example}).encode() for example in EXAMPLES]


def _zmtp(data: bytes, _: Path) -> None:
    session = Session((b"DEALER",), 1 << 20)
    for at in range(0, len(data), 50):
        session.feed(data[at : at + 50])
        while session.message() is not None:
            pass
        assert session.buffered < (1 << 20) + 100 and len(session.output) <= len(data)


def _zmtp_corpus() -> list[bytes]:
    start = GREETING + ready(b"DEALER")
    ping = b"\x04\x0b\x04PING\x00\x0a1234"
    return [start + ping + encode([b"", b"x" * 20]) + encode([b"y" * 300]), start * 2]


def _in_file(read: Callable[[Path], object]) -> Callable[[bytes, Path], None]:
    def written(data: bytes, directory: Path) -> None:
        path = directory / "file"
        path.write_bytes(data)
        path.chmod(0o600)
        read(path)

    return written


def _configurations() -> list[bytes]:
    root = Path(__file__).parents[2]
    return [path.read_bytes() for path in sorted((root / "systemd").glob("*.toml"))] + [
        b'[safety]\nestop = "hold"\n[cameras]\nsources = {left = "/dev/video0"}\n'
        b'[goals]\ntolerance = 0.3\n[bus]\nport = "/dev/x"\ngains = [800, 0, 4700]\n'
    ]


def _universes() -> list[bytes]:
    return [b"friction = 0.8\nmass = 1.1\ngravity = [0.0, 0.0, -9.8]\n[observation]\nnoise = 0.1\n"]


def _rigs() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        save_rig(Path(place) / "rig.toml", default_rig())
        return [(Path(place) / "rig.toml").read_bytes()]


@cache
def _policies() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        tiny_policy.write_policy(Path(place) / "tiny.onnx", HAND)
        return [(Path(place) / "tiny.onnx").read_bytes()]


def _keys() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        ring = KeyRing(Path(place) / "keys")
        ring.generate("one", "command", "tcp://h:1", "tcp://h:2", Path(place) / "one")
        ring.generate("two", "observe", "tcp://h:1", "tcp://h:2", Path(place) / "two")
        names = ("one", "keys/server.toml", "keys/clients")
        return [(Path(place) / name).read_bytes() for name in names]


def _refusal(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except InhandError as error:
        return [str(error)]
    return []


def _key_files(data: bytes, directory: Path) -> None:
    for name in ("clients", "server.toml"):
        (directory / name).write_bytes(data)
        (directory / name).chmod(0o600)
    entries, problems = read_client_list(directory / "clients")
    assert len({entry.public for entry in entries}) == len(entries)
    KeyRing(directory).entry("x" * 40)
    for read in (KeyRing(directory).server, lambda: load_client_key(directory / "server.toml")):
        problems += _refusal(read)
    # A message never quotes the file, which may hold a secret.
    assert all("secret" not in problem and "\n" not in problem for problem in problems)


@cache
def _recordings() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        hand = Recorded(Path(place))
        hand.start()
        hand.recorder.ask("save")
        hand.run(0.3)
        hand.close()
        return [hand.files()[0].read_bytes()]


def _recording(path: Path) -> None:
    problems, repaired = [], path.with_name("repaired")
    repaired.unlink(missing_ok=True)
    opened = open_recording(path)
    for read in (
        lambda: sum(1 for _ in opened.records()),
        lambda: sum(1 for _ in opened.messages()),
        opened.span,
        lambda: sum(1 for _ in opened.part(0.0, 1e9)),
        lambda: repair(path, repaired),
    ):
        try:
            read()
        except RecordingError as error:
            problems.append(error)
    if problems:
        raise problems[0]


def _servo_bytes(data: bytes, _: Path) -> None:
    parser, reply = Parser(), FastReply((1, 2, 3), 10)
    for at in range(0, len(data), 7):
        parser.feed(data[at : at + 7])
        reply.feed(data[at : at + 7])


def _servo_corpus() -> list[bytes]:
    read = servo_packet(1, Instruction.READ, b"\x84\x00\x04\x00")
    return [read + encode_status(1, 0, bytes(10)), encode_status(2, 128, b"\xff\xff\xfd" * 3)]


def _camera_message(data: bytes, _: Path) -> None:
    """Whatever is decoded can be recorded."""
    pack(records.decode(data))


def _camera_corpus() -> list[bytes]:
    corners = records.frozen_array(np.arange(16.0).reshape(2, 4, 2))
    return [
        records.encode(records.TagCorners(1.5, "left", (3, 4), corners, 0.1)),
        records.encode(records.CameraStatus(1.5, "left", 100, 0.01, 15.0, 0.003, "")),
    ]


TARGETS = (
    Target("requests", _requests, _request, ProtocolError),
    Target("zmtp", _zmtp_corpus, _zmtp, ZmtpError),
    Target("configuration", _configurations, _in_file(load_config)),
    Target("hand", lambda: [hand_file("dactyl24").read_bytes()], lambda d, p: parse_hand(d, "f")),
    Target(
        "object",
        lambda: [object_file(name).read_bytes() for name in ("block", "prism")],
        lambda d, p: parse_object(d, "f"),
    ),
    Target("universe", _universes, _in_file(lambda path: load_universe(path, HAND))),
    Target("rig", _rigs, lambda d, p: parse_rig(d, "f")),
    Target(
        "policy", _policies, _in_file(lambda path: load_policy(path, HAND, BLOCK, allowed=None))
    ),
    Target("keys", _keys, _key_files),
    Target("recording", _recordings, _in_file(_recording), RecordingError),
    Target("servo bytes", _servo_corpus, _servo_bytes),
    Target("camera messages", _camera_corpus, _camera_message, PerceptionError),
)
