"""Finds an object by its tags and by a network in the same frames, as a check of one another."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inhand.perception.detection.detection import TagDetector
from inhand.perception.keypoints.detector import VertexDetector
from inhand.perception.records import TagCorners

BLIND = 150
"""Frames in a row with tags in which the network finds nothing, after which it is told: ten seconds
at 15 frames a second."""


class BothEyes:
    """Tags and network in the frames of one camera; where tags are seen, they lead.

    Args:
        tags: finds the tags.
        network: finds the vertices.

    Attributes:
        problem: what is wrong with the newest frame; empty if nothing is.
    """

    eyes = "both"

    def __init__(self, tags: TagDetector, network: VertexDetector) -> None:
        self.problem = ""
        self._tags, self._network = tags, network
        self._blind = 0

    def detect(self, image: NDArray[np.uint8], t: float) -> TagCorners:
        """Finds the tags and the vertices.

        Args:
            image: RGB, (height, width, 3).
            t: when the frame was captured [s].

        Returns:
            Both in one record.

        Raises:
            CameraError: the image is grey, or not of the size that the camera was calibrated for.
        """
        found, seen = self._tags.detect(image, t), self._network.detect(image, t)
        if seen.vertices is not None or not found.ids:
            self._blind = 0
        else:
            self._blind += 1
        self.problem = self._tags.problem or self._network.problem
        if not self.problem and self._blind >= BLIND:
            self.problem = (
                "the network does not find the object where its tags are seen; do the faces look "
                "as [appearance] says, and was the network trained with these tags on them?"
            )
        return replace(found, vertices=seen.vertices)
