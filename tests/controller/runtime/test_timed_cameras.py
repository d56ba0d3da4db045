"""Detections in simulated time: delivered when due, and waited for while the camera runs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import zmq

from inhand.controller.runtime import timed_cameras
from inhand.controller.runtime.timed_cameras import TimedCameras
from inhand.perception.records import TagCorners, encode, frozen_array
from inhand.perception.simulated_time import CAMERA_LATENCY

NONE = frozen_array(np.zeros((0, 4, 2)))


class Cameras:
    """Camera processes, and the daemon's end, whose time the test sets."""

    def __init__(self, directory: Path) -> None:
        self.now, self.given_up = 0.0, False
        names = ["left", "right"]
        self.inbox = TimedCameras(directory, names, lambda: self.now, lambda: self.given_up).open()
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        for name in names:
            socket = self.sockets[name] = zmq.Context.instance().socket(zmq.PUSH)
            socket.set(zmq.LINGER, 0)
            socket.connect(self.inbox.address)

    def send(self, name: str, t: float) -> None:
        self.sockets[name].send(encode(TagCorners(t, name, (), NONE, 0.3)))

    def taken(self, now: float) -> list[tuple[float, str]]:
        self.now = now
        return [(one.t, one.camera) for one in self.inbox.take()]

    def close(self) -> None:
        self.inbox.close()
        for socket in self.sockets.values():
            socket.close()


@pytest.fixture
def cameras(tmp_path: Path) -> Iterator[Cameras]:
    cameras = Cameras(tmp_path)
    yield cameras
    cameras.close()


def test_detections_are_delivered_when_due_whenever_they_arrived(cameras: Cameras) -> None:
    cameras.send("right", 0.0)
    cameras.send("left", 0.0)
    cameras.inbox.wait_for_all()
    assert cameras.taken(0.02) == []
    assert cameras.taken(CAMERA_LATENCY) == [(0.0, "left"), (0.0, "right")]
    cameras.send("left", 0.07)
    assert cameras.taken(0.09) == []
    cameras.send("right", 0.07)
    assert cameras.taken(0.1) == [(0.07, "left"), (0.07, "right")]


def test_a_slow_camera_is_waited_for(cameras: Cameras) -> None:
    cameras.send("left", 0.0)
    late = threading.Timer(0.5, cameras.send, ("right", 0.0))
    began = monotonic()
    late.start()
    assert cameras.taken(CAMERA_LATENCY) == [(0.0, "left"), (0.0, "right")]
    assert monotonic() - began > 0.4


def test_a_repeated_frame_counts_once(cameras: Cameras) -> None:
    for name in ("left", "right", "left"):
        cameras.send(name, 0.0)
    cameras.inbox.wait_for_all()
    cameras.send("right", 0.0)
    assert cameras.taken(CAMERA_LATENCY) == [(0.0, "left"), (0.0, "right")]
    assert cameras.taken(0.05) == []


def test_a_camera_whose_process_has_ended_is_not_waited_for_until_it_sends_again(
    cameras: Cameras,
) -> None:
    cameras.send("left", 0.0)
    threading.Timer(0.2, cameras.inbox.forget, ("right",)).start()
    assert cameras.taken(CAMERA_LATENCY) == [(0.0, "left")]
    cameras.send("left", 0.07)
    assert cameras.taken(0.1) == [(0.07, "left")]
    for name in ("left", "right"):
        cameras.send(name, 0.14)
    assert cameras.taken(0.17)[0] == (0.14, "left")
    cameras.send("left", 0.2)
    threading.Timer(0.2, cameras.send, ("right", 0.2)).start()
    assert cameras.taken(0.23)[-2:] == [(0.2, "left"), (0.2, "right")]


def test_a_camera_that_hangs_stops_simulated_time_only_for_a_while(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed_cameras, "PATIENCE", 2.0)
    for name in ("left", "right"):
        cameras.send(name, 0.0)
    cameras.taken(CAMERA_LATENCY)
    began = monotonic()
    for number in range(1, 4):
        cameras.send("left", number * 0.07)
        assert cameras.taken(number * 0.07 + CAMERA_LATENCY) == [(number * 0.07, "left")]
    # Once is enough.
    assert monotonic() - began < 3 * 2.0


def test_stopping_the_daemon_does_not_wait_for_a_camera(cameras: Cameras) -> None:
    cameras.given_up = True
    assert cameras.taken(1.0) == []
