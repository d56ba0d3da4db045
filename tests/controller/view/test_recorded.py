"""A recorded tick on the page."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.ipc.telemetry import describe
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.tick_record import TickRecord
from inhand.controller.view.recorded import state_of
from inhand.controller.view.view_model import History, Moment
from tests.controller.recorded import Recorded


def test_a_recorded_tick_shows_the_state_that_the_daemon_published(tmp_path: Path) -> None:
    hand = Recorded(tmp_path)
    hand.start()
    hand.recorder.ask("start")
    hand.run(1.0)
    snapshot = hand.controller.snapshot()
    hand.close()
    records = open_recording(hand.files()[0]).records()
    last = [one for one in records if isinstance(one, TickRecord)][-1]
    shown, published = state_of(last), describe(snapshot, snapshot.t)
    # These are not recorded with each tick.
    assert shown.pop("policy") is None and published.pop("policy")
    assert shown["goal"] and published["goal"]
    assert shown["goal"].pop("hold") is None and shown["goal"].pop("timeout") is None
    assert {**shown["goal"], "hold": 0.0, "timeout": 0.0}.keys() == published["goal"].keys()
    assert shown["goal"].items() <= published["goal"].items()
    del shown["goal"], published["goal"]
    np.testing.assert_equal(shown, published)


@pytest.mark.parametrize("unknown", [None, np.nan])
def test_a_servo_without_temperature_does_not_hide_the_hottest_one(unknown: float | None) -> None:
    joints = {"position": [0.0], "current": [0.0], "temperature": [unknown, 41.0, unknown]}
    state = {"t": 1.0, "joints": joints, "goal": None, "targets": None}
    history = History()
    history.add(Moment(state))
    assert history.curves()["temperature"][-1] == 41.0
