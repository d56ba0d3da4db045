"""The live feed: a daemon that is absent, starts, ends and starts again."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inhand.controller.system.paths import image_address
from inhand.controller.view.live import LiveFeed
from inhand.controller.view.panel import words
from inhand.controller.view.view_model import HISTORY, History, Moment, Row
from inhand.hardware.model.hand import load_hand
from inhand.perception.camera.preview import Preview
from inhand.perception.camera.sources import Frame
from inhand.perception.cameras import Camera
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import ObjectDescription, load_object
from inhand.perception.records import TagCorners
from inhand.perception.tags import Image
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene
from tests.controller.bench_hand import IN_HAND
from tests.controller.view.watched import served, until


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[LiveFeed]:
    feed = LiveFeed(tmp_path, None)
    feed.start()
    yield feed
    feed.close()


def test_a_daemon_comes_and_goes_and_comes_back(tmp_path: Path, feed: LiveFeed) -> None:
    until(lambda: "no daemon" in feed.problem, feed)
    with served(tmp_path):
        until(lambda: feed.moment() is not None, feed)
        assert feed.problem == ""
        assert feed.setting is not None and feed.setting.hand.name == "dactyl24"
        assert list(feed.setting.cameras) == list(default_rig())
    until(lambda: "waiting for it to come back" in feed.problem, feed)
    last = feed.moment()
    with served(tmp_path):
        until(lambda: not feed.problem and feed.moment() is not last, feed)


def test_another_version_of_the_protocol_is_named(tmp_path: Path, feed: LiveFeed) -> None:
    with served(tmp_path, v=7):
        until(lambda: "version 7 of the protocol" in feed.problem, feed)
        assert feed.moment() is None


def test_a_hand_that_this_version_cannot_read_is_named(tmp_path: Path, feed: LiveFeed) -> None:
    with served(tmp_path, hand="name = 'x'"):
        until(lambda: "hand cannot be shown" in feed.problem, feed)


def test_pictures_are_measured_and_asked_for_only_while_somebody_looks(
    tmp_path: Path, feed: LiveFeed
) -> None:
    block, cameras = load_object("block"), default_rig()
    previews = {name: Preview.open(image_address(tmp_path, name)) for name in cameras}
    seen = pictures(tmp_path, block, cameras)
    with served(tmp_path):
        until(lambda: feed.setting is not None, feed)

        def measured() -> bool:
            t = time.monotonic()
            for name, (image, corners) in seen.items():
                previews[name].offer(Frame(t, image), corners)
            moment = feed.moment()
            if moment is None or moment.measured is None or len(moment.pictures) < len(cameras):
                return False
            return bool(np.allclose(moment.measured[0], IN_HAND, atol=2e-3))

        until(measured, feed)
        feed.looking = False
        until(lambda: not any(preview.watched for preview in previews.values()), feed)
    for preview in previews.values():
        preview.close()


def pictures(
    directory: Path, block: ObjectDescription, cameras: dict[str, Camera]
) -> dict[str, tuple[Image, TagCorners]]:
    """Rendered pictures with what the real detector finds on them, by camera."""
    hand = load_hand("dactyl24")
    scene = Scene(hand, block, directory)
    scene.place(hand.joint_angles(hand.rest), IN_HAND, np.array([1.0, 0.0, 0.0, 0.0]))
    found = {}
    for name, camera in cameras.items():
        image = scene.render(camera)
        found[name] = image, TagDetector(camera, block).detect(image, 0.0)
    return found


def state(**changes: object) -> dict[str, object]:
    told: dict[str, object] = {"t": 1.0, "mode": "running", "reason": "goal", "reached": 3}
    told |= {"missed": 0, "dropped": 0, "waiting": 2, "goal": None, "targets": None}
    told |= {"object": {"in_hand": True, "pose": None}, "joints": None}
    return told | changes


def test_a_row_ends_with_a_drop_or_a_miss() -> None:
    row = Row()
    assert row.count(state(reached=3)) == 3
    assert row.count(state(reached=5)) == 5
    assert row.count(state(reached=5, dropped=1)) == 0
    assert row.count(state(reached=6, dropped=1)) == 1
    assert row.count(state(reached=6, dropped=1, missed=1)) == 0
    assert row.count(state(reached=0)) == 0


def test_curves_are_bounded_and_end_now() -> None:
    history = History()
    assert history.curves()["t"].shape == (1,)
    joints = {"position": [0.1, 0.2], "current": [0.5, -0.7]}
    for step in range(2 * HISTORY):
        history.add(
            Moment(
                state(
                    t=step / 20,
                    joints=joints,
                    goal={"number": 1, "seconds": 2.0, "error": np.pi / 2},
                )
            )
        )
    curves = history.curves()
    assert len(curves["t"]) == HISTORY
    assert curves["t"][-1] == 0.0 and curves["t"][-2] == pytest.approx(-0.05)
    assert curves["error"][-1] == pytest.approx(90.0)
    assert curves["current"][-1] == pytest.approx(0.7)
    position, target = history.joint(1)
    assert position[-1] == target[-1] == pytest.approx(np.degrees(0.2))


def test_problems_are_the_first_line() -> None:
    told = {"cameras": {"left": {"problem": "too dark"}}, "bus": {"problem": "unplugged"}}
    said = words(Moment(state(), told), "the daemon is silent")
    assert said.startswith("**the daemon is silent**")
    assert "**camera left: too dark**" in said and "**bus: unplugged**" in said
    assert "never seen" in said
    assert words(None, "") == "waiting for the first state"
