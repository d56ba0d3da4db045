"""The form of a recorded tick, which recordings of all versions have in common."""

import socket
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from inhand.controller.core.records import Event, GoalState, Outputs
from inhand.controller.recording.foxglove_channels import SCHEMAS
from inhand.controller.recording.tick_record import (
    MAX_RECORD,
    Inputs,
    RecordSender,
    TickRecord,
    Times,
    decode,
    pack,
)
from inhand.controller.safety.modes import Mode
from inhand.hardware.records import frozen_array
from inhand.perception.records import TagCorners
from tests.controller.recorded import Recorded

ARRAY = frozen_array([0.5, -0.25])
PACKED = [[2], ARRAY.tobytes()]
GOAL = GoalState(3, ARRAY, 0.4, 1.0, 0.7, None)
OUTPUTS = Outputs(
    mode=Mode.RUNNING,
    reason="goal",
    torque=True,
    targets=ARRAY,
    pose=None,
    in_hand=True,
    paused=False,
    goal=GOAL,
    action=None,
    effort=ARRAY,
    waiting=4,
    reached=5,
    missed=6,
    dropped=7,
)
TIMES = Times(deadline=1.0, woken=1.25, read=1.5, thought=2.0, written=3.0)


def test_outputs_are_packed_by_position() -> None:
    goal = [3, PACKED, 0.4, 1.0, 0.7, None]
    told = ["running", "goal", True, PACKED, None, True, False, goal, None, PACKED, 4, 5, 6, 7]
    assert msgspec.msgpack.decode(pack(OUTPUTS)) == told


def test_a_tick_is_read_as_it_was_written() -> None:
    event = Event(1.0, "goal_started", {"goal": 3})
    record = TickRecord(9, 1.5, [event], Inputs(None, [], 1.5, None, []), OUTPUTS, TIMES)
    found = decode(pack(record))
    assert isinstance(found, TickRecord)
    assert found.outputs.mode is Mode.RUNNING
    assert found.events == [event] and found.times == TIMES
    assert pack(found) == pack(record)


def test_vertices_are_read_as_they_were_written() -> None:
    vertices = frozen_array([[1.0, 2.0, 0.5]])
    seen = TagCorners(1.0, "left", (), frozen_array(np.empty((0, 4, 2))), 1.0, vertices)
    inputs = Inputs(None, [], 1.5, None, [seen])
    found = decode(pack(TickRecord(9, 1.5, [], inputs, OUTPUTS, TIMES)))
    assert isinstance(found, TickRecord)
    read = found.inputs.corners[0].vertices
    assert read is not None and np.array_equal(read, vertices)


def test_the_parts_of_a_tick() -> None:
    assert TIMES.parts() == {"lateness": 0.25, "read": 0.25, "think": 0.5, "write": 1.0}


def test_channels_have_the_columns_that_their_readers_know() -> None:
    def columns(topic: str) -> dict[str, str]:
        properties = SCHEMAS[topic][1]["properties"]
        return {name: schema["type"] for name, schema in properties.items()}

    text, flag, count, number = "string", "boolean", "integer", "number"
    assert columns("/state") == {
        "timestamp": "object",
        "mode": text,
        "reason": text,
        "torque": flag,
        "in_hand": flag,
        "paused": flag,
        "reached": count,
        "missed": count,
        "dropped": count,
        "pose_age": number,
        "goal": count,
        "goal_error": number,
    }
    assert list(columns("/servos")) == [
        "timestamp",
        "names",
        "position",
        "velocity",
        "current",
        "target",
    ]
    assert list(columns("/tick")) == ["timestamp", "n", "lateness", "read", "think", "write"]
    assert all(SCHEMAS[topic][1]["required"][0] == "timestamp" for topic in SCHEMAS)


def test_a_tape_that_nobody_reads_loses_and_counts_and_never_waits(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.run(0.1)
    line, _end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tape = RecordSender(line)
    times = Times(0.0, 0.0, 0.0, 0.0, 0.0)
    for _ in range(3000):
        tape.write(Inputs(None, [], 0.0, None, []), hand.controller.snapshot(), [], times)
    assert 0 < tape.lost < 3000
    line.close(), _end.close(), hand.close()


def test_what_is_too_large_for_a_record_is_not_sent(tmp_path: Path) -> None:
    """The recorder would read a part of it, and end."""
    hand = Recorded(tmp_path)
    hand.run(0.1)
    line, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    end.setblocking(False)
    tape, snapshot = RecordSender(line), hand.controller.snapshot()
    event = Event(1.0, "bus", {"problem": "x" * (MAX_RECORD + 1)})
    tape.write(Inputs(None, [], 0.0, None, []), snapshot, [event], TIMES)
    assert tape.lost == 1
    tape.checkpoint(SimpleNamespace(grows=np.zeros(MAX_RECORD)), snapshot)
    assert "too large" in tape.problem and tape.lost == 1
    tape.write(Inputs(None, [], 0.0, None, []), snapshot, [], TIMES)
    assert decode(end.recv(MAX_RECORD)).n == 2
    with pytest.raises(BlockingIOError):
        end.recv(MAX_RECORD)
    line.close(), end.close(), hand.close()
