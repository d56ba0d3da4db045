"""Camera latency is found again from a recording of a hand that moves the object.

Pictures are rendered through a lens, blurred, noisy and unevenly lit, and looked at by the real
detector; the recording is a real one.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from benchmarks.renders import sensed, true_rig
from inhand.controller.calibration import commands
from inhand.controller.calibration.motion import fixed_link
from inhand.controller.core.controller import Controller
from inhand.controller.estimation.pose_measurements import PoseFeed
from inhand.controller.recording.foxglove_channels import Translator
from inhand.controller.recording.tick_record import Inputs, TickRecord, Times, outputs, pack
from inhand.controller.recording.writer import RecordingFile
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import JointState, frozen_array
from inhand.perception import rotations
from inhand.perception.calibration.camera_info import Intrinsics, save_intrinsics
from inhand.perception.calibration.hand_eye import calibrate_hand_eye
from inhand.perception.calibration.latency import calibrate_latency
from inhand.perception.calibration.link_motion import LinkMotion
from inhand.perception.cameras import Camera, CameraError, load_rig, save_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import load_object
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array
from inhand.sim_backend.scene import Scene
from tests.controller.recorded import header
from tests.hands import level

HAND, BLOCK = level(), load_object("block")
PALM = HAND.link_names.index("palm")
RIG = true_rig(320, 240)
BEGAN, SECONDS, CAMERA_RATE = 100.0, 9.0, 25.0


def servos(t: float) -> Array:
    """A hand at rest whose wrist somebody moves to and fro."""
    angles = np.array(HAND.rest)
    angles[:2] += [0.1 * np.sin(4.1 * t) + 0.04 * np.sin(9.3 * t) - 0.1, 0.25 * np.sin(2.9 * t + 1)]
    return angles


def joints() -> list[JointState]:
    """What the encoders say, every 10 ms, to a milliradian."""
    rng = np.random.default_rng(3)
    zero = frozen_array(np.zeros(HAND.n_actuators))
    times = BEGAN + np.arange(0.0, SECONDS, 0.01)
    return [
        JointState(t, frozen_array(servos(t) + rng.normal(0.0, 1e-3, len(zero))), zero, zero)
        for t in times.tolist()
    ]


def motion() -> LinkMotion:
    readings = joints()
    angles = HAND.joint_angles(np.array([one.position for one in readings]))
    turns, places = link_poses(HAND, angles)
    t = np.array([one.t for one in readings])
    return LinkMotion(t, places[:, PALM], rotations.from_matrix(turns[:, PALM]))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[TagCorners]]:
    """What two cameras saw, stamped when it was true; the block is tied to the palm."""
    rng = np.random.default_rng(4)
    scene = Scene(HAND, BLOCK, tmp_path_factory.mktemp("assets"))
    detectors = {name: TagDetector(RIG[name], BLOCK) for name in ("left", "wrist")}
    frames: dict[str, list[TagCorners]] = {name: [] for name in detectors}
    start, turned = np.array([0.0, 0.335, 0.055]), rotations.exp(np.array([0.3, -0.5, 0.4]))
    rest, origin = link_poses(HAND, HAND.joint_angles(servos(BEGAN)))
    for t in BEGAN + np.arange(0.0, SECONDS, 1 / CAMERA_RATE):
        angles = HAND.joint_angles(servos(t))
        turns, places = link_poses(HAND, angles)
        turn = turns[PALM] @ rest[PALM].T
        position = turn @ (start - origin[PALM]) + places[PALM]
        scene.place(angles, position, rotations.multiply(rotations.from_matrix(turn), turned))
        for name, detector in detectors.items():
            image = sensed(scene.render(RIG[name]), rng)
            frames[name].append(detector.detect(image, float(t)))
    scene.close()
    return frames


def late(frames: Sequence[TagCorners], delay: float) -> list[TagCorners]:
    """The same, stamped later."""
    return [replace(frame, t=frame.t + delay) for frame in frames]


def knocked(camera: Camera) -> Camera:
    """The camera 1.5 mm and 0.5 degrees from where it is thought to be."""
    turn = rotations.exp(np.radians([0.3, -0.3, 0.3]))
    return replace(
        camera,
        position=frozen_array(camera.position + [0.0, 0.0015, 0.0]),
        quaternion=frozen_array(rotations.multiply(camera.quaternion, turn)),
    )


@pytest.mark.parametrize(
    ("delay", "name"), [(-0.01, "left"), (0.0, "wrist"), (0.0371, "wrist"), (0.15, "left")]
)
def test_a_latency_is_found_again(
    seen: dict[str, list[TagCorners]], delay: float, name: str
) -> None:
    for camera in (RIG[name], knocked(RIG[name])):
        report = calibrate_latency(camera, BLOCK, motion(), late(seen[name], delay))
        said = f"{1000 * report.camera.latency:.2f} ± {1000 * report.deviation:.2f} ms"
        assert abs(report.camera.latency - delay) < 0.003, said
        assert abs(report.camera.latency - delay) < 5 * report.deviation + 3e-4, said
        assert report.deviation < 0.002


def only(frames: Sequence[TagCorners], start: float, end: float) -> list[TagCorners]:
    return [frame for frame in frames if start <= frame.t - BEGAN < end]


def test_a_palm_that_does_not_move_is_refused() -> None:
    with pytest.raises(CameraError, match="'leap' does not move.*--link: if_bs"):
        fixed_link(load_hand("leap"), "")


def test_insufficient_data_is_refused(seen: dict[str, list[TagCorners]]) -> None:
    camera, frames, moved = RIG["left"], seen["left"], motion()

    def find(frames: Sequence[TagCorners], link: LinkMotion = moved) -> None:
        calibrate_latency(camera, BLOCK, link, frames)

    with pytest.raises(CameraError, match=r"'left': \d\d of 50 frames.*100 are needed"):
        find(frames[:50])
    blind = [replace(frame, ids=(), corners=frozen_array(np.empty((0, 4, 2)))) for frame in frames]
    with pytest.raises(CameraError, match="'left': 0 of 225 frames show the object"):
        find(blind)
    # The block lies on a table, the hand waves beside it.
    rest = [replace(frames[0], t=frame.t) for frame in frames]
    with pytest.raises(CameraError, match="did the object slip, is it fixed to another link"):
        find(rest)
    first = np.zeros(len(moved.t), dtype=int)
    still = LinkMotion(moved.t, moved.position[first], moved.quaternion[first])
    with pytest.raises(CameraError, match="0 px a second.*move the link faster"):
        find(rest, still)
    # Half way through the object slips by 8 mm.
    half = BEGAN + SECONDS / 2
    slipped = [replace(f, corners=f.corners + 15.0 * (f.t > half)) for f in frames]
    with pytest.raises(CameraError, match="did the object slip"):
        find(slipped)
    with pytest.raises(CameraError, match="share CLOCK_MONOTONIC"):
        find(late(frames, 0.47))


def test_a_motion_that_repeats_itself_is_refused() -> None:
    """A wrist that turns so evenly and fast that a whole period more fits as well."""
    t = BEGAN + np.arange(0.0, SECONDS, 0.01)
    phase = 2 * np.pi * t / 0.25
    place = np.array([0.0, 0.3, 0.0]) + 0.004 * np.sin(phase)[:, None] * [1.0, 0.5, 0.0]
    turn = rotations.exp(0.02 * np.sin(phase)[:, None] * [0.0, 1.0, 0.0])
    link = LinkMotion(t, place, turn)
    rng, frames = np.random.default_rng(5), []
    camera = RIG["left"]
    for when in t[100:-50:4]:
        origin, quaternion = link.at(np.array([when]))
        ids, corners = [], []
        for tag in BLOCK.tags:
            center = np.array([0.0, 0.035, 0.055]) + tag.position
            if rotations.to_matrix(tag.quaternion)[:, 2] @ (camera.position - center) > 0.1:
                points = rotations.rotate(quaternion[0], tag.corners + [0.0, 0.035, 0.055])
                ids.append(tag.id)
                corners.append(camera.project(points + origin[0]) + rng.normal(0.0, 0.3, (4, 2)))
        frames.append(TagCorners(float(when), "left", tuple(ids), frozen_array(corners), 0.3))
    with pytest.raises(CameraError, match="about equally well.*move less evenly"):
        calibrate_latency(camera, BLOCK, link, frames)


def record(folder: Path, seen: dict[str, list[TagCorners]], delays: dict[str, float]) -> Path:
    """A rig file, and a recording of cameras that are late by so much."""
    save_rig(folder / "rig.toml", RIG)
    said = msgspec.structs.replace(header(folder), rig=(folder / "rig.toml").read_text())
    file = RecordingFile.open(folder / "motion.mcap", said, Translator(HAND, 0.0), "request")
    waiting = [one for name, delay in delays.items() for one in late(seen[name], delay)]
    idle = outputs(Controller(HAND, BLOCK, PoseFeed(BLOCK)).snapshot())
    for n, reading in enumerate(joints(), 1):
        t = reading.t
        arrived = [one for one in waiting if t - 0.01 < one.t <= t]
        # Servos miss a reading now and then.
        inputs = Inputs(None, [], t, None if n % 50 == 0 else reading, arrived)
        file.write(pack(TickRecord(n, t, [], inputs, idle, Times(t, t, t, t, t))))
    file.finish()
    return file.path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object, command: str = "latency") -> None:
    monkeypatch.setattr("sys.argv", ["inhand calibrate", command, *map(str, arguments)])
    assert commands.main() == 0


def test_the_command_writes_latencies_into_the_rig_file(
    seen: dict[str, list[TagCorners]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = record(tmp_path, seen, {"left": 0.048, "wrist": 0.121})
    rig = tmp_path / "rig.toml"
    # The third camera has seen nothing: refused, and nothing is written.
    before = rig.read_text()
    with pytest.raises(CameraError, match="camera 'right': 0 of 0 frames"):
        run(monkeypatch, path, "--rig", rig)
    assert rig.read_text() == before and not list(tmp_path.glob("*.png"))
    run(monkeypatch, path, "--rig", rig, "--cameras", "left", "wrist")
    found = load_rig(rig)
    assert abs(found["left"].latency - 0.048) < 0.003
    assert abs(found["wrist"].latency - 0.121) < 0.003
    assert found["right"].latency == 0.0
    assert "left: 4" in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / "rig-left-latency.png"))
    assert picture is not None and (picture != 255).any()
    with pytest.raises(CameraError, match="no link 'tail'"):
        run(monkeypatch, path, "--rig", rig, "--link", "tail")
    save_rig(rig, {"wrist": found["wrist"]})
    with pytest.raises(CameraError, match=r"rig.toml has no camera 'left'"):
        run(monkeypatch, path, "--rig", rig, "--cameras", "left")


def test_a_latency_that_was_partly_known_is_completed(seen: dict[str, list[TagCorners]]) -> None:
    camera = replace(RIG["left"], latency=0.03)
    report = calibrate_latency(camera, BLOCK, motion(), late(seen["left"], 0.02))
    assert abs(report.camera.latency - 0.05) < 0.003


def lost(camera: Camera) -> Camera:
    """The camera with its lens, and a place that says nothing."""
    return replace(
        camera,
        position=frozen_array(np.zeros(3)),
        quaternion=frozen_array([1.0, 0.0, 0.0, 0.0]),
        position_sigma=1.0,
        rotation_sigma=1.0,
    )


@pytest.mark.parametrize(("name", "delay"), [("left", 0.04), ("wrist", 0.0)])
def test_a_place_is_found_from_the_motion_of_the_hand(
    seen: dict[str, list[TagCorners]], name: str, delay: float
) -> None:
    true = RIG[name]
    for camera in (lost(true), knocked(true)):
        report = calibrate_hand_eye(camera, BLOCK, motion(), late(seen[name], delay))
        off = np.linalg.norm(report.camera.position - true.position)
        turned = rotations.angle_between(report.camera.quaternion, true.quaternion)
        assert off < 0.003 and off < 5 * report.camera.position_sigma
        assert turned < 0.006 and turned < 5 * report.camera.rotation_sigma
        assert abs(report.camera.latency - delay) < 0.003 and report.residual < 0.5


def test_motions_that_do_not_show_the_place_are_refused(
    seen: dict[str, list[TagCorners]],
) -> None:
    camera, frames, moved = lost(RIG["left"]), seen["left"], motion()

    def find(frames: Sequence[TagCorners], link: LinkMotion = moved) -> None:
        calibrate_hand_eye(camera, BLOCK, link, frames)

    with pytest.raises(CameraError, match="100 are needed"):
        find(frames[:50])
    first = np.zeros(len(moved.t), dtype=int)
    still = LinkMotion(moved.t, moved.position[first], moved.quaternion[first])
    with pytest.raises(CameraError, match="turn it about two axes"):
        find([replace(frames[0], t=frame.t) for frame in frames], still)
    # The wrist turns about one of its axes only.
    angle = 0.3 * np.sin(2.9 * moved.t)
    axis = rotations.exp(angle[:, None] * [0.0, 1.0, 0.0])
    with pytest.raises(CameraError, match=r"0\.\d\d rad about one axis and by 0\.00 rad"):
        find(frames, LinkMotion(moved.t, 0 * moved.position, axis))
    half = BEGAN + SECONDS / 2
    slipped = [replace(f, corners=f.corners + 15.0 * (f.t > half)) for f in frames]
    with pytest.raises(CameraError, match="did the object slip|known to"):
        find(slipped)


def test_cameras_without_a_place_get_one_by_command(
    seen: dict[str, list[TagCorners]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("left", "wrist"):
        camera = RIG[name]
        lens = Intrinsics(camera.width, camera.height, camera.matrix, camera.distortion)
        save_intrinsics(tmp_path / f"{name}.yaml", name, lens)
    path = record(tmp_path, seen, {"left": 0.03, "wrist": 0.0})
    rig = tmp_path / "new.toml"
    cameras = ("--cameras", "left", "wrist")
    run(monkeypatch, tmp_path, *cameras, "--out", rig, command="rig")
    assert not load_rig(rig)["left"].position.any()
    with pytest.raises(CameraError, match="has a camera 'left' already"):
        run(monkeypatch, tmp_path, *cameras, "--out", rig, command="rig")
    run(monkeypatch, path, "--rig", rig, *cameras, command="hand-eye")
    found = load_rig(rig)
    for name in ("left", "wrist"):
        assert np.linalg.norm(found[name].position - RIG[name].position) < 0.003
    assert abs(found["left"].latency - 0.03) < 0.003
    assert "from where it was thought to be" in capsys.readouterr().out
