"""The recorder as a process, at the other end of the tape."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inhand.controller.recording.flight_recorder import AFTER
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.recorder_link import RecorderConfig, RecorderLink
from inhand.controller.recording.replay import Replay
from tests.controller.recorded import Recorded, header


def test_the_recorder_as_a_process_records_answers_and_survives_its_death(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    link = RecorderLink.open()
    wanted = RecorderConfig(str(tmp_path / "other"), hand.recorder._limits, header(tmp_path))
    child = link.start(wanted, tmp_path)
    hand.tape = link.tape
    hand.start()

    def run(seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            hand.tick()
            time.sleep(0.001)

    def hear() -> list[Any]:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            answers, events = link.collect()
            if answers or events:
                return [*answers, *events]
            time.sleep(0.01)
        raise AssertionError("the recorder says nothing")

    def hear_after(act: Callable[[], None]) -> list[Any]:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            act()
            answers, events = link.collect()
            if answers or events:
                return [*answers, *events]
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
    child.start()
    # What the killed recorder had in memory is saved by the next one.
    (event,) = hear_after(lambda: run(0.2))
    assert event.data["reason"] == "recorder-killed"
    left = Replay(open_recording(event.data["file"])).run()
    assert left.difference is None and left.ticks > 300
    run(6.0)
    assert link.ask([b"me"], 8, "start")
    assert hear()[0].result["recording"] is True
    run(0.5)
    link.close()
    # Hung up, it completes its file and ends by itself.
    assert child.process.wait(120) == 0
    newest = max((tmp_path / "other").glob("*.mcap"))
    assert Replay(open_recording(newest)).run().difference is None
    assert len(list((tmp_path / "other").glob("*.mcap"))) == 3
    hand.close()
