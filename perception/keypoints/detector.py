"""Finds an object without tags in one camera's frames: a network searches near its last place."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inhand.perception import rotations
from inhand.perception.cameras import Camera, CameraError
from inhand.perception.keypoints.face_check import Agreement, FaceCheck
from inhand.perception.keypoints.network import VertexNetwork, Vertices
from inhand.perception.keypoints.window import Window, window_around, window_pixels
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import PoseEstimate, estimate_poses
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

PRESENT = 0.8
"""Least probability that the object is in the window."""
STEP = 0.03
"""Distance of the places that are searched [m]; the network finds an object that is half of this
beside the middle of its window."""
RINGS = 2
"""Number of steps from the middle of the workspace to the border of what is searched."""
AT_ONCE = 4
"""Places that are searched in one frame: all of them take as long as several frames."""
OTHER_FACES, SPAN = 2, 21
"""It is said that an object with other faces is seen if so many of the last `SPAN` frames show one:
a search of the whole workspace takes seven frames."""
KEPT, ENOUGH = 0.9, 9.0
"""Share of the letters' evidence that is kept from frame to frame, and how much of it is kept at
most: three views that contradict the ones before change no verdict, and a fourth does."""

REACH = 0.12
"""Largest distance of the object from the middle of the workspace [m]."""

NO_CORNERS = frozen_array(np.empty((0, 4, 2)))


@dataclass(frozen=True)
class _Found:
    """What one window shows, and where the object is according to it."""

    vertices: Array
    position: Array


class VertexDetector:
    """Finds the vertices of one object in the frames of one camera.

    It looks where the object was in the frame before; without that, at places around the middle of
    the workspace, a few of them in each frame.

    Args:
        camera: what took the frames; grey frames and other image sizes are refused.
        description: the object.
        network: that finds it.
        center: middle of the workspace, world frame [m], (3,).

    Attributes:
        problem: that an object of this shape with other faces is seen; empty otherwise: a frame
            without the object is no problem.

    Raises:
        NetworkError: the network was trained for cameras of another image size.
    """

    eyes = "network"

    def __init__(
        self, camera: Camera, description: ObjectDescription, network: VertexNetwork, center: Array
    ) -> None:
        network.check_size(camera)
        self.problem = ""
        self._camera, self._description, self._network = camera, description, network
        self._center = center
        self._check_faces = FaceCheck(description)
        self._others: deque[bool] = deque(maxlen=SPAN)
        self._refused = False
        # Logarithm of the likelihood ratio by the letters in the frames before, and in this one.
        self._evidence = self._newest = 0.0
        self._places = _places(camera, center)
        self._next = 0
        self._position: Array | None = None

    def detect(self, image: NDArray[np.uint8], t: float) -> TagCorners:
        """Finds the vertices.

        Args:
            image: RGB, (height, width, 3).
            t: when the frame was captured [s].

        Returns:
            The vertices, or a record without them if the object was not found for certain.

        Raises:
            CameraError: the image is grey, or not of the size that the camera was calibrated for.
        """
        self._check(image)
        self._refused, self._newest = False, 0.0
        self._evidence *= KEPT
        found = None if self._position is None else self._look(image, [self._position])
        if found is None:
            found = self._search(image)
        self._position = None if found is None else found.position
        self._evidence = min(max(self._evidence + self._newest, -ENOUGH), ENOUGH)
        self._others.append(self._refused)
        if found is not None:
            self._others.clear()
        self.problem = self._other_faces() if sum(self._others) >= OTHER_FACES else ""
        vertices = None if found is None else frozen_array(found.vertices)
        return TagCorners(t, self._camera.name, (), NO_CORNERS, 1.0, vertices)

    def _search(self, image: Image) -> _Found | None:
        """Looks at the next places, and again where the object seems to be."""
        count = len(self._places)
        places = [self._places[(self._next + i) % count] for i in range(AT_ONCE)]
        self._next = (self._next + AT_ONCE) % count
        rough = self._look(image, places, rough=True)
        # The window was beside the object: one around it shows it better.
        return None if rough is None else self._look(image, [rough.position])

    def _look(self, image: Image, places: list[Array], *, rough: bool = False) -> _Found | None:
        """What the most promising window shows; None if no window shows the object for certain.

        A `rough` look does not compare the faces, since vertices beside a window are not exact.
        """
        windows = [window_around(self._camera, self._description, place) for place in places]
        seen = self._network.look([window.cut(image) for window in windows], self._camera)
        best = max(range(len(seen)), key=lambda i: seen[i].presence)
        if seen[best].presence < PRESENT:
            return None
        vertices = in_picture(windows[best], seen[best])
        record = TagCorners(0.0, self._camera.name, (), NO_CORNERS, 1.0, vertices)
        poses = estimate_poses(self._description, {self._camera.name: self._camera}, [record])
        if not poses or np.linalg.norm(poses[0].position - self._center) > REACH:
            return None
        if not rough:
            looks = face_agreement(
                self._check_faces, self._camera, self._description, windows[best], image, poses[0]
            )
            self._newest = looks.evidence
            if not looks.good(self._evidence):
                self._refused = True
                return None
        return _Found(vertices, poses[0].position)

    def _other_faces(self) -> str:
        return (
            f"an object of the shape of {self._description.name} is seen, but its faces look "
            "different; paint them as [appearance] in the object file says, or correct the light "
            "or the camera's white balance"
        )

    def _check(self, image: NDArray[np.uint8]) -> None:
        camera = self._camera
        if image.dtype != np.uint8 or image.ndim != 3:
            raise CameraError(
                f"camera {camera.name!r}: the network needs colour, and the frames are grey; set "
                "the camera's format to MJPG or YUYV, or use the eyes tags"
            )
        if image.shape[:2] != (camera.height, camera.width):
            raise CameraError(
                f"camera {camera.name!r}: the frame is {image.shape[1]}x{image.shape[0]} but the "
                f"rig file was calibrated for {camera.width}x{camera.height}; set the camera to "
                "that size or calibrate it again"
            )


def face_agreement(
    check: FaceCheck,
    camera: Camera,
    description: ObjectDescription,
    window: Window,
    image: Image,
    pose: PoseEstimate,
) -> Agreement:
    """How much the faces in a window look as those of the object would in a pose.

    Args:
        check: of the object.
        camera: that took the picture.
        description: the object.
        window: part of the picture that is compared.
        image: the picture, RGB, (height, width, 3).
        pose: of the object, world frame.
    """
    vertices = pose.position + rotations.rotate(pose.quaternion, description.vertices)
    points = window.from_picture(camera.project(vertices))
    return check.agreement(window.cut(image), window_pixels(points))


def in_picture(window: Window, seen: Vertices) -> Array:
    """The vertices of a window with their deviations as a record has them [px], (n, 3)."""
    pixels = window.to_picture(seen.points)
    return np.column_stack([pixels, seen.deviations * window.side / 2])


def _places(camera: Camera, center: Array) -> list[Array]:
    """Places around the middle of the workspace, beside each other in the picture."""
    line = STEP * np.arange(-RINGS, RINGS + 1)
    across = np.array([[x, y, 0.0] for x in line for y in line])
    across = across[np.argsort(np.linalg.norm(across, axis=1), kind="stable")]
    return list(center + across @ camera.rotation.T)
