"""Tag detection and pose estimation on rendered frames, beside OpenCV and AprilRobotics."""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np

from benchmarks import peers, photographs
from benchmarks.accuracy import Case, cases, study
from benchmarks.measure import Row, row
from benchmarks.renders import BLOCK, Shot, static_shots, true_rig, turning
from inhand.controller.estimation.fusion import PoseFilter
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import JointState, frozen_array
from inhand.perception.cameras import Camera
from inhand.perception.detection.detection import TagDetector
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners, decode, encode
from inhand.perception.rotations import Array

Given = TypeVar("Given")

STATIC_SHOTS = 60
TRACKED = 120
RATE = 30.0
"""Rate of the tracked frames [Hz]."""

RENDERS = 1000
"""Number of renders for the comparison of accuracy."""

SMALL = 320, 240
"""Smallest frames that are used [px]."""

SMALL_LIMIT = 1.5
"""Limit for a frame of this size: detection and message [ms]."""

CORE_SHARE = 0.4
"""Limit for three cameras at `RATE`, as a share of one core."""

ARUCO, APRIL = "ArucoDetector", "AprilRobotics apriltag"


def measure() -> list[Row]:
    """Time per frame of detection and pose estimation, share of a core, and pose errors.

    Times are processor times, which depend little on the load of the machine.
    """
    threads = cv2.getNumThreads()
    # As in a camera process.
    cv2.setNumThreads(1)
    try:
        rig = true_rig(640, 480)
        shots = list(static_shots(STATIC_SHOTS, 640, 480))
        rows = [*_detection(rig, shots), *_pose(rig, shots), *_tracking(rig), _small_frames()]
        rows.append(_filter(rig, shots))
        rows += photographs.measure()
        return rows + _accuracy(study(cases(), RENDERS))
    finally:
        cv2.setNumThreads(threads)


def _detection(rig: dict[str, Camera], shots: list[Shot]) -> list[Row]:
    """Detection in whole frames."""
    detectors = {name: TagDetector(camera, BLOCK) for name, camera in rig.items()}
    images = [(name, image) for shot in shots for name, image in shot.images.items()]
    clock = itertools.count(0.0, 10.0)
    ours = _times(lambda one: detectors[one[0]].detect(one[1], next(clock)), images)
    rows = []
    for name, find in ((ARUCO, peers.stock_aruco()), (APRIL, peers.april_robotics())):
        if find is not None:
            theirs = _times(find, [image for _, image in images])
            rows += _rows("detection, whole frame", ours, name, theirs)
    return rows


def _pose(rig: dict[str, Camera], shots: list[Shot]) -> list[Row]:
    seen = [_see(rig, shot) for shot in shots]
    ours = _times(lambda frames: estimate_poses(BLOCK, rig, frames), seen)
    stock = _times(lambda frames: _tag_poses(rig, frames), seen)
    return _rows("pose of three frames", ours, "solvePnP a tag", stock)


def _tracking(rig: dict[str, Camera]) -> list[Row]:
    """All of perception with a turning block: detection, messages, pose and filter."""
    detectors = {name: TagDetector(camera, BLOCK) for name, camera in rig.items()}
    stock, pose_filter = peers.stock_aruco(), PoseFilter(BLOCK, rig)
    detected, plain, fused = [], [], []
    for k, shot in enumerate(turning(TRACKED, RATE, 640, 480)):
        messages = []
        for name, image in shot.images.items():
            began = time.thread_time()
            messages.append(encode(detectors[name].detect(image, k / RATE)))
            found = time.thread_time()
            stock(image)
            detected.append(found - began)
            plain.append(time.thread_time() - found)
        began = time.thread_time()
        frames = [decode(message) for message in messages]
        pose_filter.update(*(frame for frame in frames if isinstance(frame, TagCorners)))
        fused.append(time.thread_time() - began)
    share = RATE * (len(rig) * np.mean(detected) + np.mean(fused))
    name = f"perception of 3 cameras at {RATE:g}/s, 640×480"
    return [
        *_rows("detection, region of interest", np.array(detected), ARUCO, np.array(plain)),
        row(name, 100 * float(share), "% of a core", "limit", 100 * CORE_SHARE, 1.0),
    ]


def _small_frames() -> Row:
    """What a camera process does with a frame of 320×240, of a turning block."""
    detectors = {name: TagDetector(camera, BLOCK) for name, camera in true_rig(*SMALL).items()}
    taken = []
    for k, shot in enumerate(turning(TRACKED, RATE, *SMALL)):
        for name, image in shot.images.items():
            began = time.thread_time()
            encode(detectors[name].detect(image, k / RATE))
            taken.append(time.thread_time() - began)
    value = 1e3 * float(np.mean(taken))
    return row("frame of 320×240, mean", value, "ms", "limit", SMALL_LIMIT, 1.0)


def _filter(rig: dict[str, Camera], shots: list[Shot]) -> Row:
    """Time of a tick between frames: update with joint readings, and prediction."""
    hand = load_hand("dactyl24")
    pose_filter = PoseFilter(BLOCK, rig, hand=hand)
    still = frozen_array(np.zeros(hand.n_actuators))

    def tick(t: float) -> None:
        turned = frozen_array(hand.rest + 0.2 * np.sin(3 * t))
        pose_filter.note_joints(JointState(t, turned, still, still))
        pose_filter.predict(t)

    taken = []
    for k in range(STATIC_SHOTS):
        pose_filter.update(*(replace(frame, t=0.07 * k) for frame in _see(rig, shots[0])))
        taken += _times(tick, [0.07 * k + 0.01 * i for i in range(7)]).tolist()
    value = 1e6 * float(np.median(taken))
    return row("pose filter without a measurement, p50", value, "µs", "limit a tick", 100.0, 1.0)


def _accuracy(compared: list[Case]) -> list[Row]:
    """Errors of our pipeline with three cameras, beside the peers' with one tag."""
    ours, *others = (case for case in compared if case.size == (640, 480))
    rows = []
    for peer in others:
        if peer.peer is not None:
            for i, (what, unit) in enumerate(
                [("position", "mm"), ("position", "mm"), ("angle", "°"), ("angle", "°")]
            ):
                name = f"error of {what}, {('median', '95 %')[i % 2]}, {len(ours.errors)} renders"
                one, other = ours.percentiles()[i], peer.percentiles()[i]
                rows.append(row(name, one, unit, peer.name, other, 1.0))
    return rows


def _see(rig: dict[str, Camera], shot: Shot) -> list[TagCorners]:
    return [TagDetector(rig[name], BLOCK).detect(shot.images[name], 0.0) for name in rig]


def _times(function: Callable[[Given], object], inputs: Iterable[Given]) -> Array:
    """Processor time for each input [s]."""
    taken = []
    for one in inputs:
        began = time.thread_time()
        function(one)
        taken.append(time.thread_time() - began)
    return np.array(taken)


def _rows(name: str, ours: Array, peer: str, theirs: Array) -> list[Row]:
    """Median and 99th percentile [ms] of two series of times [s]."""
    return [
        row(
            f"{name}, p{share}",
            1e3 * float(np.percentile(ours, share)),
            "ms",
            peer,
            1e3 * float(np.percentile(theirs, share)),
        )
        for share in (50, 99)
    ]


def _tag_poses(rig: dict[str, Camera], frames: list[TagCorners]) -> None:
    """The pose of each tag alone: the usual method."""
    for frame in frames:
        camera = rig[frame.camera]
        for id, pixels in zip(frame.ids, frame.corners, strict=True):
            points = BLOCK.tag(id).corners
            cv2.solvePnP(points, pixels, camera.matrix, camera.distortion, flags=cv2.SOLVEPNP_IPPE)
