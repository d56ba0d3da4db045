"""Tag detection: from frames to tag corners."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.cameras import Camera, CameraError
from inhand.perception.detection.other_tags import others, recognise
from inhand.perception.detection.region import RegionOfInterest
from inhand.perception.detection.tag_finder import FoundTags, TagFinder
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.tags import Image

FULL_FRAME_PERIOD = 1.0
"""Period with which the whole frame is searched [s]."""

OTHERS_PERIOD = 2.0
"""Time without a tag after which, and period with which, other tags are searched for [s]."""


class TagDetector:
    """Finds the tags of one object in the frames of one camera.

    Args:
        camera: what took the frames; other image sizes are refused.
        description: the object; other tags than its own are ignored.

    Attributes:
        problem: what is wrong with the tags of the newest frame; empty if nothing is.

    Raises:
        CameraError: the object has no tags.
    """

    eyes = "tags"

    def __init__(self, camera: Camera, description: ObjectDescription) -> None:
        if not description.tags:
            raise CameraError(
                f"object {description.name!r} has no tags to be found by; give it tags, or "
                'eyes = "network" under [cameras]'
            )
        self.problem = ""
        self._camera = camera
        self._description = description
        self._ids = frozenset(tag.id for tag in description.tags)
        self._interest = RegionOfInterest(camera, description)
        self._seen = -np.inf
        self._looked = -np.inf
        self._finder = TagFinder(camera.lens)

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
        found = self._find(grey, t)
        labels = list(found.ids)
        kept = [i for i, tag in enumerate(labels) if tag in self._ids and labels.count(tag) == 1]
        self.problem = self._judge(grey, t, labels, len(kept))
        sound = [i for i in kept if np.isfinite(found.corners[i]).all()]
        lens = self._camera.lens
        if lens.wide:
            sound = [i for i in sound if lens.sees(found.corners[i]).all()]
        ids = [labels[i] for i in sound]
        self._interest.follow(ids, found.corners[sound])
        return TagCorners(
            t=t,
            camera=self._camera.name,
            ids=tuple(ids),
            corners=frozen_array(found.corners[sound]),
            noise=float(np.sqrt(np.mean(found.noise[sound] ** 2))) if sound else 1.0,
        )

    def _find(self, grey: Image, t: float) -> FoundTags:
        """Tags in the region of interest; in the whole frame if it has none, and periodically."""
        whole = self._interest.whole
        # Periodically the whole frame, or a second object would not be detected.
        due = not 0 <= t - self._looked < FULL_FRAME_PERIOD
        region = whole if due else self._interest.region
        found = self._finder.find(grey, region, 0.0 if due else self._interest.perimeter)
        if region != whole and not self._ids.intersection(found.ids):
            region = whole
            found = self._finder.find(grey, region)
        if region == whole:
            self._looked = t
        return found

    def _judge(self, grey: Image, t: float, labels: list[int], kept: int) -> str:
        """What is wrong with the tags found; empty if nothing is."""
        twice = sorted({tag for tag in labels if tag in self._ids and labels.count(tag) > 1})
        if twice:
            return f"tags {twice} are seen twice; take the second object out of view"
        if kept:
            self._seen = t
            return ""
        if labels:
            return others(self._description, set(labels))
        if 0 <= t - self._seen < OTHERS_PERIOD:
            return self.problem
        self._seen = t
        return recognise(grey, self._finder)

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
