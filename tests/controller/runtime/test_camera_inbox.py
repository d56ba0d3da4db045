"""The camera inbox accepts messages only from the cameras of the rig."""

import time
from pathlib import Path

import numpy as np
import zmq

from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.perception.records import CameraStatus, TagCorners, encode


def corners(camera: str, t: float) -> TagCorners:
    return TagCorners(t, camera, (3,), np.zeros((1, 4, 2)), 0.3)


def test_corners_are_taken_in_order_and_unknown_cameras_are_counted(tmp_path: Path) -> None:
    inbox = CameraInbox(tmp_path, ["left", "right"]).open()
    status = CameraStatus(1.0, "left", 5, 0.01, 15.0, 0.002, "")
    with zmq.Context() as context, context.socket(zmq.PUSH) as camera:
        camera.connect(inbox.address)
        for record in (corners("left", 1.0), status, corners("right", 2.0), corners("top", 3.0)):
            camera.send(encode(record))
        camera.send(b"garbage")
        taken: list[TagCorners] = []
        deadline = time.monotonic() + 120
        while inbox.malformed < 2:
            taken += inbox.take()
            assert time.monotonic() < deadline
        assert [(record.camera, record.t) for record in taken] == [("left", 1.0), ("right", 2.0)]
        assert inbox.status == {"left": status}
        for number in range(500):
            camera.send(encode(corners("left", float(number))))
        numbers: list[int] = []
        while sum(numbers) < 500:
            time.sleep(0.05)
            numbers.append(len(inbox.take()))
            assert time.monotonic() < deadline
        # During a flood one tick takes only a limited number of messages.
        assert max(numbers) == 32
    inbox.close()
