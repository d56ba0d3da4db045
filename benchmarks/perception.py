"""Tags and poses on rendered frames, beside plain OpenCV."""

import itertools
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import Row, median_time, row, side_by_side
from controller.fusion import PoseFilter
from hardware.hand import load_hand
from perception import rotations
from perception.detection import TagDetector
from perception.objects import ObjectDescription, load_object
from perception.pose import estimate_poses
from perception.records import TagCorners
from perception.rotations import Array
from perception.tags import Image, family
from sim_backend.rig import default_rig
from sim_backend.scene import Scene

FRAMES = 40
PEER = "ArucoDetector + solvePnP a tag"


def measure() -> list[Row]:
    """Time a frame of detection and of pose, and how far poses are off, on the same renders."""
    hand, block = load_hand("dactyl24"), load_object("block")
    rig = default_rig()
    with tempfile.TemporaryDirectory() as directory:
        scene = Scene(hand, block, Path(directory))
    rng = np.random.default_rng(1)
    shots: list[tuple[Array, dict[str, Image]]] = []
    for _ in range(FRAMES):
        quaternion = rotations.random_quaternion(rng)
        scene.place(hand.joint_angles(hand.rest), np.array([0.0, 0.335, 0.06]), quaternion)
        shots.append((quaternion, {name: scene.render(rig[name]) for name in rig}))
    detectors = {name: TagDetector(camera, block) for name, camera in rig.items()}
    plain = cv2.aruco.ArucoDetector(family())
    images = [image for _, views in shots for image in views.values()]
    ours, stock = side_by_side(
        lambda: [detectors["left"].detect(image, 0.0) for image in images],
        lambda: [plain.detectMarkers(image) for image in images],
        rounds=5,
        calls=1,
    )
    n = len(images)
    rows = [row("detection a frame", 1e3 * ours / n, "ms", "ArucoDetector", 1e3 * stock / n)]
    frames = [
        (quaternion, [detectors[name].detect(image, 0.0) for name, image in views.items()])
        for quaternion, views in shots
    ]
    ours, stock = side_by_side(
        lambda: [estimate_poses(block, rig, seen) for _, seen in frames],
        lambda: [_tag_poses(block, rig[f.camera].matrix, f) for _, seen in frames for f in seen],
        rounds=5,
        calls=1,
    )
    rows.append(row("pose of three frames", 1e3 * ours / FRAMES, "ms", PEER, 1e3 * stock / FRAMES))
    filter_ = PoseFilter(block, rig)
    filter_.update(*frames[0][1])
    clock = itertools.count(1)
    predict = median_time(lambda: filter_.predict(0.001 * next(clock)), 200)
    limit = "100 µs a tick"
    rows.append(row("pose filter without a measurement", 1e6 * predict, "µs", limit, 100.0, 1.0))
    mine, theirs = [], []
    for quaternion, seen in frames:
        found = estimate_poses(block, rig, seen)
        if found:
            mine.append(float(rotations.angle_between(found[0].quaternion, quaternion)))
        for frame in seen:
            into = rig[frame.camera].quaternion
            for pose in _tag_poses(block, rig[frame.camera].matrix, frame):
                turned = rotations.multiply(into, pose)
                theirs.append(float(rotations.angle_between(turned, quaternion)))
    errors = float(np.degrees(np.median(mine))), float(np.degrees(np.median(theirs)))
    rows.append(row("median error of orientation", errors[0], "degrees", PEER, errors[1], 1.0))
    return rows


def _tag_poses(block: ObjectDescription, matrix: Array, frame: TagCorners) -> list[Array]:
    """Camera from object, wxyz, by each tag alone, as most programs do it."""
    poses = []
    for id, pixels in zip(frame.ids, frame.corners, strict=True):
        points = block.tag(id).corners
        found, turn, _ = cv2.solvePnP(points, pixels, matrix, None, flags=cv2.SOLVEPNP_IPPE)
        if found:
            poses.append(rotations.exp(np.asarray(turn, dtype=np.float64).ravel()))
    return poses
