"""Checkpoints of older versions are restored, and compared with those of this one."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inhand.controller.errors import RecordingError
from inhand.controller.recording.checkpoint import capture, restore, without_newer_members
from inhand.controller.recording.flight_recorder import AFTER
from inhand.controller.recording.foxglove_channels import Translator
from inhand.controller.recording.older_checkpoints import MOVED, RENAMED, upgraded
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import Replay
from inhand.controller.recording.tick_record import CheckpointRecord, decode, pack
from inhand.controller.recording.writer import RecordingFile
from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import HAND
from tests.controller.recorded import OFFSET, Recorded

OLDER = Path(__file__).with_name("older_checkpoint.msgpack.gz")
"""Of a running hand, written when all members were members of the controller itself."""


def member(state: Any, path: tuple[str, ...]) -> Any:
    """The member of a captured state at a path."""
    for name in path[:-1]:
        state = state[name]["members"]
    return state[path[-1]]


def is_live(value: Any) -> bool:
    """Whether a captured value is an object with members."""
    return isinstance(value, dict) and value.get("is") == "live"


def leaves(state: dict[str, Any]) -> list[Any]:
    """All values of a captured state that are not objects with members."""
    inside = [leaves(value["members"]) if is_live(value) else [value] for value in state.values()]
    return [leaf for values in inside for leaf in values]


def names(state: dict[str, Any]) -> set[str]:
    """The names of all members of a captured state, and of the objects in it."""
    inside = [names(value["members"]) for value in state.values() if is_live(value)]
    return set(state).union(*inside)


def with_names(state: dict[str, Any], new: dict[str, str]) -> dict[str, Any]:
    """A captured state with members renamed, in whatever object they are."""
    return {
        new.get(name, name): (
            {**value, "members": with_names(value["members"], new)} if is_live(value) else value
        )
        for name, value in state.items()
    }


def flat(state: Any) -> dict[str, Any]:
    """A checkpoint of today as an older version wrote it."""
    kept = {name: state[name] for name in ("hand", "target", "settings", "_line")}
    return kept | {old: member(state, path) for old, path in MOVED.items()}


def rewritten(path: Path, directory: Path, change: Any) -> Path:
    """The recording with the state of each checkpoint changed."""
    file = RecordingFile.open(
        directory / "older.mcap", open_recording(path).header, Translator(HAND, OFFSET), "request"
    )
    for record in open_recording(path).records():
        if isinstance(record, CheckpointRecord):
            record = msgspec.structs.replace(record, state=change(record))
        file.write(pack(record))
    file.finish()
    return file.path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a hand at work, by this version."""
    hand = Recorded(tmp_path_factory.mktemp("recorded"))
    hand.start()
    hand.run(11.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    return hand.files()[-1]


def test_every_member_that_moved_has_a_place_of_its_own(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    state = capture(hand.controller)
    hand.close()
    for at in MOVED.values():
        member(state, at)
    assert len(set(MOVED.values())) == len(MOVED)
    assert not state.keys() & MOVED.keys(), "an old name would say two things"


def test_a_checkpoint_that_an_older_version_wrote_is_restored_whole(tmp_path: Path) -> None:
    record = decode(gzip.decompress(OLDER.read_bytes()))
    assert isinstance(record, CheckpointRecord)
    hand = Recorded(tmp_path)
    state = upgraded(record.state)
    restore(hand.controller, state)
    assert pack(without_newer_members(state, capture(hand.controller))) == pack(state)
    assert (hand.controller.mode, hand.controller.torque) == (Mode.RUNNING, True)
    snapshot = hand.controller.snapshot()
    assert snapshot.t == record.t and snapshot.in_hand and snapshot.goal is not None
    assert snapshot.pose is not None and snapshot.joints is not None
    hand.close()


def test_no_value_of_an_older_checkpoint_is_lost() -> None:
    record = decode(gzip.decompress(OLDER.read_bytes()))
    assert isinstance(record, CheckpointRecord)
    state = upgraded(record.state)
    assert sorted(map(id, leaves(state))) == sorted(map(id, leaves(record.state)))
    assert MOVED.keys() <= record.state.keys()


def test_a_renamed_member_is_found_in_whatever_object_it_is(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    state = capture(hand.controller)
    hand.close()
    older = with_names(state, {new: old for old, new in RENAMED.items()})
    assert names(older) - names(state) == RENAMED.keys()
    assert upgraded(older) == state


def test_a_checkpoint_of_this_version_stays_as_it_is(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    state = capture(hand.controller)
    assert upgraded(state) is state
    assert upgraded(upgraded(flat(state))) == upgraded(flat(state))
    hand.close()


def test_a_recording_with_older_checkpoints_is_equal_to_the_bit(path: Path, tmp_path: Path) -> None:
    older = rewritten(path, tmp_path, lambda record: flat(record.state))
    report = Replay(open_recording(older)).run()
    assert report.difference is None and report.ticks > 1000


@pytest.mark.parametrize("name", ["_dropped", "_ticks_to_action", "_derated", "_reason"])
def test_a_difference_from_an_older_checkpoint_is_found(
    path: Path, tmp_path: Path, name: str
) -> None:
    def change(record: CheckpointRecord) -> dict[str, Any]:
        state = flat(record.state)
        return state | {name: "other"} if record.n > 100 else state

    difference = Replay(open_recording(rewritten(path, tmp_path, change))).run().difference
    assert difference is not None
    assert difference.what.startswith("state.") and difference.what.endswith(MOVED[name][-1])
    assert difference.recorded == "'other'"


@pytest.mark.parametrize("state", [[], None, {"_t": 1.0, "_tt": 1.0}, {"_mover": 5, "_pose": {}}])
def test_what_was_never_a_checkpoint_is_refused(path: Path, tmp_path: Path, state: Any) -> None:
    with pytest.raises(RecordingError, match="does not fit this version"):
        Replay(open_recording(rewritten(path, tmp_path, lambda _: state))).run()
