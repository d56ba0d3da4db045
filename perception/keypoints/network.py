"""A trained network in ONNX Runtime: windows in, vertices with deviations out."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime

from inhand.perception.errors import PerceptionError
from inhand.perception.keypoints.window import PIXELS
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

FORMAT = 1
"""Version of the network's inputs and outputs."""


class NetworkError(PerceptionError):
    """A network's file cannot be used."""


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    object: str
    appearance: str
    temperature: float


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


class VertexNetwork:
    """Runs the network of one object.

    Args:
        path: ONNX file.
        description: the object.

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
            stored = self._session.get_modelmeta().custom_metadata_map["inhand-keypoints"]
            facts = msgspec.json.decode(stored, type=_Facts)
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
        self._temperature = facts.temperature

    def look(self, windows: list[Image]) -> list[Vertices]:
        """Finds the vertices in each window, RGB, (PIXELS, PIXELS, 3)."""
        images = np.stack(windows).transpose(0, 3, 1, 2).astype(np.float32)
        assert images.shape[2:] == (PIXELS, PIXELS)
        points, log_deviation, presence = self._session.run(None, {"images": images})
        return [
            Vertices(
                points=point.astype(np.float64),
                deviations=self._temperature * np.exp(deviation.astype(np.float64)),
                presence=float(1 / (1 + np.exp(-logit))),
            )
            for point, deviation, logit in zip(points, log_deviation, presence, strict=True)
        ]
