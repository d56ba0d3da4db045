"""The recording of a fault is complete, whatever clients ask for and whoever is killed."""

import os
import random
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import pytest

from inhand.controller.core.requests import RecordAction
from inhand.controller.errors import RefusedError
from inhand.controller.recording.file_writer import Limits
from inhand.controller.recording.flight_recorder import AFTER
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.record_ring import SIZE, RecordRing, make_memory
from inhand.controller.recording.retention import make_room
from inhand.controller.recording.tick_record import TickRecord
from tests.controller.recorded import MEGABYTE, Recorded


def ticks(path: Path) -> list[TickRecord]:
    return [record for record in open_recording(path).records() if isinstance(record, TickRecord)]


def of_fault(hand: Recorded) -> Path:
    (file,) = (file for file in hand.files() if file.name.endswith("-fault.mcap"))
    return file


def test_a_storm_of_requests_leaves_the_recording_of_a_fault_complete(tmp_path: Path) -> None:
    hand = Recorded(tmp_path, Limits(5.0, 100 * MEGABYTE, 1000 * MEGABYTE))
    hand.start()
    hand.run(6.0)
    hand.answered = False
    refused = 0
    for _ in range(round((AFTER + 0.5) * 100)):
        hand.tick()
        actions: tuple[RecordAction, ...] = ("start", "stop", "save", "stop")
        for action in actions * 5:
            refused += not asked(hand, action)
    hand.close()
    found = ticks(of_fault(hand))
    assert [record.n for record in found] == list(range(found[0].n, found[-1].n + 1))
    assert found[-1].t - found[0].t > 5.0 + AFTER - 0.1
    assert refused and hand.recorder.lost == 0


@pytest.mark.parametrize("action", ["save", "start"])
def test_a_fault_during_a_requested_recording_has_a_file_of_its_own(
    tmp_path: Path, action: RecordAction
) -> None:
    hand = Recorded(tmp_path)
    hand.start()
    hand.run(1.0)
    hand.recorder.ask(action)
    hand.run(0.2)
    hand.answered = False
    hand.run(0.3)
    # This ends the requested recording, and no other.
    hand.recorder.ask("stop")
    hand.run(AFTER + 0.5)
    hand.close()
    found = ticks(of_fault(hand))
    assert found[-1].t - found[0].t > 1.5 + AFTER
    assert len(hand.files()) == 2


def test_recordings_of_faults_are_not_deleted_for_requested_ones(tmp_path: Path) -> None:
    for number, reason in enumerate(["fault", "request", "estop", "continuous", "drop"]):
        (tmp_path / f"inhand-2026010{number}T000000.000Z-{reason}.mcap").write_bytes(bytes(1000))

    def left() -> list[str]:
        return [path.name[:-5].rpartition("-")[2] for path in sorted(tmp_path.glob("*.mcap"))]

    make_room(tmp_path, "request", 4500)
    assert left() == ["fault", "estop", "continuous", "drop"]
    make_room(tmp_path, "request", 3500)
    assert left() == ["fault", "estop", "drop"]
    with pytest.raises(OSError, match="recordings of faults take all the space"):
        make_room(tmp_path, "continuous", 2500)
    assert left() == ["fault", "estop", "drop"]
    make_room(tmp_path, "fault", 2500)
    assert left() == ["estop", "drop"]


def test_records_that_could_not_be_written_are_counted(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.directory.write_text("a file where the directory should be")
    hand.seen = False
    hand.recorder.ask("start")
    hand.run(1.0)
    hand.close()
    assert hand.recorder.lost >= 100


def asked(hand: Recorded, action: RecordAction) -> bool:
    """Whether a request is accepted."""
    with suppress(RefusedError):
        hand.recorder.ask(action)
        return True
    return False


DAEMON = """
import os, signal, sys, time
from pathlib import Path
from inhand.controller.recording.recorder_link import RecorderConfig, RecorderLink
from tests.controller.recorded import Recorded, header
place, ticks, wait = Path(sys.argv[1]), int(sys.argv[3]), sys.argv[4] == "wait"
hand, link = Recorded(place), RecorderLink.open()
child = link.start(RecorderConfig(str(place / "kept"), hand.recorder._limits, header(place)), place)
hand.tape = link.tape
hand.start()
if wait:
    assert link.ask([], 1, "save")
    while not link.collect()[0]:
        time.sleep(0.001)
for _ in range(ticks):
    hand.tick()
    time.sleep(0.001 if wait else 0.0)
os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""
"""A program with tape and recorder of a daemon, which kills itself."""


def killed(tmp_path: Path, signal: str, count: int, *, wait: bool) -> list[TickRecord]:
    """What is recorded of a daemon that ends after some ticks, with or without waiting first."""
    arguments = [str(tmp_path), signal, str(count), "wait" if wait else ""]
    done = subprocess.run([sys.executable, "-c", DAEMON, *arguments], check=False)
    assert done.returncode < 0
    deadline = time.monotonic() + 120
    while not (files := list((tmp_path / "kept").glob("*-killed.mcap"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return ticks(files[0])


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGABRT"])
def test_a_daemon_that_is_killed_leaves_its_last_ticks(tmp_path: Path, signal: str) -> None:
    found = killed(tmp_path, signal, 300, wait=True)
    assert [record.n for record in found] == list(range(found[0].n, found[-1].n + 1))
    assert len(found) >= 300


def test_a_daemon_that_is_killed_before_its_recorder_runs_leaves_its_ticks(tmp_path: Path) -> None:
    found = killed(tmp_path, "SIGKILL", 20, wait=False)
    assert [record.n for record in found] == list(range(1, found[-1].n + 1))
    assert len(found) >= 20


def test_the_ring_keeps_the_latest_records() -> None:
    draw, model = random.Random(1), deque[bytes]()
    descriptor = make_memory()
    ring = RecordRing.of(descriptor)
    for _ in range(300):
        record = draw.randbytes(1) * draw.randrange(1_000_000)
        ring.append(record)
        model.append(record)
    ring.append(bytes(SIZE))
    kept = RecordRing.of(descriptor).records()
    assert kept == list(model)[-len(kept) :]
    assert SIZE - 2_000_000 < sum(map(len, kept)) < SIZE
    ring.clear()
    assert ring.records() == []
    with suppress(OSError):
        os.close(descriptor)
