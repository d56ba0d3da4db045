"""A recording with a monitor replays to the bit, and not with another monitor."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.errors import RecordingError
from inhand.controller.policy.monitor_file import load_monitor, monitor_beside, packed
from inhand.controller.policy.runtime import Policy
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import Replay
from inhand.controller.recording.tick_record import TickRecord
from tests.controller.bench_hand import HAND
from tests.controller.policy.monitors import pull_model
from tests.controller.recorded import Recorded


def test_an_alarm_is_repeated_to_the_bit_and_another_monitor_is_refused(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    policy = hand.controller.policy
    assert isinstance(policy, Policy)
    file = monitor_beside(tmp_path / policy.name)
    # It raises an alarm whatever the load is.
    one = pull_model(HAND, 3, 1e-9)
    model = msgspec.structs.replace(
        one,
        directions=np.concatenate([one.directions, -one.directions]),
        thresholds=np.repeat(one.thresholds, 2),
        names=("above", "below"),
        servos=2,
    )
    file.write_bytes(packed(model, policy, HAND))
    policy.monitor = load_monitor(file, policy, HAND)
    hand.start()
    hand.run(5.5)
    assert policy.monitor.verdict.unlike
    hand.recorder.save("request")
    hand.run(2.5)
    hand.close()
    (path,) = hand.files()
    recording = open_recording(path)
    events = [e for r in recording.records() if isinstance(r, TickRecord) for e in r.events]
    assert "unlike_training" in [event.kind for event in events]
    report = Replay(recording).run()
    assert report.difference is None and report.ticks > 100
    file.write_bytes(packed(pull_model(HAND, 0, 0.5), policy, HAND))
    with pytest.raises(RecordingError, match="made with another monitor of tiny.onnx"):
        Replay(recording).run()
