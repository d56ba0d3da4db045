"""The camera process: health messages, and a real process end to end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq

from inhand.hardware.model.hand import Hand
from inhand.perception.camera.health import CameraHealth, flaw
from inhand.perception.camera.sources import Frame, pack_frame
from inhand.perception.cameras import Camera, save_rig
from inhand.perception.keypoints.network import shipped_network
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import CameraStatus, TagCorners, decode
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.scene import Scene
from tests.perception.camera.mjpeg_server import MjpegServer


def test_health_counts_frames_and_their_cost() -> None:
    health = CameraHealth("left", start=10.0)
    for k in range(15):
        health.frame(10.0 + k / 15, 0.004, "")
    status = health.status(11.0)
    assert (status.camera, status.frames, status.problem) == ("left", 15, "")
    assert status.rate == pytest.approx(15.0)
    assert status.detection_time == pytest.approx(0.004)
    assert status.frame_age == pytest.approx(1 / 15)
    assert health.status(11.5).rate == 0.0


def test_health_notes_silence_and_recovers_from_it() -> None:
    health = CameraHealth("left", start=10.0)
    health.silence(10.9)
    assert health.problem == ""
    assert health.status(10.9).frame_age == float("inf")
    health.silence(11.2)
    assert "no frame for 1.2 s" in health.problem
    health.frame(11.3, 0.004, "")
    assert health.problem == ""
    health.silence(12.8)
    assert "no frame for 1.5 s" in health.problem


@pytest.mark.parametrize("t", [1.0, 0.5])
def test_health_notes_a_frozen_camera(t: float) -> None:
    health = CameraHealth("left", start=0.0)
    health.frame(1.0, 0.004, "")
    health.frame(t, 0.004, "")
    assert "do not advance" in health.problem


def test_a_frame_without_light_or_without_shade_shows_nothing() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert "black" in flaw(image)
    assert "white" in flaw(image + 255)
    image[3, 3] = 40
    assert flaw(image) == ""


class Line:
    """The two ends of a running camera process."""

    def __init__(self, frames: "zmq.Socket[bytes]", output: "zmq.Socket[bytes]") -> None:
        self._frames = frames
        self._output = output
        self._seq = 0

    def show(self, image: Image, t: float | None = None) -> float:
        t = time.monotonic() if t is None else t
        self._frames.send_multipart(pack_frame(Frame(t, image), self._seq))
        self._seq += 1
        return t

    def receive(self, kind: type, problem: str = "", timeout: float = 20.0) -> object:
        """The next record of a kind; of states, one whose problem contains `problem`."""
        end = time.monotonic() + timeout
        while self._output.poll(max(0, int(1000 * (end - time.monotonic())))):
            record = decode(self._output.recv())
            if isinstance(record, kind) and problem in getattr(record, "problem", ""):
                return record
        raise AssertionError(f"no {kind.__name__} with {problem!r} within {timeout} s")


def arguments(camera: str, tmp_path: Path) -> list[str]:
    source, output = f"ipc://{tmp_path}/frames.sock", f"ipc://{tmp_path}/corners.sock"
    return [
        *(sys.executable, "-m", "inhand.perception.camera.camera_process"),
        *("--camera", camera, "--source", source, "--rig", str(tmp_path / "rig.toml")),
        *("--object", "block", "--output", output, "--settings", "{}"),
    ]


@contextmanager
def running(
    camera: Camera, tmp_path: Path, change: dict[str, str] | None = None, *more: str
) -> Iterator[tuple[Line, "subprocess.Popen[str]"]]:
    save_rig(tmp_path / "rig.toml", {camera.name: camera})
    context = zmq.Context()
    frames, output = context.socket(zmq.PUB), context.socket(zmq.PULL)
    frames.bind(f"ipc://{tmp_path}/frames.sock")
    output.bind(f"ipc://{tmp_path}/corners.sock")
    command = [*arguments(camera.name, tmp_path), *more]
    for option, value in (change or {}).items():
        command[command.index(option) + 1] = value
    process = subprocess.Popen(command, text=True)
    try:
        yield Line(frames, output), process
    finally:
        process.kill()
        process.wait()
        context.destroy(linger=0)


def test_frames_become_corners_and_trouble_is_reported(
    rig: dict[str, Camera],
    block: ObjectDescription,
    scene: Scene,
    rest: Array,
    tmp_path: Path,
) -> None:
    camera = replace(rig["wrist"], latency=0.02)
    scene.place(rest, np.array([0.0, 0.335, 0.055]), np.array([1.0, 0.0, 0.0, 0.0]))
    image = scene.render(camera)
    with running(camera, tmp_path) as (line, process):
        status = line.receive(CameraStatus, "no frame for")
        assert isinstance(status, CameraStatus) and status.frames == 0
        t = line.show(image)
        seen = line.receive(TagCorners)
        assert isinstance(seen, TagCorners)
        assert (seen.t, seen.camera) == (t - 0.02, "wrist")
        assert 4 in seen.ids
        corners = seen.corners[seen.ids.index(4)]
        truth = camera.project(np.array([0.0, 0.335, 0.055]) + block.tag(4).corners)
        assert np.abs(corners - truth).max() < 0.3
        line.receive(CameraStatus)

        line.show(np.zeros_like(image))
        line.receive(CameraStatus, "black")
        line.show(np.full_like(image, 255))
        line.receive(CameraStatus, "white")
        line.show(np.tile(image[:, 80:240], (1, 2, 1)))
        line.receive(CameraStatus, "seen twice")
        line.show(image[:, :100])
        line.receive(CameraStatus, "100x240")
        line.show(image, time.monotonic() + 3.0)
        line.receive(CameraStatus, "in the future")
        t = line.show(image)
        while getattr(line.receive(TagCorners), "t", t) != t - 0.02:
            continue
        line.show(image, t)
        line.receive(CameraStatus, "do not advance")

        # None of it stopped the process.
        line.show(image)
        line.receive(TagCorners)
        process.send_signal(signal.SIGINT)
        line.receive(CameraStatus, "no frame for")
        process.terminate()
        assert process.wait(120) == -signal.SIGTERM


def test_a_camera_that_comes_and_goes_is_followed(
    rig: dict[str, Camera], scene: Scene, rest: Array, tmp_path: Path
) -> None:
    """A network camera that is absent at the start, appears, and is restarted."""
    camera = replace(rig["wrist"], latency=0.02)
    scene.place(rest, np.array([0.0, 0.335, 0.055]), np.array([1.0, 0.0, 0.0, 0.0]))
    image = cv2.cvtColor(scene.render(camera), cv2.COLOR_RGB2GRAY)

    def picture(number: int) -> Image:
        noise = np.random.default_rng(number).integers(0, 3, image.shape, dtype=np.uint8)
        return np.asarray(np.maximum(image, noise), dtype=np.uint8)

    server = MjpegServer((camera.width, camera.height), 15.0, picture)
    server.start()
    server.stop()
    change = {"--source": server.url, "--settings": '{"exposure": 0.004}'}
    with running(camera, tmp_path, change) as (line, process):
        line.receive(CameraStatus, "is its server up")
        for _ in range(2):
            server.start()
            seen = line.receive(TagCorners)
            assert isinstance(seen, TagCorners) and 4 in seen.ids
            assert abs(seen.t + 0.02 - time.monotonic()) < 60.0
            told = line.receive(CameraStatus)
            while getattr(told, "problem", "") or not getattr(told, "note", ""):
                told = line.receive(CameraStatus)
            assert "exposure 4 ms was asked for" in told.note
            assert "20.0 ms of latency are subtracted" in told.note
            server.stop()
            line.receive(CameraStatus, server.url)
        assert process.poll() is None


def test_the_process_ends_with_its_parent(rig: dict[str, Camera], tmp_path: Path) -> None:
    save_rig(tmp_path / "rig.toml", rig)
    command = arguments("left", tmp_path)
    parent = (
        "import subprocess, time\n"
        "from inhand.perception.parent import environment\n"
        f"child = subprocess.Popen({command!r}, env=environment())\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(1.5)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    child = int(done.stdout)
    for _ in range(50):
        if not alive(child):
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the camera process outlived its parent")


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--camera": "top"}, "no camera 'top'"),
        ({"--rig": "/nowhere/rig.toml"}, "/nowhere/rig.toml"),
        ({"--object": "banana"}, "banana"),
        ({"--source": "/nowhere/hand.mp4"}, "/nowhere/hand.mp4"),
        ({"--settings": '{"exposure": 5.0}'}, "5 ms is 0.005"),
        ({"--settings": '{"exposure": "long"}'}, "exposure"),
    ],
)
def test_a_bad_start_is_one_line_that_says_why(
    rig: dict[str, Camera], tmp_path: Path, change: dict[str, str], message: str
) -> None:
    save_rig(tmp_path / "rig.toml", rig)
    command = arguments("left", tmp_path)
    for option, value in change.items():
        command[command.index(option) + 1] = value
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")


def test_a_rig_for_another_image_size_is_reported(rig: dict[str, Camera], tmp_path: Path) -> None:
    camera = replace(rig["left"], width=640, height=480)
    with running(camera, tmp_path) as (line, _):
        line.receive(CameraStatus, "no frame for")
        line.show(np.zeros((240, 320, 3), np.uint8))
        line.receive(CameraStatus, "320x240 but the rig file was calibrated for 640x480")


def test_a_network_finds_the_object_and_needs_colour(
    rig: dict[str, Camera], block: ObjectDescription, hand: Hand, rest: Array, tmp_path: Path
) -> None:
    camera, place = rig["wrist"], np.array([0.0, 0.335, 0.055])
    scene = Scene(hand, block, tmp_path, tagged=False)
    scene.place(rest, place, np.array([1.0, 0.0, 0.0, 0.0]))
    image = scene.render(camera)
    scene.close()
    around = [str(value) for value in place]
    network = str(shipped_network(block))
    with running(camera, tmp_path, None, "--network", network, "--around", *around) as (line, _):
        status = line.receive(CameraStatus, "no frame for")
        assert isinstance(status, CameraStatus) and status.eyes == "network"
        line.show(image)
        seen = line.receive(TagCorners)
        assert isinstance(seen, TagCorners) and seen.vertices is not None and not seen.ids
        expected = camera.project(place + block.vertices)
        assert np.median(np.linalg.norm(seen.vertices[:, :2] - expected, axis=1)) < 4.0
        line.show(image[..., 0])
        line.receive(CameraStatus, "needs colour")
