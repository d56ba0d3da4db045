"""A camera problem is reported once when it begins and once when it ends."""

from typing import Any

from inhand.controller.runtime.camera_watch import LATEST, SILENCE, SLOWEST, CameraWatch
from inhand.perception.records import CameraStatus


def status(t: float, **differs: float | str) -> CameraStatus:
    usual: dict[str, Any] = {
        "frames": 9,
        "frame_age": 0.05,
        "rate": 15.0,
        "detection_time": 0.004,
        "problem": "",
    }
    return CameraStatus(t=t, camera="left", **(usual | differs))


def test_each_problem_is_reported_once_and_its_end_too() -> None:
    watch = CameraWatch(["left"], 0.0)
    assert watch.changes({}, 9.0) == []
    assert watch.changes({}, 11.0) == [("left", "its process has not reported yet")]
    assert watch.changes({"left": status(12.0)}, 12.1) == [("left", "")]
    for now, said in ((13.0, "no frame for 1.1 s"), (13.5, "no frame for 1.6 s")):
        told = watch.changes({"left": status(now, problem=said)}, now)
        assert told == ([("left", said)] if now == 13.0 else [])
    assert watch.changes({"left": status(14.0)}, 14.0) == [("left", "")]
    assert watch.changes({"left": status(14.0)}, 14.0 + SILENCE) == []
    ((_, silent),) = watch.changes({"left": status(14.0)}, 14.1 + SILENCE)
    assert "silent for 2.1 s" in silent


def test_late_frames_and_a_low_frame_rate_are_problems() -> None:
    watch = CameraWatch(["left"], 0.0)
    fine = status(1.0, frame_age=LATEST, rate=SLOWEST)
    assert watch.changes({"left": fine}, 1.0) == []
    ((_, late),) = watch.changes({"left": status(1.0, frame_age=0.31)}, 1.0)
    assert late == "its frames are 0.31 s late"
    ((_, rare),) = watch.changes({"left": status(1.0, rate=4.9)}, 1.0)
    assert rare == "it delivers only 4.9 frames a second"
    # Before the first frame neither its age nor the frame rate is checked.
    assert watch.changes({"left": status(1.0, frames=0, frame_age=99.0, rate=0.0)}, 1.0) == [
        ("left", "")
    ]
