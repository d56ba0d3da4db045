"""The scene as cameras see it, and the renderer as a process."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq

from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.perception import rotations
from inhand.perception.camera.sources import Frame, RenderedSource, pack_frame, unpack_frame
from inhand.perception.cameras import save_rig
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene
from inhand.sim_backend.states import decode_state, encode_state

CENTER = np.array([0.0, 0.335, 0.055])
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
AWAY = np.array([0.0, 0.0, -1.5])


@pytest.fixture(scope="module")
def hand() -> Hand:
    return load_hand("dactyl24")


@pytest.fixture(scope="module")
def rest(hand: Hand) -> Array:
    return hand.joint_angles(np.array([actuator.rest for actuator in hand.actuators]))


@pytest.fixture(scope="module")
def scene(hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene(hand, load_object("block"), tmp_path_factory.mktemp("assets"))
    yield scene
    scene.close()


@pytest.mark.parametrize("name", ["left", "right", "wrist"])
def test_the_picture_agrees_with_the_camera_model(scene: Scene, rest: Array, name: str) -> None:
    """The outline of the object alone, against OpenCV's projection of its vertices."""
    camera = default_rig()[name]
    quaternion = rotations.exp(np.array([0.5, 0.2, -0.7]))
    scene.place(rest, AWAY, UPRIGHT)
    without = scene.render(camera).astype(int)
    scene.place(rest, CENTER + [0.0, 0.0, 0.03], quaternion)
    drawn = (np.abs(scene.render(camera).astype(int) - without).sum(axis=-1) > 0).astype(np.uint8)
    vertices = (
        CENTER + [0.0, 0.0, 0.03] + rotations.rotate(quaternion, load_object("block").vertices)
    )
    hull = cv2.convexHull(camera.project(vertices).astype(np.float32))[:, 0]
    expected = np.zeros((camera.height, camera.width), np.uint8)
    cv2.fillConvexPoly(expected, np.round(16 * hull).astype(np.int32), 1, shift=4)
    # A finger may be in front of the object, never the object outside of its outline.
    outside = drawn.astype(bool) & ~cv2.dilate(expected, np.ones((3, 3), np.uint8)).astype(bool)
    assert not outside.any()
    assert drawn.sum() > 0.7 * expected.sum()


def test_fingers_move_in_the_picture_as_in_the_kinematics(
    scene: Scene, hand: Hand, rest: Array
) -> None:
    camera = default_rig()["left"]
    scene.place(rest, AWAY, UPRIGHT)
    before = scene.render(camera).astype(int)
    bent = np.array([actuator.rest for actuator in hand.actuators])
    index = hand.actuator_names.index(next(n for n in hand.actuator_names if n.startswith("FFJ3")))
    tips = fingertip_positions(hand, bent)
    bent[index] = 0.0
    moved = fingertip_positions(hand, bent)
    finger = int(np.argmax(np.linalg.norm(moved - tips, axis=-1)))
    scene.place(hand.joint_angles(bent), AWAY, UPRIGHT)
    changed = np.abs(scene.render(camera).astype(int) - before).sum(axis=-1) > 0
    rows, columns = np.nonzero(changed)
    box = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]])
    for tip in (tips[finger], moved[finger]):
        pixel = np.clip(camera.project(tip[None])[0], 0, [camera.width - 1, camera.height - 1])
        assert (pixel > box[0] - 8).all() and (pixel < box[1] + 8).all()


def test_lens_distortion_bends_the_picture(scene: Scene, rest: Array) -> None:
    camera = default_rig()["left"]
    bent = replace(camera, distortion=np.array([-0.3, 0.0, 0.0, 0.0, 0.0]))
    scene.place(rest, CENTER, UPRIGHT)
    assert (scene.render(camera) != scene.render(bent)).any()
    almost = replace(camera, distortion=np.array([1e-9, 0.0, 0.0, 0.0, 0.0]))
    difference = np.abs(scene.render(camera).astype(int) - scene.render(almost).astype(int))
    assert difference.mean() < 0.5


def test_a_state_of_another_hand_is_refused(scene: Scene, rest: Array) -> None:
    with pytest.raises(ValueError, match="24 joints, the state has 23"):
        scene.place(rest[:-1], CENTER, UPRIGHT)


def test_a_state_survives_the_wire(rest: Array) -> None:
    state = decode_state(encode_state(1.25, rest, CENTER, UPRIGHT))
    assert state.t == 1.25
    np.testing.assert_array_equal(state.joints, rest)
    np.testing.assert_array_equal(state.position, CENTER)
    np.testing.assert_array_equal(state.quaternion, UPRIGHT)


def command(tmp_path: Path, *extra: str) -> list[str]:
    cameras = [f"--camera={name}=ipc://{tmp_path}/{name}.sock" for name in default_rig()]
    return [
        *(
            sys.executable,
            "-m",
            "inhand.sim_backend.renderer",
            "--hand",
            "dactyl24",
            "--object",
            "block",
        ),
        *(
            "--rig",
            str(tmp_path / "rig.toml"),
            "--states",
            f"ipc://{tmp_path}/states.sock",
        ),
        *(extra or cameras),
    ]


def test_the_process_renders_every_camera_of_a_trigger_from_one_state(
    rest: Array, tmp_path: Path
) -> None:
    rig = default_rig()
    save_rig(tmp_path / "rig.toml", rig)
    context = zmq.Context()
    states = context.socket(zmq.PUB)
    states.bind(f"ipc://{tmp_path}/states.sock")
    process = subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, text=True)
    frames: dict[str, list[Frame]] = {name: [] for name in rig}
    sources = {}
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] and list(ready["cameras"]) == list(rig)
        sources = {name: RenderedSource.open(at) for name, at in ready["cameras"].items()}
        states.send(b"not a state")
        sent = set()
        begin = time.monotonic()
        while min(len(seen) for seen in frames.values()) < 40:
            t = time.monotonic()
            assert t < begin + 60.0
            sent.add(t)
            states.send(encode_state(t, rest, CENTER, UPRIGHT))
            for name, source in sources.items():
                frame = source.read(0.003)
                if frame is not None:
                    frames[name].append(frame)
        most = 15.0 * (time.monotonic() - begin) + 2
        assert process.poll() is None
        # The world stands still: no more frames, rather than old ones with new stamps.
        deadline = time.monotonic() + 120
        while any(source.read(0.5) is not None for source in sources.values()):
            assert time.monotonic() < deadline
    finally:
        process.terminate()
        process.wait(timeout=120)
        for source in sources.values():
            source.close()
        context.destroy(linger=0)
    times = [{frame.t for frame in seen} for seen in frames.values()]
    assert all(seen <= sent for seen in times)
    # Every camera saw nearly every trigger, all at the same instants, at most 15 times a second.
    together = times[0] & times[1] & times[2]
    assert len(together) >= 0.9 * max(len(seen) for seen in times)
    assert 30 <= len(together) <= most
    assert all(frame.image.shape == (240, 320, 3) for seen in frames.values() for frame in seen)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--camera=top=ipc:///tmp/x"], "top"),
        (["--camera=left"], "NAME=ADDRESS"),
        (["--camera=left=ipc:///tmp/x", "--object", "banana"], "banana"),
        (["--camera=left=ipc:///tmp/x", "--hand", "hook"], "hook"),
        (["--camera=left=ipc:///tmp/x", "--rig", "/nowhere.toml"], "/nowhere.toml"),
    ],
)
def test_a_bad_start_is_one_line_that_says_why(
    tmp_path: Path, extra: list[str], message: str
) -> None:
    save_rig(tmp_path / "rig.toml", default_rig())
    done = subprocess.run(
        command(tmp_path, *extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0 and done.stdout == ""
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_frame_message_is_what_the_contract_says(scene: Scene, rest: Array) -> None:
    scene.place(rest, CENTER, UPRIGHT)
    image = scene.render(default_rig()["left"])
    header, pixels = pack_frame(Frame(4.5, image), 3)
    assert json.loads(header) == {"t": 4.5, "seq": 3, "width": 320, "height": 240}
    assert len(pixels) == 320 * 240 * 3
    np.testing.assert_array_equal(unpack_frame([header, pixels]).image, image)
