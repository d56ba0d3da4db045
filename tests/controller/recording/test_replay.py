"""A replayed recording is equal to the bit, or the first difference is shown."""

import socket
import time
from dataclasses import is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inhand.controller.errors import PolicyError, RecordingError
from inhand.controller.ipc.protocol import (
    Arm,
    Clear,
    Enable,
    Estop,
    Home,
    RandomGoals,
    decode_request,
)
from inhand.controller.recording.checkpoint import capture, known_to, restore, unbundled
from inhand.controller.recording.flight_recorder import AFTER
from inhand.controller.recording.foxglove_channels import Translator
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.recorder_link import RecorderConfig, RecorderLink
from inhand.controller.recording.replay import Replay, descriptions, replay
from inhand.controller.recording.tick_record import (
    CheckpointRecord,
    Inputs,
    Tape,
    TickRecord,
    Times,
    decode,
    outputs,
    pack,
)
from inhand.controller.recording.writer import RecordingFile
from inhand.controller.safety.modes import Mode
from inhand.perception.objects import load_object, object_file
from tests.controller import recorded as recorder
from tests.controller.bench_hand import HAND
from tests.controller.recorded import OFFSET, Recorded, header


def recorded(directory: Path, eventful: bool = False) -> Path:
    """A recording of a hand at work."""
    hand = Recorded(directory)
    hand.start()
    hand.run(9.0)
    if eventful:
        # Sometimes a servo does not answer, also at the time of a checkpoint.
        hand.world.silence = 0.01
        hand.run(6.0)
        hand.world.silence = 0.0
        hand.seen = False
        hand.run(2.5)
        hand.seen = True
        hand.run(1.0)
        hand.answered = False
        hand.run(0.5)
        hand.answered = True
        hand.run(0.2)
        hand.tick(Clear(1, 1))
        hand.tick(Enable(1, 2), Home(1, 3))
        hand.run(1.0)
        hand.tick(Arm(1, 4), RandomGoals(1, 5, count=3))
        hand.run(3.0)
        hand.tick(Estop(1, 6))
        hand.run(1.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    return hand.files()[-1]


def rewritten(path: Path, directory: Path, change: Any) -> Path:
    """The recording with each record changed."""
    file = RecordingFile(
        directory / "other.mcap", open_recording(path).header, Translator(HAND, OFFSET), "request"
    )
    for record in open_recording(path).records():
        changed = change(record)
        if changed is not None:
            file.write(pack(changed))
    file.finish()
    return file.path


@pytest.mark.parametrize("eventful", [False, True])
def test_a_recording_run_again_is_equal_to_the_bit(tmp_path: Path, eventful: bool) -> None:
    path = recorded(tmp_path, eventful)
    report = Replay(open_recording(path)).run()
    assert report.difference is None and report.versions == {}
    assert report.ticks > 1000 and report.gaps == 0
    assert report.skipped <= 1, "only the first tick of all has no checkpoint before it"


def test_a_recording_with_an_emergency_stop_line_is_equal_to_the_bit(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.line = ""
    hand.start()
    hand.run(6.0)
    hand.line = "the line is open"
    hand.run(6.0)
    assert hand.controller.mode is Mode.ESTOP
    hand.line = ""
    hand.run(0.1)
    hand.tick(Clear(1, 1))
    hand.tick(Enable(1, 2), Arm(1, 3))
    hand.run(6.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    assert len(hand.files()) == 2
    for path in hand.files():
        report = Replay(open_recording(path)).run()
        assert report.difference is None and report.ticks > 800


def test_a_recording_with_a_thousand_goals_waiting_is_equal_to_the_bit(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.start()
    hand.run(0.5)
    kinds = [{"face": "+x"}, {"face": "-y", "heading": 1.0}, {"rotation": [0.1, 0, 0]}]
    kinds.append({"quaternion": [0.6, 0.8, 0, 0]})
    asked = {"v": 1, "id": 1, "type": "goals", "goals": kinds * 249, "replace": True}
    hand.tick(decode_request(msgspec.json.encode(asked)))
    hand.tick(RandomGoals(1, 4, count=3, kind="face-up"))
    hand.run(11.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    report = Replay(open_recording(hand.files()[-1])).run()
    assert report.difference is None and report.ticks > 1000


def members(live: object, path: str = "") -> dict[str, set[str]]:
    """The member names of an object and of its parts that change."""
    found = {path: set(vars(live))}
    for name, value in vars(live).items():
        module = type(value).__module__
        ours = module.startswith("inhand.controller.") and hasattr(value, "__dict__")
        if ours and not isinstance(value, Enum) and not is_dataclass(value):
            found |= members(value, f"{path}.{name}")
    return found


def test_no_member_is_added_or_removed_while_a_controller_works(tmp_path: Path) -> None:
    """A member that does not always exist could not be restored into a new controller."""
    hand = Recorded(tmp_path)
    before = members(hand.controller)
    hand.line = ""
    hand.start()
    hand.run(1.0)
    hand.answered = False
    hand.run(0.2)
    hand.line = "the line is open"
    hand.run(0.1)
    assert members(hand.controller) == before and len(before) > 5
    hand.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("recorded"))


def test_a_recording_with_an_object_of_schema_1_is_equal_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = object_file("block").read_text().replace("schema = 2", "schema = 1")
    (tmp_path / "old.toml").write_text(text)
    old = load_object(tmp_path / "old.toml", recorded=True)
    monkeypatch.setattr(recorder, "BLOCK", old)
    said = msgspec.structs.replace(header(tmp_path), object=text)
    monkeypatch.setattr(recorder, "header", lambda _: said)
    recording = open_recording(recorded(tmp_path))
    assert "schema = 1" in recording.header.object
    assert descriptions(recording.header)[1].upside_down
    report = Replay(recording).run()
    assert report.ticks > 500 and report.difference is None


def test_the_first_difference_is_shown_to_the_last_bit(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nudged = 0

    def nudge(record: TickRecord | CheckpointRecord) -> TickRecord | CheckpointRecord:
        nonlocal nudged
        if isinstance(record, TickRecord) and record.n > 700 > nudged and record.outputs.goal:
            pose = record.outputs.pose
            assert pose is not None
            position = pose.position.copy()
            position[1] *= 1 + 2**-52
            pose = replace(pose, position=position)
            nudged = record.n
            outputs = msgspec.structs.replace(record.outputs, pose=pose)
            return msgspec.structs.replace(record, outputs=outputs)
        return record

    other = rewritten(path, tmp_path, nudge)
    difference = Replay(open_recording(other)).run().difference
    assert difference is not None
    assert (difference.n, difference.what) == (nudged, "outputs.pose.position")
    assert difference.recorded != difference.replayed
    assert replay(other) == 1
    assert "outputs.pose.position" in capsys.readouterr().out


def test_a_recorded_input_that_differs_from_the_used_one_is_found(
    path: Path, tmp_path: Path
) -> None:
    """A frame that is missing in the recording changes the pose from then on."""
    dropped = 0

    def drop(record: TickRecord | CheckpointRecord) -> TickRecord | CheckpointRecord:
        nonlocal dropped
        if isinstance(record, TickRecord) and record.n > 700 > dropped and record.inputs.corners:
            dropped = record.n
            inputs = msgspec.structs.replace(record.inputs, corners=[])
            return msgspec.structs.replace(record, inputs=inputs)
        return record

    difference = Replay(open_recording(rewritten(path, tmp_path, drop))).run().difference
    assert difference is not None and difference.n == dropped
    assert difference.what.startswith("outputs.pose")


def test_after_a_gap_the_replay_continues_at_the_next_checkpoint(
    path: Path, tmp_path: Path
) -> None:
    other = rewritten(path, tmp_path, lambda record: None if record.n == 650 else record)
    report = Replay(open_recording(other)).run()
    assert report.difference is None and report.gaps == 1
    assert report.skipped > 100 and report.ticks > 500


def test_a_recording_that_cannot_be_run_again_gives_the_reason(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    lacking = rewritten(path, tmp_path, lambda r: r if isinstance(r, TickRecord) else None)
    with pytest.raises(RecordingError, match="no checkpoint"):
        Replay(open_recording(lacking)).run()
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(PolicyError, match="say where it is"):
        Replay(open_recording(path)).run()


def test_a_restored_controller_continues_like_the_original(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.start()
    hand.run(3.0)
    state = capture(hand.controller)
    other = Recorded(tmp_path)
    restore(other.controller, decode(pack(CheckpointRecord(0, 0.0, "", state))).state)
    assert pack(capture(other.controller)) == pack(state)
    assert pack(outputs(other.controller.snapshot())) == pack(outputs(hand.controller.snapshot()))
    assert other.controller.mode is Mode.RUNNING
    hand.close(), other.close()


def test_a_checkpoint_refuses_unknown_types(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.controller.surprise = object()
    with pytest.raises(TypeError, match="object cannot be part of a checkpoint"):
        capture(hand.controller)
    hand.run(0.1)
    assert "checkpoint" in hand.tape.problem, "the tick goes on, and says that there are none"
    with pytest.raises(ValueError, match="no members other"):
        restore(hand.controller, {"other": 1})
    hand.close()


def older(state: Any) -> Any:
    """A checkpoint as an older version wrote it: orders by their members, and without new ones."""
    if isinstance(state, dict):
        if state.get("is") == "order":
            return unbundled(state["value"])
        return {k: older(v) for k, v in state.items() if k != "_line"}
    return [older(one) for one in state] if isinstance(state, list) else state


def test_a_checkpoint_of_an_older_version_is_restored(tmp_path: Path) -> None:
    fresh_place = tmp_path / "fresh"
    fresh_place.mkdir()
    hand, fresh = Recorded(tmp_path), Recorded(fresh_place)
    hand.start()
    hand.run(0.5)
    written = older(capture(hand.controller))
    assert hand.controller.goals.active is not None and "_line" not in written
    restore(fresh.controller, written)
    now = capture(fresh.controller)
    assert known_to(written, now) == written != now
    hand.close(), fresh.close()


def test_a_tape_without_reader_counts_lost_records_and_never_waits(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.run(0.1)
    line, _end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    tape = Tape(line)
    times = Times(0.0, 0.0, 0.0, 0.0, 0.0)
    for _ in range(3000):
        tape.write(Inputs(None, [], 0.0, None, []), hand.controller.snapshot(), [], times)
    assert 0 < tape.lost < 3000
    line.close(), _end.close(), hand.close()


def test_the_recorder_process_records_answers_and_can_be_restarted(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    link = RecorderLink()
    wanted = RecorderConfig(str(tmp_path / "other"), hand.recorder._limits, header(tmp_path))
    child = link.start(wanted, tmp_path)
    hand.tape = link.tape
    hand.start()

    def run(seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            hand.tick()
            time.sleep(0.001)

    def hear() -> list[Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            answers, events = link.collect()
            if answers or events:
                return [*answers, *events]
            time.sleep(0.01)
        raise AssertionError("the recorder says nothing")

    run(1.0)
    assert link.ask([b"me"], 7, "save")
    (answer,) = hear()
    assert (answer.client, answer.id, answer.result["recording"]) == ([b"me"], 7, False)
    run(AFTER + 1.0)
    (event,) = hear()
    assert event.kind == "recording_saved"
    report = Replay(open_recording(event.data["file"])).run()
    assert report.difference is None and report.ticks > 100

    child.process.kill()
    child.process.wait()
    run(0.5)
    child = child.again()
    run(6.0)
    assert link.ask([b"me"], 8, "start")
    assert hear()[0].result["recording"] is True
    run(0.5)
    link.close()
    # When the connection is closed, it completes its file and ends by itself.
    assert child.process.wait(30) == 0
    newest = max((tmp_path / "other").glob("*.mcap"))
    assert Replay(open_recording(newest)).run().difference is None
    assert len(list((tmp_path / "other").glob("*.mcap"))) == 2
    hand.close()
