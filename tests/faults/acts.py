"""How faults are injected and detected: on servos, cameras, policy, disk and processes."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import zmq

from inhand.controller.errors import RefusedError
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.records import TagCorners, encode, frozen_array
from inhand.sim_backend.rig import default_rig
from tests.faults import policies
from tests.faults.station import Station

NONSENSE = "[nonsense\n"

Act = Callable[[Station], None]
Holds = Callable[[Station], object]


def nothing(station: Station) -> None:
    return


def set_on(part: str, **values: object) -> Act:
    """Sets attributes of one of the station's wires."""

    def act(station: Station) -> None:
        for name, value in values.items():
            setattr(getattr(station, part), name, value)

    return act


def restore(station: Station) -> None:
    station.cameras.restore()


def camera_says(words: str, camera: str = "left") -> Holds:
    """An event that names the camera and its problem."""
    return lambda station: any(
        event["kind"] == "camera" and event["camera"] == camera and words in event["problem"]
        for event in station.events(0)
    )


def bus_says(words: str) -> Holds:
    """An event that names the servos and their problem."""
    return lambda station: any(
        event["kind"] == "bus" and words in event["problem"] for event in station.events(0)
    )


def stall(seconds: float) -> Act:
    def act(station: Station) -> None:
        os.kill(station.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(station.process.pid, signal.SIGCONT)

    return act


def policy(trick: policies.Trick) -> Act:
    return lambda station: station.load(trick)


def trick_played(station: Station) -> float:
    """Time of the policy's first invalid result [s]."""
    started = [event["t"] for event in station.events(0) if event["kind"] == "goal_started"]
    return float(started[-1]) + (policies.BEHAVES - 1) * policies.STEP


def stick(station: Station) -> None:
    station.load("swing")
    time.sleep(0.5)
    station.servos.stuck = True


def unstick(station: Station) -> None:
    station.servos.stuck = False
    honest(station)


def honest(station: Station) -> None:
    """Loads the policy without faults again."""

    def loaded() -> bool:
        with suppress(RefusedError):
            for request in ("clear", "disarm"):
                with suppress(RefusedError):
                    station.hand.call(request)
            station.hand.call("load_policy", policy="none.onnx")
            return True
        return False

    station.wait(loaded)


def rogue(turn: float, shift: float) -> Act:
    """Half a second of corners of an object at another place, in the name of the left camera."""

    def act(station: Station) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        push = context.socket(zmq.PUSH)
        push.connect(f"ipc://{station.directory}/run/corners.sock")
        camera, block = default_rig()["left"], load_object("block")
        pose = station.hand.status()["object"]["pose"]
        quaternion = rotations.multiply(
            rotations.exp(np.array([0.0, 0.0, turn])), np.array(pose["quaternion"])
        )
        position = np.array(pose["position"]) + [shift, 0.0, 0.0]
        for _ in range(8):
            ids, corners = [], []
            for tag in block.tags:
                half = tag.size / 2
                square = np.array([[-half, half], [half, half], [half, -half], [-half, -half]])
                flat = np.concatenate([square, np.zeros((4, 1))], axis=1)
                center = rotations.rotate(quaternion, tag.position) + position
                turned = rotations.multiply(quaternion, tag.quaternion)
                normal = rotations.rotate(turned, np.array([0.0, 0.0, 1.0]))
                if normal @ (camera.position - center) > 0.3 * np.linalg.norm(
                    camera.position - center
                ):
                    ids.append(tag.id)
                    corners.append(camera.project(rotations.rotate(turned, flat) + center))
            seen = TagCorners(
                time.monotonic(), "left", tuple(ids), frozen_array(np.array(corners)), 0.2
            )
            push.send(encode(seen))
            time.sleep(1 / 15)
        context.destroy(linger=100)

    return act


def pose_is_right(station: Station) -> bool:
    pose = station.hand.status()["object"]["pose"]
    start = np.array([0.0, 0.335, 0.055])
    upright = abs(pose["quaternion"][0]) > 0.97
    return bool(np.linalg.norm(np.array(pose["position"]) - start) < 0.02) and upright


def edit_configuration(station: Station) -> None:
    text = station.config.read_text()
    station.config.write_text(NONSENSE + text)


def mend_configuration(station: Station) -> None:
    station.config.write_text(station.config.read_text().removeprefix(NONSENSE))


def change_policy(station: Station) -> None:
    """Replaces the file of the policy; the policy that was loaded and hashed continues to run."""
    with (station.directory / "policies" / "none.onnx").open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff" * 64)


def fill_disk(station: Station) -> None:
    """The recorder's disk has no room left when it is to write."""
    with suppress(OSError), (station.recordings / "full").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    station.hand.call("record", action="start")


def empty_disk(station: Station) -> None:
    (station.recordings / "full").unlink()
    station.hand.call("record", action="stop")


def kill_gateway(station: Station) -> None:
    os.kill(station.child("inhand.controller.ipc.gateway"), signal.SIGKILL)


def kill_camera(station: Station) -> None:
    # It may be a moment in coming back from the last time.
    station.wait(lambda: station.has_child("--camera\0left\0"))
    os.kill(station.child("--camera\0left\0"), signal.SIGKILL)


def drop(station: Station) -> None:
    station.cameras.play = True
