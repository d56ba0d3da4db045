"""Recordings as other projects' programs read them: ROS 2 bags and LeRobot data sets."""

import json
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.controller.cli import main
from inhand.controller.core.requests import Arm, Enable, RandomGoals
from inhand.controller.errors import RecordingError
from inhand.controller.recording.export import export
from inhand.controller.recording.flight_recorder import AFTER
from inhand.controller.recording.foxglove_channels import Picture
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.tick_record import TickRecord
from inhand.hardware.model.hand import parse_hand
from tests.controller.recorded import RIG, Recorded

CAMERA = next(iter(RIG))
PERIOD = 0.1
"""Time between two pictures [s]."""


def picture(shade: int) -> bytes:
    """A grey picture as JPEG."""
    coded = cv2.imencode(".jpg", np.full((48, 64, 3), shade, np.uint8))[1]
    return coded.tobytes()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Goals that are missed after a second each, with pictures that become lighter."""
    hand = Recorded(tmp_path_factory.mktemp("formats"))
    hand.run(0.3)
    hand.tick(Enable(1, 1))
    hand.tick(Arm(1, 2), RandomGoals(1, 3, count=0, seed=5, timeout=1.0))
    hand.recorder.ask("start")
    for number in range(20):
        hand.recorder.take_picture(Picture(CAMERA, hand.t, picture(10 * number)))
        hand.run(PERIOD)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    return hand.files()[-1]


def exported(recording: Path, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> int:
    arguments = ["recording", "export", str(recording), kind, "--output", str(folder), "--json"]
    monkeypatch.setattr(sys, "argv", ["inhand", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


def test_rosbags_and_the_mcap_reader_of_ros_read_a_bag(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcap_ros2.reader import read_ros2_messages
    from rosbags.highlevel import AnyReader

    bag = tmp_path / "bag"
    assert exported(recording, bag, "--ros2", monkeypatch) == 0
    source = open_recording(recording)
    counted = Counter(topic for topic, _, _ in source.messages())
    with AnyReader([bag]) as reader:
        kinds = {one.topic: one.msgtype for one in reader.connections}
        counts = {one.topic: one.msgcount for one in reader.connections}
        first = {}
        for connection, _, raw in reader.messages():
            if connection.topic not in first:
                first[connection.topic] = reader.deserialize(raw, connection.msgtype)
    image = f"/{CAMERA}/image/compressed"
    assert kinds["/joint_states"] == "sensor_msgs/msg/JointState"
    assert kinds["/object_pose"] == kinds["/goal_pose"] == "geometry_msgs/msg/PoseStamped"
    assert kinds[image] == "sensor_msgs/msg/CompressedImage"
    assert kinds[f"/{CAMERA}/camera_info"] == "sensor_msgs/msg/CameraInfo"
    assert kinds["/tf"] == kinds["/tf_static"] == "tf2_msgs/msg/TFMessage"
    assert counts["/joint_states"] == counted["/joints"]
    assert counts[image] == counted[f"/image/{CAMERA}"]
    hand = parse_hand(source.header.hand.encode(), recording)
    assert tuple(first["/joint_states"].name) == hand.joint_names
    np.testing.assert_allclose(
        first[f"/{CAMERA}/camera_info"].k.reshape(3, 3), RIG[CAMERA].matrix, rtol=1e-12
    )
    assert "<robot" in first["/robot_description"].data
    # The other reader decodes with the definitions that are in the file itself.
    (file,) = bag.glob("*.mcap")
    poses = list(read_ros2_messages(str(file), topics=["/object_pose"]))
    sought = next(message for topic, _, message in source.messages() if topic == "/object")
    found = poses[0].ros_msg.pose
    for axis in "xyzw":
        assert getattr(found.orientation, axis) == sought["pose"]["orientation"][axis]
    assert len(poses) == counted["/object"]


def test_pyarrow_and_a_video_decoder_read_a_data_set(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av
    import pyarrow.parquet as pq

    folder = tmp_path / "set"
    assert exported(recording, folder, "--lerobot", monkeypatch) == 0
    info = json.loads((folder / "meta/info.json").read_text())
    rows = pq.read_table(folder / "data/chunk-000/file-000.parquet").to_pydict()
    episodes = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pydict()
    tasks = pq.read_table(folder / "meta/tasks.parquet").to_pydict()
    ticks = [one for one in open_recording(recording).records() if isinstance(one, TickRecord)]
    goals = list(dict.fromkeys(one.outputs.goal.number for one in ticks if one.outputs.goal))
    assert info["codebase_version"] == "v3.0" and info["fps"] == 20
    assert info["total_episodes"] == len(episodes["length"]) == len(goals) > 2
    assert sum(episodes["length"]) == info["total_frames"] == len(rows["action"])
    assert episodes["tasks"][0][0] == tasks["task"][0]
    working = [one for one in ticks if one.outputs.goal and one.outputs.goal.number == goals[1]]
    begin = episodes["dataset_from_index"][1]
    # Every fifth tick is a frame.
    assert abs(episodes["length"][1] - len(working) / 5) <= 1
    targets = working[0].outputs.targets
    assert targets is not None
    np.testing.assert_allclose(rows["action"][begin], targets, atol=1e-6)
    for name, feature in info["features"].items():
        if feature["dtype"] == "float32" and name != "timestamp":
            assert len(rows[name][0]) == feature["shape"][0] == len(feature["names"])
    video = folder / f"videos/observation.images.{CAMERA}/chunk-000/file-000.mp4"
    with av.open(str(video)) as container:
        shades = [one.to_ndarray(format="rgb24").mean() for one in container.decode(video=0)]
    assert len(shades) == info["total_frames"]
    assert all(b >= a - 2 for a, b in zip(shades, shades[1:], strict=False))
    assert shades[0] < 40 and shades[-1] == pytest.approx(190, abs=4)


def test_reruns_reader_of_lerobot_takes_the_data_set(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experimental = pytest.importorskip("rerun.experimental", reason="needs the extra rerun")
    if not hasattr(experimental, "LeRobotReader"):
        pytest.skip("this version of Rerun has no such reader")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "set"
    assert exported(recording, folder, "--lerobot", monkeypatch) == 0
    info = json.loads((folder / "meta/info.json").read_text())
    reader = experimental.LeRobotReader(str(folder))
    episodes = list(reader.episodes())
    assert episodes == list(range(info["total_episodes"]))
    # Later episodes begin between two whole pictures of the video: there, Rerun needs ffmpeg.
    rows = [
        chunk.num_rows
        for chunk in reader.stream(episodes[0]).to_chunks()
        if "action" in str(chunk.entity_path) and not chunk.is_static
    ]
    lengths = parquet.read_table(folder / "meta/episodes/chunk-000/file-000.parquet")["length"]
    assert sum(rows) == lengths[0].as_py()


@pytest.mark.parametrize("kind", ["--ros2", "--lerobot"])
def test_a_folder_that_exists_stays_as_it_is(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").write_text("mine")
    arguments = ["inhand", "recording", "export", str(recording), kind]
    monkeypatch.setattr(sys, "argv", [*arguments, "--output", str(tmp_path / "kept")])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert "it exists; name another folder with --output" in str(ended.value.code)
    assert [one.name for one in tmp_path.rglob("*")] == ["kept", "mine"]


def test_a_recording_without_goals_makes_no_data_set(tmp_path: Path) -> None:
    from inhand.controller.recording.lerobot import export_lerobot

    hand = Recorded(tmp_path)
    hand.run(1.0)
    hand.recorder.ask("save")
    hand.run(AFTER + 0.1)
    hand.close()
    with pytest.raises(RecordingError, match="no goal was worked on"):
        export_lerobot(open_recording(hand.files()[-1]), tmp_path / "set")
    assert not list(tmp_path.glob("*set*"))
    assert export(open_recording(hand.files()[-1]), tmp_path / "tables")
