"""Pictures of hand and object in MuJoCo's offscreen renderer, with random looks."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.assets import write_object_assets
from inhand.training.mujoco_worlds.model import OBJECT, build_spec
from inhand.training.vision.software_renderer import SoftwareRenderer

TEXTURES = 12
"""Number of random textures of hand and background."""

OCCLUDERS = 2
HIDDEN = 4
"""Group of geoms that are not drawn."""

MOVABLE: dict[str, Any] = {"pos": [0.0, 0.1, -9.0], "quat": [0.9, 0.3, 0.2, 0.2]}
"""Where geoms are that are moved later. One in its body's own frame stays there: the compiler takes
its pose as the body's."""

LENS_FROM_CAMERA = np.array([0.0, 1.0, 0.0, 0.0])
"""MuJoCo's cameras look along -z with y up."""


class VisionError(InhandError):
    """Pictures, training or a network for an object without tags are impossible."""


class PictureStudio:
    """Draws the hand with an object without tags; each picture can look different.

    Args:
        hand: the hand.
        target: the object; it needs an appearance.

    Raises:
        VisionError: the object file has no appearance.
    """

    def __init__(self, hand: Hand, target: ObjectDescription) -> None:
        if not target.appearance:
            raise VisionError(
                f"object {target.name!r} has no [appearance]: a network needs faces that look "
                "different; give each face a colour or a letter in the object file"
            )
        self._hand, self._target = hand, target

    def __enter__(self) -> "PictureStudio":
        with tempfile.TemporaryDirectory(prefix="inhand-vision-") as directory:
            self._model = _render_model(self._hand, self._target, Path(directory))
        model = self._model
        self._data = mujoco.MjData(model)
        self._renderer = SoftwareRenderer(320, 240)
        self._renderer.open(model)
        self._object = [i for i in range(model.ngeom) if model.geom(i).name == "marked"][0]
        self._backdrop = [model.geom(name).id for name in ("floor", "wall")]
        self._occluders = [model.geom(f"occluder{i}").id for i in range(OCCLUDERS)]
        self._decoys = [i for i in range(model.ngeom) if model.geom(i).name.startswith("decoy")]
        self._palette = [model.material(f"texture{i}").id for i in range(TEXTURES)]
        fixed = {self._object, *self._occluders, *self._decoys}
        self._hand_geoms = [
            i for i in range(model.ngeom) if i not in fixed and model.geom_group[i] != HIDDEN
        ]
        self._hand_geoms = [i for i in self._hand_geoms if i not in self._backdrop]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._renderer.close()

    def place(self, joints: Array, position: Array, quaternion: Array) -> None:
        """Poses hand [rad] and object (world frame [m]; world from object, wxyz)."""
        n = self._hand.n_joints
        self._data.qpos[:n] = joints
        self._data.qpos[n : n + 3] = position
        self._data.qpos[n + 3 : n + 7] = quaternion

    def dress(self, rng: np.random.Generator, position: Array) -> None:
        """Draws lights, materials, background and occluders at random."""
        model = self._model
        model.vis.headlight.ambient[:] = rng.uniform(0.1, 0.7)
        model.vis.headlight.diffuse[:] = rng.uniform(0.0, 0.4)
        model.vis.headlight.specular[:] = rng.uniform(0.0, 0.3)
        for light in range(model.nlight):
            model.light_pos[light] = position + rng.uniform([-0.8, -0.8, 0.4], [0.8, 0.8, 1.4])
            model.light_dir[light] = position - model.light_pos[light]
            model.light_diffuse[light] = rng.uniform(0.0, 0.7) * rng.uniform(0.8, 1.0, 3)
            model.light_specular[light] = rng.uniform(0.0, 0.5)
            model.light_castshadow[light] = rng.random() < 0.5
        model.mat_specular[:] = rng.uniform(0.0, 1.0, model.nmat)
        model.mat_shininess[:] = rng.uniform(0.0, 1.0, model.nmat)
        model.mat_rgba[model.geom_matid[self._object], :3] = rng.uniform(0.75, 1.0, 3)
        tone, same = rng.uniform(0.1, 0.95, 3), rng.random() < 0.7
        grey = rng.random() < 0.5
        for geom in self._hand_geoms:
            color = tone if same else rng.uniform(0.05, 0.95, 3)
            model.geom_rgba[geom] = [*(3 * [color.mean()] if grey else color), 1.0]
            textured = rng.random() < 0.25
            model.geom_matid[geom] = rng.choice(self._palette) if textured else -1
        for geom in self._backdrop:
            model.geom_matid[geom] = rng.choice(self._palette) if rng.random() < 0.6 else -1
            white = rng.random() < 0.3
            model.geom_rgba[geom] = [*(3 * [1.0] if white else rng.uniform(0, 1, 3)), 1.0]
        for geom in self._occluders:
            hidden = rng.random() < 0.75
            at = position + rng.normal(0.0, 0.05, 3) + [0.0, 0.0, 0.06]
            model.geom_pos[geom] = [0.0, 0.0, -9.0] if hidden else at
            model.geom_size[geom] = rng.uniform(0.005, 0.025, 3)
            model.geom_rgba[geom] = [*rng.uniform(0, 1, 3), 1.0]
            model.geom_quat[geom] = rotations.random_quaternion(rng)

    def swap(self, rng: np.random.Generator, position: Array, quaternion: Array) -> None:
        """Puts another object in the object's place, or takes it away again.

        Args:
            rng: chooses which, its size and its look.
            position: world frame [m], (3,); far below the floor to have none.
            quaternion: world from object, wxyz, (4,).
        """
        model = self._model
        model.geom_pos[self._decoys] = [0.0, 0.0, -9.0]
        decoy = rng.choice(self._decoys)
        # The geom of a mesh is in the principal axes of the mesh, which a cube has none of.
        model.geom_pos[decoy], model.geom_quat[decoy] = position, quaternion
        if model.geom_type[decoy] != mujoco.mjtGeom.mjGEOM_MESH:
            reach = np.abs(self._target.vertices).max()
            model.geom_size[decoy] = reach * rng.uniform(0.6, 1.2, 3)
            model.geom_rgba[decoy] = [*rng.uniform(0, 1, 3), 1.0]
            model.geom_matid[decoy] = rng.choice(self._palette) if rng.random() < 0.6 else -1

    def render(self, camera: Camera) -> Image:
        """What a camera without lens distortion sees, RGB, (height, width, 3)."""
        model = self._model
        model.cam_pos[0] = camera.position
        model.cam_quat[0] = rotations.multiply(camera.quaternion, LENS_FROM_CAMERA)
        half = camera.height / 2 / camera.matrix[1, 1]
        model.cam_fovy[0] = 2 * np.degrees(np.arctan(half))
        mujoco.mj_kinematics(model, self._data)
        mujoco.mj_comPos(model, self._data)
        mujoco.mj_camlight(model, self._data)
        return self._renderer.render(self._data)

    def photographed(
        self,
        joints: Array,
        position: Array,
        quaternion: Array,
        *,
        cameras: Mapping[str, Camera],
        rng: np.random.Generator,
    ) -> dict[str, Image]:
        """Pictures of all cameras in a random look; calibration errors are not part of it."""
        self.place(joints, position, quaternion)
        self.dress(rng, position)
        return {name: worn(self.render(camera), rng) for name, camera in cameras.items()}


def shaken(camera: Camera, rng: np.random.Generator) -> Camera:
    """A camera as it may be mounted: ± 1.5 mm, ± 1.5°, focal length ± 1 %."""
    matrix = camera.matrix.copy()
    matrix[[0, 1], [0, 1]] *= 1.0 + rng.uniform(-0.01, 0.01)
    tilt = rotations.exp(np.radians(rng.uniform(-1.5, 1.5, 3)))
    return replace(
        camera,
        matrix=matrix,
        position=camera.position + rng.uniform(-0.0015, 0.0015, 3),
        quaternion=rotations.multiply(camera.quaternion, tilt),
    )


def worn(crop: Image, rng: np.random.Generator) -> Image:
    """A picture as a camera gives it: blur, exposure, colour, noise, JPEG."""
    image: NDArray[Any] = crop.astype(np.float32)
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 1.3))
    if rng.random() < 0.2:
        kernel = np.zeros((5, 5), np.float32)
        end = tuple(int(v) for v in rng.integers(0, 5, 2))
        cv2.line(kernel, (2, 2), end, 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    gain = rng.uniform(0.6, 1.4) * rng.uniform(0.88, 1.12, 3).astype(np.float32)
    image = 255 * np.clip(image * gain / 255, 0, 1) ** rng.uniform(0.7, 1.4)
    image = image + rng.uniform(-20, 20)
    grey = image.mean(axis=-1, keepdims=True)
    image = grey + (image - grey) * rng.uniform(0.6, 1.3)
    image = image + rng.normal(0.0, rng.uniform(0.0, 10.0), image.shape)
    result = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        packed = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
        result = np.asarray(cv2.imdecode(packed[1], cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.asarray(result, dtype=np.uint8)


def _render_model(hand: Hand, target: ObjectDescription, directory: Path) -> Any:
    spec = build_spec(hand, target)
    # By default the compiler of a URDF removes geoms that touch nothing.
    spec.compiler.discardvisual = False
    assets = write_object_assets(target, directory, tagged=False)
    texture = cv2.imread(str(assets.texture))
    assert texture is not None
    _add_texture(spec, "marked", np.asarray(texture[..., ::-1], dtype=np.uint8))
    spec.add_mesh(name="marked", file=str(assets.mesh))
    body = spec.body(OBJECT)
    for geom in body.geoms:
        geom.group = HIDDEN
    rng = np.random.default_rng(0)
    for number in range(TEXTURES):
        _add_texture(spec, f"texture{number}", _texture(rng))
    body.add_geom(
        name="marked",
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="marked",
        material="marked",
        mass=0,
        contype=0,
        conaffinity=0,
    )
    world, plane = spec.worldbody, mujoco.mjtGeom.mjGEOM_BOX
    _add_decoys(spec, target, directory)
    world.add_geom(name="floor", type=plane, pos=[0, 0.3, -0.25], size=[3, 3, 0.01])
    world.add_geom(name="wall", type=plane, pos=[0, 1.6, 0.0], size=[3, 0.01, 3])
    for number in range(OCCLUDERS):
        kind = mujoco.mjtGeom.mjGEOM_ELLIPSOID
        world.add_geom(name=f"occluder{number}", type=kind, size=[0.01] * 3, **MOVABLE)
    # A software renderer needs most of its time for large shadow maps.
    spec.visual.quality.shadowsize = 512
    spec.visual.quality.offsamples = 2
    world.add_camera(name="camera")
    world.add_light(name="one", pos=[0, 0, 1])
    world.add_light(name="two", pos=[0, 0, 1])
    return spec.compile()


def _add_decoys(spec: Any, target: ObjectDescription, directory: Path) -> None:
    """Other objects, which the network must not take for the object: also the one with tags."""
    kinds = mujoco.mjtGeom
    shapes = {
        "box": kinds.mjGEOM_BOX,
        "cylinder": kinds.mjGEOM_CYLINDER,
        "ellipsoid": kinds.mjGEOM_ELLIPSOID,
    }
    for name, kind in shapes.items():
        spec.worldbody.add_geom(name=f"decoy {name}", type=kind, size=[0.02] * 3, **MOVABLE)
    if target.tags:
        tagged = write_object_assets(target, directory / "tagged")
        picture = cv2.imread(str(tagged.texture))
        assert picture is not None
        _add_texture(spec, "tagged", np.asarray(picture[..., ::-1], dtype=np.uint8))
        spec.add_mesh(name="tagged", file=str(tagged.mesh))
        spec.worldbody.add_geom(
            name="decoy tagged",
            type=kinds.mjGEOM_MESH,
            meshname="tagged",
            material="tagged",
            **MOVABLE,
        )


def _add_texture(spec: Any, name: str, image: Image) -> None:
    height, width = image.shape[:2]
    texture = spec.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height, nchannel=3
    )
    texture.data = np.ascontiguousarray(image).tobytes()
    material = spec.add_material(name=name)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _texture(rng: np.random.Generator) -> Image:
    """Random smooth colours with random shapes on them, (64, 64, 3)."""
    low = rng.integers(0, 255, (int(rng.integers(2, 9)),) * 2 + (3,)).astype(np.uint8)
    image = cv2.resize(low, (64, 64), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(0, 12))):
        ends = rng.integers(0, 64, (2, 2))
        color = tuple(int(v) for v in rng.integers(0, 255, 3))
        cv2.rectangle(image, ends[0].tolist(), ends[1].tolist(), color, int(rng.choice([-1, 2])))
    return np.asarray(image, dtype=np.uint8)


def all_cameras(rig: Mapping[str, Camera], rng: np.random.Generator) -> list[Camera]:
    """Every camera of a rig, shaken."""
    return [shaken(camera, rng) for camera in rig.values()]
