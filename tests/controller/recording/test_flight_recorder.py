"""The flight recorder: records in memory, reasons to save, and disk errors."""

import json
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader

from inhand.controller.core.requests import Estop
from inhand.controller.recording.file_writer import Limits
from inhand.controller.recording.flight_recorder import AFTER, PICTURES
from inhand.controller.recording.foxglove_channels import Picture
from inhand.controller.recording.reader import RecordingError, open_recording
from inhand.controller.recording.recorder_link import RecorderConfig, RecorderLink
from inhand.controller.recording.tick_record import CHECKPOINT_PERIOD, CheckpointRecord, TickRecord
from inhand.controller.safety.modes import Mode
from inhand.hardware.records import frozen_array
from inhand.perception.camera.preview import Preview
from inhand.perception.camera.sources import Frame
from inhand.perception.records import TagCorners
from tests.controller.recorded import MEGABYTE, OFFSET, Recorded, header


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Recorded]:
    hand = Recorded(tmp_path, Limits(10.0, 100 * MEGABYTE, 1000 * MEGABYTE))
    yield hand
    hand.close()


def ticks(path: Path) -> list[TickRecord]:
    return [record for record in open_recording(path).records() if isinstance(record, TickRecord)]


def test_a_fault_saves_the_time_before_and_after_it(hand: Recorded) -> None:
    hand.start()
    hand.run(16.0)
    assert not hand.files(), "nothing is written without a reason"
    hand.answered = False
    hand.run(AFTER + 1.0)
    assert hand.controller.mode == Mode.FAULT
    hand.recorder.close()
    (file,) = hand.files()
    recording, found = open_recording(file), ticks(file)
    assert recording.reason == "fault" and file.name.endswith("-fault.mcap")
    fault = next(r for r in found if any(e.data.get("after") == "fault" for e in r.events))
    assert 10.0 <= fault.t - found[0].t <= 10.0 + CHECKPOINT_PERIOD + 0.02
    assert AFTER <= found[-1].t - fault.t <= AFTER + 0.02
    assert [r.n for r in found] == list(range(found[0].n, found[-1].n + 1))
    assert isinstance(next(iter(recording.records())), CheckpointRecord)
    assert hand.told == [("recording_saved", {"file": str(file), "reason": "fault"})]


def test_an_emergency_stop_and_a_request_also_save_a_file(hand: Recorded) -> None:
    hand.start()
    hand.tick(Estop(1, 9))
    hand.run(AFTER + 0.1)
    assert hand.recorder.ask("save") == {"recording": False, "lost": 0}
    hand.run(AFTER + 0.1)
    hand.recorder.close()
    assert [open_recording(file).reason for file in hand.files()] == ["estop", "request"]


def test_each_file_of_a_continuous_recording_begins_with_a_checkpoint(
    tmp_path: Path,
) -> None:
    hand = Recorded(tmp_path, Limits(10.0, MEGABYTE // 5, 100 * MEGABYTE))
    hand.seen = False
    assert hand.recorder.ask("start")["recording"] is True
    hand.run(20.0)
    hand.recorder.ask("stop")
    hand.close()
    files = hand.files()
    assert len(files) >= 3
    # The first file starts at the first tick, which has no checkpoint before it.
    for file in files[1:]:
        assert isinstance(next(iter(open_recording(file).records())), CheckpointRecord)
    numbers = [record.n for file in files for record in ticks(file)]
    assert numbers == list(range(1, hand.tape._n + 1)), "no tick is missing between the files"


def test_the_oldest_recordings_are_deleted(tmp_path: Path) -> None:
    hand = Recorded(tmp_path, Limits(5.0, MEGABYTE // 4, MEGABYTE // 2))
    hand.seen = False
    hand.recorder.ask("start")
    hand.run(25.0)
    hand.close()
    files = hand.files()
    assert sum(f.stat().st_size for f in files) < MEGABYTE
    assert ticks(files[-1])[-1].n == hand.tape._n


def test_a_directory_that_cannot_be_written_is_reported_once_and_retried(hand: Recorded) -> None:
    hand.directory.write_text("a file where the directory should be")
    hand.seen = False
    hand.recorder.ask("start")
    hand.run(3 * CHECKPOINT_PERIOD)
    while not hand.told:
        time.sleep(0.01)
    assert [kind for kind, _ in hand.told] == ["recording_failed"]
    assert str(hand.directory) in hand.told[0][1]["problem"]
    hand.directory.unlink()
    hand.run(3 * CHECKPOINT_PERIOD)
    hand.recorder.close()
    assert len(hand.files()) == 1
    assert hand.tape.lost == 0


def test_poses_joints_and_log_use_foxglove_schemas(hand: Recorded) -> None:
    hand.start()
    hand.run(2.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.recorder.close()
    (file,) = hand.files()
    with file.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        channels = [one for one in summary.channels.values() if one.schema_id]
        schemas = {one.topic: summary.schemas[one.schema_id] for one in channels}
        found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for _, channel, message in reader.iter_messages(topics=list(schemas)):
            found.setdefault(channel.topic, []).append((message.log_time, json.loads(message.data)))
    names = {topic: schema.name for topic, schema in schemas.items()}
    assert names["/object"] == names["/goal"] == "foxglove.PoseInFrame"
    assert names["/joints"] == "foxglove.JointStates" and names["/log"] == "foxglove.Log"
    assert {s.encoding for s in schemas.values()} == {"jsonschema"}
    for topic, messages in found.items():
        schema = json.loads(schemas[topic].data)
        for _, message in messages:
            assert set(schema["required"]) <= message.keys() <= schema["properties"].keys(), topic
    counts = Counter({topic: len(messages) for topic, messages in found.items()})
    assert counts["/joints"] == counts["/state"] == len(ticks(file))
    assert counts["/corners/left"] > 20
    stamp, pose = found["/object"][-1]
    assert pose["timestamp"] == {"sec": stamp // 10**9, "nsec": stamp % 10**9}
    assert abs(stamp * 1e-9 - OFFSET - hand.t) < 0.1
    joints = [joint["name"] for joint in found["/joints"][0][1]["joints"]]
    assert joints == list(hand.controller.hand.joint_names)


def test_the_complete_part_of_a_file_after_a_crash_is_readable(hand: Recorded) -> None:
    hand.start()
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.recorder.close()
    (file,) = hand.files()
    whole = file.read_bytes()
    for cut in range(len(whole) // 2, len(whole), len(whole) // 9):
        file.write_bytes(whole[:cut])
        assert 0 < len(ticks(file)) <= hand.tape._n
    file.write_bytes(b"something else")
    with pytest.raises(RecordingError, match="not a recording"):
        open_recording(file)
    with pytest.raises(RecordingError, match="No such file"):
        open_recording(file.with_name("absent.mcap"))


def test_images_in_memory_are_limited(hand: Recorded) -> None:
    hand.run(0.1)
    for number in range(100):
        hand.recorder.take_picture(Picture("left", hand.t + 0.01 * number, bytes(1_000_000)))
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.recorder.close()
    (file,) = hand.files()
    pictures = [m for topic, _, m in open_recording(file).messages() if topic == "/image/left"]
    assert len(pictures) == PICTURES // 1_000_000
    assert pictures[0]["format"] == "jpeg" and pictures[0]["frame_id"] == "left"


def test_images_are_recorded_only_on_request(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    address = f"ipc://{tmp_path}/image-left.sock"
    preview, link = Preview.open(address), RecorderLink.open()
    limits = Limits(30.0, 100 * MEGABYTE, 1000 * MEGABYTE)
    child = link.start(
        RecorderConfig(str(hand.directory), limits, header(tmp_path), (address,)), tmp_path
    )
    hand.tape = link.tape
    image = np.full((24, 32, 3), 200, np.uint8)
    seen = TagCorners(0.0, "left", (), frozen_array(np.zeros((0, 4, 2))), 0.1)

    def until(done: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not done():
            assert time.monotonic() < deadline
            hand.tick()
            preview.offer(Frame(hand.t, image), replace(seen, t=hand.t))
            time.sleep(0.002)

    until(lambda: hand.t > 50.5)
    assert not preview.watched
    assert link.ask([b"me"], 1, "start", True)
    until(lambda: preview.watched)
    began = hand.t
    until(lambda: hand.t > began + 1.0)
    assert link.ask([b"me"], 2, "stop")
    until(lambda: not preview.watched)
    link.close(), preview.close(), hand.close()
    assert child.process.wait(60) == 0
    (file,) = hand.directory.glob("*.mcap")
    messages = [m for topic, _, m in open_recording(file).messages() if topic == "/image/left"]
    assert len(messages) > 5
    jpeg = np.frombuffer(b64decode(messages[0]["data"]), np.uint8)
    shown = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert shown is not None and abs(int(shown.mean()) - 200) < 3
