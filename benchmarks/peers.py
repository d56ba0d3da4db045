"""Tag detectors of peers: OpenCV's ArUco detector with its defaults, and AprilRobotics' library."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.renders import BLOCK
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.pose.refine_pose import Pose
from inhand.perception.pose.tag_pose import tag_poses
from inhand.perception.rotations import Array
from inhand.perception.tags import Image, family

if TYPE_CHECKING:
    from pupil_apriltags import Detector

Found = list[tuple[int, Array]]
"""Tags of the object: id, and corners clockwise from its top left [px], (4, 2)."""

Finder = Callable[[Image], Found]

IDS = frozenset(tag.id for tag in BLOCK.tags)


def stock_aruco() -> Finder:
    """OpenCV's detector with its default parameters."""
    detector = cv2.aruco.ArucoDetector(family())

    def find(image: Image) -> Found:
        corners, labels, _ = detector.detectMarkers(image)
        ids = [] if labels is None else [int(label) for label in labels.ravel()]
        return [
            (id, np.asarray(four, dtype=np.float64).reshape(4, 2))
            for id, four in zip(ids, corners, strict=True)
            if id in IDS
        ]

    return find


def april_robotics_detector(decimation: float) -> "Detector":
    """The Python binding of AprilRobotics' detector, on one thread.

    Args:
        decimation: factor by which images are made smaller to find squares.

    Raises:
        ImportError: pupil-apriltags is not installed.
    """
    from pupil_apriltags import Detector

    detector = Detector(families="tag36h11", nthreads=1, quad_decimate=decimation)
    # The binding's destructor (1.0.4) frees the tag families first, and the detector then writes
    # to them: the process aborts in malloc later. A family that is not listed is not freed.
    detector.tag_families = {}
    return detector


def april_robotics(decimation: float = 2.0, ids: Collection[int] = IDS) -> Finder | None:
    """AprilRobotics' detector on one thread, otherwise as it is; None if it is not installed.

    Args:
        decimation: factor by which images are made smaller to find squares; 2 is its default.
        ids: tags that count.
    """
    try:
        detector = april_robotics_detector(decimation)
    except ImportError:
        return None

    def find(image: Image) -> Found:
        # Its corners have the opposite order, and its pixel centres are at 0.5.
        return [
            (one.tag_id, one.corners[::-1] - 0.5)
            for one in detector.detect(image)
            if one.tag_id in ids
        ]

    return find


def pose_by_largest_tag(rig: dict[str, Camera], found: dict[str, Found]) -> Pose | None:
    """The usual method: the pose of one tag in one camera, here of the largest in any camera.

    Returns:
        Position [m] and rotation, world from object; None if no tag was seen.
    """
    seen = [(rig[name], id, corners) for name, tags in found.items() for id, corners in tags]
    if not seen:
        return None
    camera, id, corners = max(seen, key=lambda one: cv2.contourArea(one[2].astype(np.float32)))
    poses = tag_poses(camera, BLOCK.tag(id), corners)
    return poses[0] if poses else None


def error_of(pose: Pose, position: Array, quaternion: Array) -> tuple[float, float]:
    """Distance [m] and angle [rad] of a pose from the truth."""
    turn = rotations.angle_between(rotations.from_matrix(pose[1]), quaternion)
    return float(np.linalg.norm(pose[0] - position)), float(turn)
