"""The controller's state in a checkpoint, restored into another controller."""

from collections import deque
from pathlib import Path
from typing import Any

import pytest

from inhand.controller.recording.checkpoint import (
    capture,
    pack_in_older_form,
    restore,
    without_newer_members,
)
from inhand.controller.recording.tick_record import (
    CheckpointRecord,
    decode,
    outputs,
    pack,
)
from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import Bench
from tests.controller.recorded import Recorded


def test_a_restored_controller_goes_on_as_the_one_it_was_taken_from(tmp_path: Path) -> None:
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


def test_a_checkpoint_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.controller.surprise = object()
    with pytest.raises(TypeError, match="object cannot be part of a checkpoint"):
        capture(hand.controller)
    hand.run(0.1)
    assert "checkpoint" in hand.tape.problem, "the tick goes on, and says that there are none"
    with pytest.raises(ValueError, match="no members other"):
        restore(hand.controller, {"other": 1})
    hand.close()


def test_what_is_known_of_slow_cameras_is_restored() -> None:
    bench, other = Bench(), Bench()
    bench.frame_period, bench.latency = 0.3, 0.1
    bench.run(6.0)
    state = capture(bench.controller)
    restore(other.controller, decode(pack(CheckpointRecord(0, 0.0, "", state))).state)
    assert "less often" in other.controller.snapshot().fusion.problem
    assert pack(capture(other.controller)) == pack(state)


def test_a_bounded_sequence_keeps_its_bound() -> None:
    class Few:
        def __init__(self) -> None:
            self.last: deque[int] = deque(maxlen=3)

    here, there = Few(), Few()
    here.last.extend((1, 2, 3, 4))
    restore(there, capture(here))
    there.last.append(5)
    assert list(there.last) == [3, 4, 5]


def older(state: Any) -> Any:
    """A checkpoint as an older version wrote it: orders by their members, and without new ones."""
    if isinstance(state, dict):
        if state.get("is") == "order":
            return pack_in_older_form(state["value"])
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
    assert without_newer_members(written, now) == written != now
    hand.close(), fresh.close()


def test_an_order_from_before_goals_had_a_symmetry_is_restored(tmp_path: Path) -> None:
    def without(state: Any) -> Any:
        if isinstance(state, dict):
            return {k: without(v) for k, v in state.items() if k != "symmetry"}
        return [without(one) for one in state] if isinstance(state, list) else state

    hand = Recorded(tmp_path)
    hand.start()
    hand.run(0.1)
    state = capture(hand.controller)
    written = without(decode(pack(CheckpointRecord(0, 0.0, "", state))).state)
    restore(hand.controller, written)
    assert hand.controller.goals.active is not None
    assert not hand.controller.goals.active.order.symmetry
    assert pack(without_newer_members(written, capture(hand.controller))) == pack(written)
    hand.close()
