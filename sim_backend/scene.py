"""Rendering of the hand and the object with PyBullet's software renderer, without physics."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pybullet
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.urdf import hand_urdf
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.assets import capsule_mesh, write_object_assets

NEAR, FAR = 0.05, 2.0
HAND_COLOR = (0.42, 0.44, 0.47, 1.0)
LIGHT = (0.3, -0.4, 1.0)
# TinyRenderer's image is half a pixel to the right and half a pixel up of OpenGL's.
RASTER_OFFSET = np.array([0.5, -0.5])


class Scene:
    """A PyBullet client that only renders.

    Args:
        hand: the hand to draw.
        description: the object with its tags.
        directory: for meshes and texture; not needed after the constructor.
        sides: number of faces around a finger. Fewer are faster: with 8, an image takes a fifth
            less time than with PyBullet's own capsules.
        tagged: draw the object's tags; otherwise its appearance.
    """

    def __init__(
        self,
        hand: Hand,
        description: ObjectDescription,
        directory: Path,
        sides: int = 8,
        *,
        tagged: bool = True,
    ) -> None:
        self._hand = hand
        self._lenses: dict[tuple[int, int, bytes, bytes, str], NDArray[np.float32]] = {}
        self._client = pybullet.connect(pybullet.DIRECT)
        # Files of different scenes have the same names, and by default PyBullet caches them.
        pybullet.setPhysicsEngineParameter(enableFileCaching=0, physicsClientId=self._client)
        assets = write_object_assets(description, directory, tagged=tagged)
        shape = pybullet.createVisualShape(
            pybullet.GEOM_MESH, fileName=str(assets.mesh), physicsClientId=self._client
        )
        self._object = pybullet.createMultiBody(
            baseVisualShapeIndex=shape, physicsClientId=self._client
        )
        path = directory / f"{hand.name}.urdf"
        path.write_text(_visual_urdf(hand, directory, sides))
        self._body = pybullet.loadURDF(str(path), useFixedBase=True, physicsClientId=self._client)
        numbers = {}
        pybullet.changeVisualShape(
            self._body, -1, rgbaColor=HAND_COLOR, physicsClientId=self._client
        )
        for joint in range(pybullet.getNumJoints(self._body, physicsClientId=self._client)):
            info = pybullet.getJointInfo(self._body, joint, physicsClientId=self._client)
            numbers[info[1].decode()] = joint
            pybullet.changeVisualShape(
                self._body, joint, rgbaColor=HAND_COLOR, physicsClientId=self._client
            )
        self._joints = [numbers[name] for name in hand.joint_names]

    def place(self, joint_angles: Array, position: Array, quaternion: Array) -> None:
        """Poses the hand and the object.

        Args:
            joint_angles: [rad], (n_joints,).
            position: object, world frame [m], (3,).
            quaternion: world from object, wxyz, (4,).
        """
        if len(joint_angles) != self._hand.n_joints:
            raise ValueError(
                f"hand {self._hand.name!r} has {self._hand.n_joints} joints, the state has "
                f"{len(joint_angles)}; world and renderer must load the same hand"
            )
        pybullet.resetJointStatesMultiDof(
            self._body,
            self._joints,
            [[float(angle)] for angle in joint_angles],
            physicsClientId=self._client,
        )
        w, x, y, z = (float(value) for value in quaternion)
        pybullet.resetBasePositionAndOrientation(
            self._object,
            [float(value) for value in position],
            [x, y, z, w],
            physicsClientId=self._client,
        )

    def render(self, camera: Camera, shadow: bool = False) -> Image:
        """The camera's image with lens distortion, RGB, (height, width, 3)."""
        _, _, rgba, _, _ = pybullet.getCameraImage(
            camera.width,
            camera.height,
            viewMatrix=_view(camera),
            projectionMatrix=_projection(camera),
            lightDirection=LIGHT,
            lightColor=(1.0, 1.0, 1.0),
            lightDistance=2.0,
            shadow=int(shadow),
            lightAmbientCoeff=0.6,
            lightDiffuseCoeff=0.4,
            lightSpecularCoeff=0.0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )
        image = np.asarray(rgba, dtype=np.uint8).reshape(camera.height, camera.width, 4)[..., :3]
        if camera.distortion.any() or camera.lens.wide:
            return self._distort(image, camera)
        return np.ascontiguousarray(image)

    def _distort(self, image: Image, camera: Camera) -> Image:
        """Applies the camera's lens distortion to a pinhole image; white outside of it."""
        lens = camera.matrix.tobytes(), camera.distortion.tobytes(), camera.model
        key = (camera.width, camera.height, *lens)
        if key not in self._lenses:
            self._lenses[key] = _lens(camera).astype(np.float32)
        grid = self._lenses[key]
        bent = cv2.remap(
            image, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderValue=(255, 255, 255)
        )
        return np.asarray(bent, dtype=np.uint8)

    def close(self) -> None:
        """Ends the client; the scene cannot be used afterwards."""
        pybullet.disconnect(physicsClientId=self._client)


def resized(description: ObjectDescription, factor: float) -> ObjectDescription:
    """The object scaled by a factor, with tags of the same size."""
    length, width, height = description.size
    return replace(
        description,
        size=(factor * length, factor * width, factor * height),
        tags=tuple(replace(tag, position=factor * tag.position) for tag in description.tags),
    )


def _visual_urdf(hand: Hand, directory: Path, sides: int) -> str:
    """The hand for rendering: without collision shapes, and with meshes in place of capsules."""
    robot = ElementTree.fromstring(hand_urdf(hand))
    for link in robot.iter("link"):
        for collision in link.findall("collision"):
            link.remove(collision)
    for geometry in robot.iter("geometry"):
        capsule = geometry.find("capsule")
        if capsule is None:
            continue
        radius, length = (
            float(capsule.get("radius", "")),
            float(capsule.get("length", "")),
        )
        path = directory / f"capsule-{radius:.6f}-{length:.6f}-{sides}.obj"
        path.write_text(capsule_mesh(radius, length / 2, sides))
        geometry.remove(capsule)
        ElementTree.SubElement(geometry, "mesh", filename=str(path))
    return ElementTree.tostring(robot, encoding="unicode")


def _view(camera: Camera) -> list[float]:
    """OpenGL view matrix, column by column: y up, looking along -z."""
    rotation = (rotations.to_matrix(camera.quaternion) @ np.diag([1.0, -1.0, -1.0])).T
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ camera.position
    return [float(value) for value in matrix.T.ravel()]


def _projection(camera: Camera) -> list[float]:
    """OpenGL projection matrix, column by column, from the camera's intrinsic matrix."""
    center = camera.matrix[:2, 2] - RASTER_OFFSET
    matrix = np.zeros((4, 4))
    matrix[0, 0] = 2 * camera.matrix[0, 0] / camera.width
    matrix[1, 1] = 2 * camera.matrix[1, 1] / camera.height
    matrix[0, 2] = 1 - (2 * center[0] + 1) / camera.width
    matrix[1, 2] = (2 * center[1] + 1) / camera.height - 1
    matrix[2, 2] = -(FAR + NEAR) / (FAR - NEAR)
    matrix[2, 3] = -2 * FAR * NEAR / (FAR - NEAR)
    matrix[3, 2] = -1.0
    return [float(value) for value in matrix.T.ravel()]


def _lens(camera: Camera) -> Array:
    """Pinhole image coordinates of each pixel of the distorted image [px], (height, width, 2)."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64)
    source = camera.normalize(pixels) @ np.diag(np.diag(camera.matrix)[:2]) + camera.matrix[:2, 2]
    return source.reshape(camera.height, camera.width, 2)
