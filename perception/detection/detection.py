"""Tag detection: from frames to tag corners."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.cameras import Camera, CameraError
from inhand.perception.detection.refinement import refine_corners
from inhand.perception.detection.region import Region, RegionOfInterest
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image, family

FULL_FRAME_PERIOD = 1.0
"""Period with which the whole frame is searched [s]."""

MIRROR_PERIOD = 2.0
"""Time without a tag after which a mirrored frame is searched [s]."""


class TagDetector:
    """Finds the tags of one object in the frames of one camera.

    Args:
        camera: what took the frames; other image sizes are refused.
        description: the object; other tags than its own are ignored.

    Attributes:
        problem: what is wrong with the tags of the newest frame; empty if nothing is.
    """

    def __init__(self, camera: Camera, description: ObjectDescription) -> None:
        self.problem = ""
        self._camera = camera
        self._ids = frozenset(tag.id for tag in description.tags)
        self._interest = RegionOfInterest(camera, description)
        self._seen = -np.inf
        self._looked = -np.inf
        parameters = cv2.aruco.DetectorParameters()
        # Two threshold windows find 98 % of what OpenCV's three find, in two thirds of the time.
        parameters.adaptiveThreshWinSizeMin = 7
        parameters.adaptiveThreshWinSizeMax = 27
        parameters.adaptiveThreshWinSizeStep = 20
        self._parameters = parameters
        self._detector = cv2.aruco.ArucoDetector(family(), parameters)
        self._least_rate = parameters.minMarkerPerimeterRate

    def detect(self, image: NDArray[np.uint8], t: float) -> TagCorners:
        """Finds tags.

        Args:
            image: grey (height, width) or RGB (height, width, 3).
            t: when the frame was captured [s].

        Returns:
            The tags with sub-pixel corners. Two tags with one id are both left out: it is unknown
            which of them is on the object.

        Raises:
            CameraError: the image is not of the size that the camera was calibrated for.
        """
        grey = self._grey(image)
        found, labels = self._find(grey, t)
        kept = [i for i, tag in enumerate(labels) if tag in self._ids and labels.count(tag) == 1]
        self.problem = self._judge(grey, t, labels, len(kept))
        lens = self._camera.lens
        corners, noise = refine_corners(grey, found[kept], lens)
        sound = [i for i in range(len(kept)) if np.isfinite(corners[i]).all()]
        if lens.wide:
            sound = [i for i in sound if lens.sees(corners[i]).all()]
        ids = [labels[kept[i]] for i in sound]
        self._interest.follow(ids, corners[sound])
        return TagCorners(
            t=t,
            camera=self._camera.name,
            ids=tuple(ids),
            corners=frozen_array(corners[sound]),
            noise=float(np.sqrt(np.mean(noise[sound] ** 2))) if sound else 1.0,
        )

    def _find(self, grey: Image, t: float) -> tuple[Array, list[int]]:
        """Tags in the region of interest; in the whole frame if it has none, and periodically.

        Returns:
            Corners as detected [px], (k, 4, 2), and ids.
        """
        whole = self._interest.whole
        # Periodically the whole frame, or a second object would not be detected.
        due = not 0 <= t - self._looked < FULL_FRAME_PERIOD
        region = whole if due else self._interest.region
        found, labels = self._search(grey, region, 0.0 if due else self._interest.perimeter)
        if region != whole and not self._ids.intersection(labels):
            region = whole
            found, labels = self._search(grey, region)
        if region == whole:
            self._looked = t
        return found, labels

    def _search(
        self, grey: Image, region: Region, perimeter: float = 0.0
    ) -> tuple[Array, list[int]]:
        """Tags in a region, of at least some perimeter [px]: noise has many small squares."""
        left, top, right, bottom = region
        rate = max(self._least_rate, perimeter / max(right - left, bottom - top))
        self._parameters.minMarkerPerimeterRate = rate
        self._detector.setDetectorParameters(self._parameters)
        part = np.ascontiguousarray(grey[top:bottom, left:right])
        found, labels, _ = self._detector.detectMarkers(part)
        corners = np.array(found, dtype=np.float64).reshape(-1, 4, 2) + (left, top)
        return corners, [] if labels is None else [int(label) for label in labels.ravel()]

    def _judge(self, grey: Image, t: float, labels: list[int], kept: int) -> str:
        """What is wrong with the tags found; empty if nothing is."""
        twice = sorted({tag for tag in labels if tag in self._ids and labels.count(tag) > 1})
        if twice:
            return f"tags {twice} are seen twice; take the second object out of view"
        if kept:
            self._seen = t
            return ""
        if labels:
            return (
                f"only tags {sorted(set(labels))} are seen, the object has {sorted(self._ids)}; "
                "is it the object that the configuration names?"
            )
        if 0 <= t - self._seen < MIRROR_PERIOD:
            return self.problem
        # Any tag of the family shows that the image is mirrored, also one of another object.
        self._seen = t
        flipped = np.ascontiguousarray(grey[:, ::-1])
        _, mirrored = self._search(flipped, self._interest.whole)
        return "the picture is mirrored; turn mirroring off in the camera" if mirrored else ""

    def _grey(self, image: NDArray[np.uint8]) -> Image:
        camera = self._camera
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise CameraError(
                f"camera {camera.name!r}: a frame must be 8-bit grey or RGB, got "
                f"{image.dtype} of shape {image.shape}"
            )
        if image.shape[:2] != (camera.height, camera.width):
            raise CameraError(
                f"camera {camera.name!r}: the frame is {image.shape[1]}x{image.shape[0]} but the "
                f"rig file was calibrated for {camera.width}x{camera.height}; set the camera to "
                "that size or calibrate it again"
            )
        if image.ndim == 2:
            return np.ascontiguousarray(image)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
