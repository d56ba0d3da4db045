"""`inhand cameras list`, on a tree of device files and on real sources."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from inhand.controller.cli.camera_verbs import Cameras
from inhand.perception.camera.listing import VideoNode, describe, video_nodes


def test_devices_have_the_names_that_stay(tmp_path: Path) -> None:
    by_id = tmp_path / "dev/v4l/by-id"
    by_id.mkdir(parents=True)
    for number, (model, index) in enumerate([("HD Webcam", 0), ("HD Webcam", 1), ("D435", 2)]):
        node = tmp_path / f"sys/class/video4linux/video{number}"
        node.mkdir(parents=True)
        (node / "name").write_text(f"{model}\n")
        (node / "index").write_text(f"{index}\n")
        (tmp_path / f"dev/video{number}").touch()
    (by_id / "usb-HD_Webcam-video-index0").symlink_to(tmp_path / "dev/video0")
    (tmp_path / "dev/inhand-camera-pci-0-1").symlink_to(tmp_path / "dev/video2")
    nodes = video_nodes(tmp_path)
    assert nodes == [
        VideoNode("/dev/video0", "/dev/v4l/by-id/usb-HD_Webcam-video-index0", "HD Webcam", 0),
        VideoNode("/dev/video1", "", "HD Webcam", 1),
        VideoNode("/dev/video2", "/dev/inhand-camera-pci-0-1", "D435", 2),
    ]
    assert "no stable name" in list(describe(nodes))[1]
    assert video_nodes(tmp_path / "nowhere") == []


def test_sources_of_a_configuration_are_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "left.MKV"
    writer = cv2.VideoWriter(str(tmp_path / "x.mkv"), cv2.VideoWriter.fourcc(*"MJPG"), 50, (64, 48))
    for k in range(40):
        writer.write(np.full((48, 64, 3), 5 * k, np.uint8))
    writer.release()
    (tmp_path / "x.mkv").rename(path)
    config = tmp_path / "inhandd.toml"
    config.write_text(
        f'[cameras.left]\nsource = "{path}"\n[cameras.right]\nsource = "/dev/video98"\n'
    )
    assert Cameras("list", config, probe=True, json=True).run() == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    left, right = (told["sources"][f"camera {name}"] for name in ("left", "right"))
    assert left["size"] == [64, 48] and left["rate"] == pytest.approx(50, rel=0.1)
    assert "no such device" in right["problem"]
    assert Cameras("list", config).run() == 0
    assert f"camera left: {path}" in capsys.readouterr().out
    # Without a configuration, sources are named on the command line.
    empty = tmp_path / "empty.toml"
    empty.touch()
    named = Cameras("list", empty, json=True, sources=(str(path), "/dev/video98"))
    assert named.run() == 0
    told = msgspec.json.decode(capsys.readouterr().out)["sources"]
    assert told[str(path)]["size"] == [64, 48]
    assert "no such device" in told["/dev/video98"]["problem"]
