"""`inhand doctor` looks through the cameras and says what tags it sees, or why it sees none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.controller.calibration import doctor_tags
from inhand.controller.calibration.doctor_host import check_station
from inhand.controller.config.config import Config
from inhand.controller.config.sections import CamerasConfig
from inhand.hardware.findings import Finding
from inhand.perception.cameras import save_rig
from inhand.perception.tags import Image, tag_image
from inhand.sim_backend.rig import default_rig


def page(tag: Image) -> Image:
    """A white page of the rig's image size with one tag."""
    image = np.full((240, 320), 255, dtype=np.uint8)
    image[80 : 80 + len(tag), 120 : 120 + len(tag)] = tag
    return image


def seen_through(tmp_path: Path, images: dict[str, Image]) -> dict[str, Finding]:
    """Findings of cameras that replay one picture each."""
    rig = tmp_path / "rig.toml"
    save_rig(rig, default_rig())
    sources = {}
    for name, image in images.items():
        (tmp_path / name).mkdir()
        for k in range(2):
            cv2.imwrite(str(tmp_path / name / f"{k / 10:.6f}.png"), image)
        sources[name] = str(tmp_path / name)
    findings = check_station(Config(cameras=CamerasConfig(str(rig), sources)), tmp_path)
    return {one.name: one for one in findings}


def test_what_a_camera_sees_is_said_with_the_remedy(tmp_path: Path) -> None:
    aruco = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_6X6_250)
    other = np.asarray(cv2.aruco.generateImageMarker(aruco, 7, 64), dtype=np.uint8)
    images = {"left": page(tag_image(3, 8)), "right": page(other), "wrist": page(other)[:, :160]}
    said = seen_through(tmp_path, images)
    assert said["camera left"].verdict == "good"
    assert "sees tags [3] of block" in said["camera left"].detail
    right = said["camera right"]
    assert right.verdict == "warning" and "tag 7 is seen of the family ArUco 6x6" in right.detail
    assert "inhand print" in right.remedy
    # A picture of another size than calibrated.
    assert said["camera wrist"].verdict == "bad" and "160x240" in said["camera wrist"].detail


def test_mirrored_and_empty_pictures_and_the_tags_of_another_object(tmp_path: Path) -> None:
    images = {
        "left": np.ascontiguousarray(page(tag_image(3, 8))[:, ::-1]),
        "right": np.full((240, 320), 128, dtype=np.uint8),
        "wrist": page(tag_image(12, 8)),
    }
    said = seen_through(tmp_path, images)
    assert "seen mirrored" in said["camera left"].detail
    assert "turn mirroring off" in said["camera left"].remedy
    assert "no tag of block is seen" in said["camera right"].detail
    assert "into view" in said["camera right"].remedy
    assert "only tags [12] are seen" in said["camera wrist"].detail
    assert "the object prism" in said["camera wrist"].remedy


def test_a_source_without_frames_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_tags, "PATIENCE", 0.2)
    rig = tmp_path / "rig.toml"
    save_rig(rig, default_rig())
    sources = {"left": f"ipc://{tmp_path}/nobody"}
    findings = check_station(Config(cameras=CamerasConfig(str(rig), sources)), tmp_path)
    (left,) = (one for one in findings if one.name == "camera left")
    assert left.verdict == "bad" and "gave no frame in 0.2 s" in left.detail
