"""A replayed recording is equal to the bit, or the first difference is shown."""

from dataclasses import is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inhand.controller.core.requests import (
    Arm,
    Clear,
    Enable,
    Estop,
    Hold,
    Home,
    Joints,
    Manual,
    RandomGoals,
    Trajectory,
)
from inhand.controller.errors import PolicyError, RecordingError
from inhand.controller.ipc.protocol import decode_request
from inhand.controller.recording.difference import Difference
from inhand.controller.recording.flight_recorder import AFTER
from inhand.controller.recording.foxglove_channels import Translator
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import Replay, as_text, descriptions, replay
from inhand.controller.recording.revisions import CHANGES, NAME, changes_since, revision
from inhand.controller.recording.tick_record import (
    CheckpointRecord,
    TickRecord,
    pack,
)
from inhand.controller.recording.writer import RecordingFile
from inhand.controller.safety.modes import Mode
from inhand.perception.objects import load_object, object_file
from tests.controller import recorded as recorder
from tests.controller.bench_hand import HAND
from tests.controller.recorded import OFFSET, Recorded, header


def recorded(directory: Path, eventful: bool = False, seconds: float = 9.0) -> Path:
    """A recording of a hand at work."""
    hand = Recorded(directory)
    hand.start()
    hand.run(seconds)
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
        hand.tick(Manual(1, 7), Joints(1, 8, positions={"FFJ3": 0.6}, speed=0.5))
        hand.run(0.4)
        wave = [[0.9], [0.5], [0.7]]
        hand.tick(Trajectory(1, 9, times=[0.3, 0.6, 1.5], positions=wave, joints=["FFJ3"]))
        hand.run(0.45)
        hand.tick(Joints(1, 10))
        hand.run(1.0)
        hand.tick(Hold(1, 11))
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
    file = RecordingFile.open(
        directory / "other.mcap", open_recording(path).header, Translator(HAND, OFFSET), "request"
    )
    for record in open_recording(path).records():
        changed = change(record)
        if changed is not None:
            file.write(pack(changed))
    file.finish()
    return file.path


def check_run_again(path: Path) -> None:
    report = Replay(open_recording(path)).run()
    assert report.difference is None and report.versions == {}
    assert report.ticks > 1000 and report.gaps == 0
    assert report.skipped <= 1, "only the first tick of all has no checkpoint before it"


def test_a_recording_run_again_is_equal_to_the_bit(path: Path) -> None:
    check_run_again(path)


def test_an_eventful_recording_run_again_is_equal_to_the_bit(tmp_path: Path) -> None:
    check_run_again(recorded(tmp_path, eventful=True, seconds=2.0))


def test_a_recording_with_an_emergency_stop_line_is_equal_to_the_bit(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.line = ""
    hand.start()
    hand.run(2.0)
    hand.line = "the line is open"
    hand.run(5.5)
    assert hand.controller.mode is Mode.ESTOP
    hand.line = ""
    hand.run(0.1)
    hand.tick(Clear(1, 1))
    hand.tick(Enable(1, 2), Arm(1, 3))
    hand.run(1.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    assert len(hand.files()) == 2
    for path in hand.files():
        report = Replay(open_recording(path)).run()
        assert report.difference is None and report.ticks > 400


def test_a_recording_with_a_thousand_goals_waiting_is_equal_to_the_bit(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.start()
    hand.run(0.5)
    kinds = [{"face": "+x"}, {"face": "-y", "heading": 1.0}, {"rotation": [0.1, 0, 0]}]
    kinds.append({"quaternion": [0.6, 0.8, 0, 0]})
    asked = {"v": 1, "id": 1, "type": "goals", "goals": kinds * 249, "replace": True}
    hand.tick(decode_request(msgspec.json.encode(asked)))
    hand.tick(RandomGoals(1, 4, count=3, kind="face-up"))
    hand.run(4.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    report = Replay(open_recording(hand.files()[-1])).run()
    assert report.difference is None and report.ticks > 500


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
    recording = open_recording(recorded(tmp_path, seconds=4.0))
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


def test_a_difference_from_an_earlier_recording_says_what_has_changed_since(path: Path) -> None:
    recording = open_recording(path)
    assert recording.header.versions[NAME] == revision()
    versions = recording.header.versions | {NAME: "5"}
    header = msgspec.structs.replace(recording.header, versions=versions)
    report = Replay(replace(recording, header=header)).run()
    assert report.difference is None and "changed" not in as_text(report)
    other = replace(report, difference=Difference(7, 0.07, "outputs.targets", "1.0", "1.1"))
    told = as_text(other)
    for number, (where, why) in enumerate(CHANGES):
        assert (f"{where}: {why}" in told) == (number >= 5)
    assert len(changes_since("")) == len(CHANGES) and not changes_since(revision())


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
    path = recorded(tmp_path, seconds=2.0)
    lacking = rewritten(path, tmp_path, lambda r: r if isinstance(r, TickRecord) else None)
    with pytest.raises(RecordingError, match="no checkpoint"):
        Replay(open_recording(lacking)).run()
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(PolicyError, match="say where it is"):
        Replay(open_recording(path)).run()
