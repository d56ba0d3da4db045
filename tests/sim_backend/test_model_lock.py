"""The nominal worlds are the ones that were locked before the first score."""

import tomllib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

import inhand.sim_backend
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object, object_file
from inhand.training.mujoco_worlds.model import build_spec, model_digest
from tests.sim_backend.pybullet_digest import pybullet_digest

HAND = load_hand("dactyl24")
FILE = Path(inhand.sim_backend.__file__).parent / "model.lock"
LOCK = tomllib.loads(FILE.read_text())
ADVICE = "a change on purpose writes sim_backend/model.lock anew and logs it"


@pytest.mark.parametrize("name", ["block", "prism"])
def test_pybullets_world_is_the_locked_one(name: str) -> None:
    assert pybullet_digest(HAND, load_object(name)) == LOCK["pybullet"][name], ADVICE


@pytest.mark.parametrize("name", ["block", "prism"])
def test_mujocos_world_is_the_locked_one(name: str) -> None:
    model = build_spec(HAND, load_object(name)).compile()
    assert model_digest(model) == LOCK["mujoco"][name], ADVICE


@pytest.mark.skipif(find_spec("pydrake") is None, reason="needs the extra drake")
@pytest.mark.parametrize("name", ["block", "prism"])
def test_drakes_world_is_the_locked_one(name: str) -> None:
    from tests.sim_backend.drake_digest import drake_digest

    target = load_object(name)
    assert drake_digest(HAND, target) == LOCK["drake"][name], ADVICE
    link = msgspec.structs.replace(HAND.links[3], mass=0.015)
    other = replace(HAND, links=(*HAND.links[:3], link, *HAND.links[4:]))
    assert drake_digest(other, target) != LOCK["drake"][name]


def test_a_changed_constant_changes_the_numbers() -> None:
    block = load_object("block")
    link = msgspec.structs.replace(HAND.links[3], mass=0.015)
    other = replace(HAND, links=(*HAND.links[:3], link, *HAND.links[4:]))
    assert pybullet_digest(other, block) != pybullet_digest(HAND, block)
    digests = {model_digest(build_spec(hand, block).compile()) for hand in (HAND, other)}
    assert len(digests) == 2


def test_tags_and_comments_change_no_number(tmp_path: Path) -> None:
    text = object_file("block").read_text()
    (tmp_path / "block.toml").write_text(text.replace("id = 0", "id = 40\nturn = 0.1  # glued"))
    mine, block = load_object(tmp_path / "block.toml"), load_object("block")
    assert mine.tags != block.tags and mine.digest == block.digest
    (tmp_path / "block.toml").write_text(text.replace("mass = 0.08", "mass = 0.081"))
    assert load_object(tmp_path / "block.toml").digest != block.digest
