"""Playground's task as the page gives it: its numbers, and the commands that measure a policy."""

import re
from pathlib import Path

import numpy as np
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import load_universe
from inhand.perception.objects import load_object
from tests.documents.pages import DOCS, blocks
from tests.documents.shell import typed
from tests.training.foreign.networks import PLAYGROUND_PALM, playground_form

PAGE, MAP_PAGE = DOCS / "beside-others.md", DOCS / "bring-your-policy.md"


def write_files(folder: Path) -> None:
    (universe,) = blocks(PAGE, "toml")
    (folder / "playground.toml").write_text(universe)
    (folder / "leap-reorient.toml").write_text(next(blocks(MAP_PAGE, "toml")))
    (folder / "leap_reorient_policy.onnx").write_bytes(playground_form().SerializeToString())


def test_the_universe_is_playgrounds_cube_and_the_map_has_its_palm(tmp_path: Path) -> None:
    write_files(tmp_path)
    hand, block = load_hand("leap"), load_object("block")
    universe = load_universe(tmp_path / "playground.toml", hand)
    size = universe.object_size * np.array(block.size)
    np.testing.assert_allclose(size, [0.07, 0.07, 0.07], atol=1e-6)
    assert universe.object_mass * block.mass == pytest.approx(0.108)
    assert universe.friction * block.friction == pytest.approx(0.7)
    damping = np.array([link.damping for link in hand.links])
    np.testing.assert_allclose(np.array(universe.joint_damping) * damping, 0.2)
    found = re.search(r"offset = \[([^]]*)\]", (tmp_path / "leap-reorient.toml").read_text())
    assert found
    offset = [float(number) for number in found[1].split(",")]
    np.testing.assert_allclose(hand.workspace.center + np.array(offset), PLAYGROUND_PALM)


@pytest.mark.slow
def test_a_foreign_network_is_measured_on_it(tmp_path: Path) -> None:
    write_files(tmp_path)
    (commands,) = (block for block in blocks(PAGE, "sh") if "policy wrap" in block)
    wrap, evaluate = re.sub(r"\\\n\s*", " ", commands).splitlines()
    typed(wrap, tmp_path, 120)
    assert "1 after 1 s" in typed(f"{evaluate} --trials 1 --seconds 1", tmp_path, 300)
