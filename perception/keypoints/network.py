"""A trained network in ONNX Runtime: windows in, vertices with deviations out."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.errors import PerceptionError
from inhand.perception.keypoints.window import PIXELS
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

SHIPPED = Path(__file__).resolve().parents[1] / "networks"
"""Networks that came with the program; `SHA256SUMS` there lists them."""

FORMAT = 2
"""Version of the network's inputs and outputs."""


ENTRY = "inhand-keypoints"
"""Name of the metadata in the file."""

PLACE, TURN = 0.05, 0.2
"""A camera is the one of the training up to this distance [m] and angle [rad]."""


class NetworkError(PerceptionError):
    """A network's file cannot be used."""


class CameraTemperature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Factor on the deviations in one camera's pictures.

    Attributes:
        factor: by fresh pictures of this camera.
        position: of the camera, world frame [m], (3,).
        quaternion: world from camera, wxyz, (4,).
    """

    factor: float
    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]

    def fits(self, camera: Camera) -> bool:
        """Whether a camera is where this one was."""
        away = float(np.linalg.norm(camera.position - self.position))
        turn = float(rotations.angle_between(camera.quaternion, np.array(self.quaternion)))
        return away < PLACE and turn < TURN


class NetworkFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a network's file says of it.

    Attributes:
        format: see `FORMAT`.
        object: name of the object.
        appearance: see `ObjectDescription.look`.
        temperature: factor on the deviations, for cameras that took no part in the training.
        picture_size: width and height of the cameras' pictures [px].
        cameras: factors of those that did, by their names in the rig.
    """

    format: int
    object: str
    appearance: str
    temperature: float
    picture_size: tuple[int, int]
    cameras: dict[str, CameraTemperature] = {}


@dataclass(frozen=True)
class Vertices:
    """What the network saw in one window.

    Attributes:
        points: units of half the window, (vertices, 2).
        deviations: standard deviation of a coordinate, same unit, (vertices,).
        presence: probability that the object is in the window.
    """

    points: Array
    deviations: Array
    presence: float


def shipped_network(description: ObjectDescription, directory: Path = SHIPPED) -> Path:
    """The network that came with the program for an object.

    Raises:
        NetworkError: there is none, or it has been changed since.
    """
    path, sums = directory / f"{description.name}.onnx", directory / "SHA256SUMS"
    if not path.is_file():
        raise NetworkError(
            f"no network came with the program for object {description.name!r}; train one with "
            "inhand vision train, and name its file as network under [cameras]"
        )
    known = [line.split()[0] for line in sums.read_text().splitlines() if line.strip()]
    if hashlib.sha256(path.read_bytes()).hexdigest() not in known:
        raise NetworkError(
            f"network {path} is not the one that came with the program (SHA256SUMS); install the "
            "program again, or name the file as network under [cameras]"
        )
    return path


class VertexNetwork:
    """Runs the network of one object.

    Args:
        path: ONNX file.
        description: the object.

    Attributes:
        path: its file.
        picture_size: width and height of the cameras' pictures that it was trained for [px].

    Raises:
        NetworkError: the file is missing, damaged, or of another object.
    """

    def __init__(self, path: Path, description: ObjectDescription) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        if not path.is_file():
            raise NetworkError(
                f"network {path}: there is no such file; train one with inhand vision train"
            )
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
            stored = self._session.get_modelmeta().custom_metadata_map[ENTRY]
            facts = msgspec.json.decode(stored, type=NetworkFacts)
        except Exception as error:  # ONNX Runtime has an error for each kind of damage
            raise NetworkError(
                f"network {path}: not a network of inhand, or damaged; "
                "train it again with inhand vision train"
            ) from error
        if facts.format != FORMAT:
            raise NetworkError(f"network {path}: format {facts.format}, this program has {FORMAT}")
        if facts.object != description.name or facts.appearance != description.look:
            raise NetworkError(
                f"network {path} was trained for {facts.object!r} with another look, shape or "
                f"size than {description.name!r} has; train it again with inhand vision train"
            )
        self.path, self.picture_size = path, facts.picture_size
        self._facts = facts

    def check_size(self, camera: Camera) -> None:
        """Refuses a camera with pictures of another size than those that it was trained on.

        Raises:
            NetworkError: see above.
        """
        if self.picture_size != (camera.width, camera.height):
            width, height = self.picture_size
            raise NetworkError(
                f"network {self.path} was trained for pictures of {width}x{height}, and camera "
                f"{camera.name!r} of the rig has {camera.width}x{camera.height}; train one with "
                "inhand vision render --rig"
            )

    def temperature(self, camera: Camera) -> float:
        """Factor on the deviations in a camera's pictures, that of the file for a camera which is
        not where one of this name was in the training."""
        known = self._facts.cameras.get(camera.name)
        return known.factor if known and known.fits(camera) else self._facts.temperature

    def look(self, windows: list[Image], camera: Camera) -> list[Vertices]:
        """Finds the vertices in each window of a camera's picture, RGB, (PIXELS, PIXELS, 3)."""
        images = np.stack(windows).transpose(0, 3, 1, 2).astype(np.float32)
        assert images.shape[2:] == (PIXELS, PIXELS)
        temperature = self.temperature(camera)
        points, log_deviation, presence = self._session.run(None, {"images": images})
        return [
            Vertices(
                points=point.astype(np.float64),
                deviations=temperature * np.exp(deviation.astype(np.float64)),
                presence=float(1 / (1 + np.exp(-logit))),
            )
            for point, deviation, logit in zip(points, log_deviation, presence, strict=True)
        ]
