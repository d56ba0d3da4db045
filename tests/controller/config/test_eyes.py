"""What finds the object: each combination that cannot work is refused, in one sentence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inhand.controller.config.eyes import check_eyes, eyes_arguments
from inhand.controller.config.sections import CamerasConfig
from inhand.controller.errors import StartError
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.perception.appearance import FaceMark
from inhand.perception.keypoints.network import SHIPPED, shipped_network
from inhand.perception.objects import load_object
from inhand.sim_backend.rig import default_rig

BLOCK, PRISM = load_object("block"), load_object("prism")
NETWORK = CamerasConfig(eyes="network")


def test_tags_need_no_network() -> None:
    assert check_eyes(CamerasConfig(), BLOCK, default_rig()) is None
    assert eyes_arguments(None, load_hand("dactyl24")) == []


def test_the_network_that_came_with_the_program_fits() -> None:
    network = check_eyes(NETWORK, BLOCK, default_rig())
    assert network is not None
    arguments = eyes_arguments(network, load_hand("dactyl24"))
    assert arguments[:2] == ["--network", str(SHIPPED / "block.onnx")]
    center = np.array(arguments[3:], dtype=float)
    assert np.allclose(center, load_hand("dactyl24").workspace.center)
    assert (SHIPPED / "block.onnx").stat().st_size < 1_000_000


def test_objects_that_cannot_be_seen_so() -> None:
    with pytest.raises(StartError, match="has no tags"):
        check_eyes(CamerasConfig(), replace(BLOCK, tags=()), default_rig())
    with pytest.raises(StartError, match=r"'prism' has no \[appearance\]"):
        check_eyes(NETWORK, PRISM, default_rig())
    with pytest.raises(InhandError, match="no network came with the program for object 'dice'"):
        check_eyes(NETWORK, replace(BLOCK, name="dice"), default_rig())


def test_networks_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InhandError, match="320x240.*640x480"):
        check_eyes(NETWORK, BLOCK, default_rig(640, 480))
    repainted = {**BLOCK.appearance, "+x": FaceMark((0, 0, 0))}
    with pytest.raises(InhandError, match="another look, shape or size"):
        check_eyes(NETWORK, replace(BLOCK, appearance=repainted), default_rig())
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((SHIPPED / "block.onnx").read_bytes()[:5000])
    with pytest.raises(InhandError, match="damaged"):
        check_eyes(replace_network(broken), BLOCK, default_rig())
    with pytest.raises(InhandError, match="no such file"):
        check_eyes(replace_network(tmp_path / "none.onnx"), BLOCK, default_rig())


def replace_network(path: Path) -> CamerasConfig:
    return CamerasConfig(eyes="network", network=str(path))


def test_a_changed_file_is_not_the_one_that_came_with_the_program(tmp_path: Path) -> None:
    whole = (SHIPPED / "block.onnx").read_bytes()
    (tmp_path / "SHA256SUMS").write_text((SHIPPED / "SHA256SUMS").read_text())
    (tmp_path / "block.onnx").write_bytes(whole)
    assert shipped_network(BLOCK, tmp_path) == tmp_path / "block.onnx"
    (tmp_path / "block.onnx").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InhandError, match="SHA256SUMS"):
        shipped_network(BLOCK, tmp_path)
