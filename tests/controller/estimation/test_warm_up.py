"""The warm-up runs from corners to a pose, with every hand."""

import numpy as np
import pytest

from inhand.controller.estimation.warm_up import warm_up_pose_filter
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.sim_backend.rig import rig_around


@pytest.mark.parametrize("target", ["block", "prism"])
@pytest.mark.parametrize("hand", ["dactyl24", "leap"])
def test_the_warm_up_finds_its_synthetic_pose(hand: str, target: str) -> None:
    loaded = load_hand(hand)
    pose = warm_up_pose_filter(load_object(target), rig_around(loaded), loaded)
    assert pose is not None and pose.age < 0.02
    np.testing.assert_allclose(pose.position, loaded.workspace.center, atol=1e-4)


def test_cameras_that_see_no_tag_are_accepted() -> None:
    assert warm_up_pose_filter(load_object("block"), {}, load_hand("dactyl24")) is None
