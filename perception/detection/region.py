"""Region of interest: where the object is expected in the next frame."""

import cv2
import numpy as np

from inhand.perception.cameras import Camera
from inhand.perception.detection.tag_finder import Region
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.tag_pose import tag_poses
from inhand.perception.rotations import Array

MARGIN = 0.02
"""Margin for the deviation of the motion from that between the last two frames [m]."""


FORESHORTENED = 0.5
"""Least perimeter of a slanted tag, relative to its perimeter seen from the front."""


class RegionOfInterest:
    """Tracks the object through the frames of one camera.

    Args:
        camera: what takes the frames.
        description: the object.

    Attributes:
        region: where to search the next frame.
        perimeter: least perimeter of a tag there [px]; 0 if it is unknown.
    """

    def __init__(self, camera: Camera, description: ObjectDescription) -> None:
        self._camera = camera
        self._tags = {tag.id: tag for tag in description.tags}
        self._reach = float(np.linalg.norm(description.vertices, axis=1).max()) + MARGIN
        self._smallest = min(tag.size for tag in description.tags)
        self._center: Array | None = None
        self.perimeter = 0.0
        self.region = self.whole

    @property
    def whole(self) -> Region:
        """All of the frame."""
        return 0, 0, self._camera.width, self._camera.height

    def follow(self, ids: list[int], corners: Array) -> None:
        """Predicts the region of the next frame from the tags of this one.

        Args:
            ids: of tags on the object.
            corners: [px], (k, 4, 2).
        """
        before, self._center = self._center, None
        self.region, self.perimeter = self.whole, 0.0
        if not ids:
            return
        largest = max(range(len(ids)), key=lambda i: cv2.contourArea(corners[i].astype(np.float32)))
        poses = tag_poses(self._camera, self._tags[ids[largest]], corners[largest])
        if not poses:
            return
        position, _ = poses[0]
        distance = float(np.linalg.norm(position - self._camera.position))
        self._center = self._camera.project(position[None])[0]
        reach = self._camera.focal_length * self._reach / distance
        ahead = self._center if before is None else 2 * self._center - before
        frame = (self._camera.width, self._camera.height)
        left, top = np.clip(ahead - reach, 0, frame).astype(int)
        right, bottom = np.ceil(np.clip(ahead + reach, 0, frame)).astype(int)
        if right > left and bottom > top:
            self.region = int(left), int(top), int(right), int(bottom)
            edge = self._camera.focal_length * self._smallest / (distance + self._reach)
            self.perimeter = FORESHORTENED * 4 * edge
