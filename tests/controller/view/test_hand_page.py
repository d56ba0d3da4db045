"""The page of a hand file in a real browser: joints are dragged, and collisions named."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trimesh

pytest.importorskip("mujoco", reason="needs the extra train")

from inhand.controller.view.hand_page import HandPage
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import HANDS, load_hand
from inhand.hardware.model.stl import write_stl
from inhand.training.mujoco_worlds.collisions import Collisions
from tests.controller.view.browser import browser

PATIENCE = 120.0


@pytest.fixture
def drawn_hand(tmp_path: Path) -> Path:
    """The LEAP hand with a drawing on one link."""
    text = (HANDS / "leap.toml").read_text()
    old = 'name = "th_ds"\n'
    assert old in text
    text = text.replace(old, f'{old}drawings = [{{ file = "tip.stl", rpy = [0.0, 0.5, 0.0] }}]\n')
    (tmp_path / "drawn.toml").write_text(text)
    return tmp_path / "drawn.toml"


@pytest.fixture
def page(drawn_hand: Path) -> Iterator[HandPage]:
    write_stl(
        drawn_hand.parent / "tip.stl", np.array(trimesh.creation.icosphere(1, 0.01).triangles)
    )
    hand = load_hand(drawn_hand)
    page = HandPage(hand, Collisions(hand), host="127.0.0.1", port=8390)
    page.open()
    ended = threading.Event()
    thread = threading.Thread(target=page.run, args=(ended.is_set,))
    thread.start()
    yield page
    ended.set()
    thread.join()
    page.close()


@pytest.mark.slow
def test_joints_are_dragged_and_collisions_named(page: HandPage) -> None:
    hand = load_hand("leap")
    with browser(900, 900) as tab:
        tab.goto(page.address)
        tab.get_by_text("collisions: none").wait_for()
        for name in ("shapes", "drawings", "axes and ranges", "rings to drag"):
            tab.get_by_text(name, exact=True).wait_for()
        tab.get_by_text(hand.actuator_names[1], exact=True).wait_for()
        # The index finger turns over the middle one.
        box = tab.get_by_role("textbox").nth(1)
        box.fill("1.04")
        box.press("Enter")
        tab.get_by_text("if_md and mf_md").wait_for()
        assert page.angles[1] == pytest.approx(1.04, abs=0.011)
        tab.get_by_role("button", name="rest pose").click()
        tab.get_by_text("collisions: none").wait_for()
    np.testing.assert_allclose(page.angles, hand.rest)


def test_angles_stay_within_their_ranges(page: HandPage) -> None:
    hand = load_hand("leap")
    page.move(0, 99.0)
    page.move(1, -99.0)
    np.testing.assert_allclose(page.angles[:2], [hand.upper[0], hand.lower[1]])


def test_a_missing_drawing_is_named(drawn_hand: Path) -> None:
    page = HandPage(load_hand(drawn_hand), host="127.0.0.1", port=8390)
    with pytest.raises(DescriptionError, match=r"tip.stl: No such file"):
        page.open()
