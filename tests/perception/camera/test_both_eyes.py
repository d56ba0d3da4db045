"""Tags on a painted block: both eyes see it in one picture, and `inhand doctor` compares them."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.controller.calibration.doctor_host import check_station
from inhand.controller.config.config import Config
from inhand.controller.config.eyes import check_eyes, eyes_arguments, eyes_of
from inhand.controller.config.sections import CamerasConfig
from inhand.errors import InhandError
from inhand.perception import rotations
from inhand.perception.camera import both_eyes
from inhand.perception.camera.both_eyes import BothEyes
from inhand.perception.cameras import save_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.keypoints.detector import VertexDetector
from inhand.perception.keypoints.network import VertexNetwork, shipped_network
from inhand.perception.objects import OBJECTS, ObjectDescription, load_object
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import frozen_array
from inhand.perception.tags import Image
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene
from tests.hands import level

HAND, BLOCK, RIG = level(), load_object("block"), default_rig()
MIDDLE = np.array(HAND.workspace.center)
TAG = '[[tags]]\nid = 3\nsize = 0.024\nface = "{face}"\n'


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> ObjectDescription:
    """A painted block with a small tag on one of its faces."""
    return load_object(written(tmp_path_factory.mktemp("object")))


def written(directory: Path, eyes: str = "both") -> Path:
    text = (OBJECTS / "block.toml").read_text()
    head, look = text.split("[[tags]]")[0], "[appearance]" + text.split("[appearance]")[1]
    path = directory / "painted.toml"
    path.write_text(f'{head}eyes = "{eyes}"\n{TAG.format(face="+z")}\n{look}')
    return path


@pytest.fixture(scope="module")
def network(target: ObjectDescription, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The block's network, said to be of the block with these tags: it has not learnt them."""
    path = tmp_path_factory.mktemp("network") / "painted.onnx"
    content = shipped_network(BLOCK).read_bytes()
    assert content.count(BLOCK.look.encode()) == 1
    path.write_bytes(content.replace(BLOCK.look.encode(), target.look.encode()))
    return path


def pictures(target: ObjectDescription, directory: Path) -> dict[str, Image]:
    """What the cameras see of an object in the middle of the hand, its face +z up."""
    scene = Scene(HAND, target, directory, tagged=False)
    turn = rotations.exp(np.array([0.0, 0.0, 0.4]))
    scene.place(HAND.joint_angles(HAND.rest), MIDDLE, turn)
    images = {name: scene.render(camera) for name, camera in RIG.items()}
    scene.close()
    return images


def test_both_see_the_object_in_one_picture(
    target: ObjectDescription, network: Path, tmp_path: Path
) -> None:
    shown = VertexNetwork(network, target)
    both = 0
    for name, image in pictures(target, tmp_path).items():
        eyes = BothEyes(
            TagDetector(RIG[name], target), VertexDetector(RIG[name], target, shown, MIDDLE)
        )
        for _ in range(8):
            found = eyes.detect(image, 0.0)
        assert eyes.problem == ""
        if not found.ids or found.vertices is None:
            continue
        both += 1
        alone = replace(found, ids=(), corners=frozen_array(found.corners[:0]))
        by_tags, by_network = (estimate_poses(target, RIG, [one])[0] for one in (found, alone))
        assert np.linalg.norm(by_tags.position - by_network.position) < 0.015
        assert rotations.angle_between(by_tags.quaternion, by_network.quaternion) < 0.25
    assert both >= 1


def test_a_network_that_never_finds_what_tags_show_is_told(
    network: Path, target: ObjectDescription, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(both_eyes, "BLIND", 10)
    scene = Scene(HAND, BLOCK, tmp_path)
    scene.place(HAND.joint_angles(HAND.rest), MIDDLE, rotations.IDENTITY)
    camera = RIG["wrist"]
    image = scene.render(camera)
    scene.close()
    eyes = BothEyes(
        TagDetector(camera, BLOCK),
        VertexDetector(camera, target, VertexNetwork(network, target), MIDDLE),
    )
    said = []
    for _ in range(10):
        found = eyes.detect(image, 0.0)
        assert found.ids and found.vertices is None
        said.append(eyes.problem)
    assert not any(said[:9]) and "does not find the object where its tags are seen" in said[9]


def test_the_object_says_its_eyes_and_the_configuration_may_differ(
    target: ObjectDescription, network: Path
) -> None:
    config = CamerasConfig(network=str(network))
    assert eyes_of(config, target) == "both" and eyes_of(config, BLOCK) == "tags"
    assert eyes_of(CamerasConfig(eyes="tags"), target) == "tags"
    known = check_eyes(config, target, RIG)
    assert known is not None
    assert eyes_arguments(known, HAND, both=True)[-1] == "--both"
    with pytest.raises(InhandError, match="no tags"):
        check_eyes(CamerasConfig(eyes="both"), replace(target, tags=()), RIG)
    # The network of the block without tags has not seen these.
    with pytest.raises(InhandError, match="another look"):
        check_eyes(CamerasConfig(network=str(shipped_network(BLOCK))), target, RIG)


@pytest.mark.parametrize(
    ("eyes", "cut", "said"),
    [
        ("both", "[[tags]]", "needs tags"),
        ("network", "[appearance]", r"needs \[appearance\]"),
    ],
)
def test_eyes_without_what_they_look_for_are_refused(
    tmp_path: Path, eyes: str, cut: str, said: str
) -> None:
    path = written(tmp_path, eyes)
    text = path.read_text()
    head, rest = text.split(cut)
    look = "[appearance]" + rest.split("[appearance]")[1] if cut == "[[tags]]" else ""
    path.write_text(head + look)
    with pytest.raises(InhandError, match=said):
        load_object(path)


def test_doctor_compares_them(target: ObjectDescription, network: Path, tmp_path: Path) -> None:
    said = []
    for offset in (0.0, 0.007):
        directory = tmp_path / str(offset)
        glued = tuple(replace(t, position=t.position + [offset, 0.0, 0.0]) for t in target.tags)
        images = pictures(replace(target, tags=glued), directory / "scene")
        rig, sources = directory / "rig.toml", {}
        save_rig(rig, RIG)
        for name, image in images.items():
            (directory / name).mkdir()
            for k in range(12):
                cv2.imwrite(str(directory / name / f"{k / 10:.6f}.png"), image[..., ::-1])
            sources[name] = str(directory / name)
        cameras = CamerasConfig(str(rig), sources, network=str(network))
        config = Config(object=str(written(directory)), cameras=cameras)
        findings = {one.name: one for one in check_station(config, directory)}
        said.append([findings[f"camera {name}"] for name in RIG])
    assert any("tags [3] of block and block by the network" in one.detail for one in said[0])
    assert not any("from where the tags show it" in one.detail for one in said[0])
    assert any(
        "mm and" in one.detail and "from where the tags show it" in one.detail for one in said[1]
    )
