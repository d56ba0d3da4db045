"""Errors of the calibration are the same in every frame, and do not average out."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.estimate import off
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.estimation.outlier_gate import FusionSettings
from inhand.controller.estimation.pose_state import MotionModel
from inhand.perception import rotations
from inhand.sim_backend.rig import default_rig
from tests.controller.fused import BLOCK, BOUND, CENTER
from tests.controller.sighted import frames


@pytest.mark.parametrize("names", [("left",), ("left", "right")])
def test_the_truth_lies_within_the_bound_though_a_camera_is_always_wrong_alike(
    names: tuple[str, ...],
) -> None:
    rng = np.random.default_rng(31)
    # The object is known to move slowly: the filter averages over many frames.
    slow = FusionSettings(motion=MotionModel(0.01, 0.1, 0.1))
    distances = []
    for _ in range(8):
        rig = {
            name: replace(camera, position_sigma=0.0015, rotation_sigma=0.0245, focal_sigma=0.01)
            for name, camera in default_rig().items()
            if name in names
        }
        real, quaternion = off(rig, rng), rotations.random_quaternion(rng)
        pose_filter = PoseFilter(BLOCK, rig, slow)
        pose = None
        for seen in frames(BLOCK, real, lambda _, q=quaternion: (CENTER, q), rng, 1.2):
            pose_filter.update(seen)
            pose = pose_filter.predict(seen.t)
        if pose is None:
            continue
        turn = rotations.multiply(quaternion, rotations.conjugate(pose.quaternion))
        error = np.concatenate([CENTER - pose.position, rotations.log(turn)])
        distances.append(error @ np.linalg.solve(pose.covariance[:6, :6], error))
    # Chi-square with 6 degrees of freedom has the mean 6.
    assert len(distances) > 6 and np.mean(distances) < 9.0
    assert np.mean(np.array(distances) < BOUND) > 0.8
