"""The nominal worlds are the ones that were locked before the first score."""

from dataclasses import replace

import msgspec
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.sim_backend.lock import pybullet_digest, read_lock
from inhand.training.mujoco_worlds.model import build_spec, model_digest

HAND = load_hand("dactyl24")
ADVICE = "a change on purpose writes sim_backend/model.lock anew and logs it"


@pytest.mark.parametrize("name", ["block", "prism"])
def test_pybullets_world_is_the_locked_one(name: str) -> None:
    assert pybullet_digest(HAND, load_object(name)) == read_lock()["pybullet"][name], ADVICE


@pytest.mark.parametrize("name", ["block", "prism"])
def test_mujocos_world_is_the_locked_one(name: str) -> None:
    model = build_spec(HAND, load_object(name)).compile()
    assert model_digest(model) == read_lock()["mujoco"][name], ADVICE


def test_a_changed_constant_changes_the_numbers() -> None:
    block = load_object("block")
    link = msgspec.structs.replace(HAND.links[3], mass=0.015)
    other = replace(HAND, links=(*HAND.links[:3], link, *HAND.links[4:]))
    assert pybullet_digest(other, block) != pybullet_digest(HAND, block)
    digests = {model_digest(build_spec(hand, block).compile()) for hand in (HAND, other)}
    assert len(digests) == 2
