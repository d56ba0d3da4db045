"""Exports a trained network as an ONNX file whose metadata describe it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch

from inhand.files import write_whole
from inhand.perception.cameras import Camera
from inhand.perception.keypoints.network import (
    ENTRY,
    FORMAT,
    CameraTemperature,
    NetworkFacts,
)
from inhand.perception.keypoints.window import PIXELS
from inhand.perception.objects import ObjectDescription
from inhand.training.vision.network import KeypointNetwork
from inhand.training.vision.studio import VisionError

EQUAL = 2e-3
"""Largest difference between both networks' outputs; points are in units of half the window."""


def export(
    network: KeypointNetwork,
    target: ObjectDescription,
    path: Path,
    picture_size: tuple[int, int],
) -> None:
    """Writes the network, and checks that ONNX Runtime computes the same.

    Args:
        network: trained; its weights are rounded to 16 bits, which halves the file.
        target: the object that it finds.
        path: of the file.
        picture_size: width and height of the pictures that it was trained on [px].

    Raises:
        VisionError: ONNX Runtime computes something else; nothing is written.
        WriteError: the file cannot be written; what was there before still is.
    """
    network.eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())
    with tempfile.TemporaryDirectory(prefix="inhand-export-") as directory:
        exported = Path(directory) / "exported.onnx"
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, PIXELS, PIXELS),),
            exported,
            input_names=["images"],
            output_names=["points", "log_deviation", "presence"],
            dynamic_axes={"images": {0: "n"}},
            dynamo=False,
        )
        model = _compact(onnx.load(exported))
    _describe(model, NetworkFacts(FORMAT, target.name, target.look, 1.0, picture_size))
    content = model.SerializeToString()
    apart = difference(network, content)
    if not apart < EQUAL:
        raise VisionError(f"the exported network differs by {apart:.2g}, more than {EQUAL}")
    write_whole(path, content)


def set_temperatures(path: Path, factors: Sequence[tuple[Camera, float]]) -> None:
    """Writes the factors on the deviations of a network into its file.

    A camera that is not among them has the largest factor: it is not declared surer than any.

    Args:
        path: of the file.
        factors: cameras, each with its factor.

    Raises:
        WriteError: the file cannot be written; what was there before still is.
    """
    model = onnx.load(path)
    stored = {entry.key: entry.value for entry in model.metadata_props}[ENTRY]
    facts = msgspec.json.decode(stored, type=NetworkFacts)
    cameras = {
        camera.name: CameraTemperature(
            factor, tuple(camera.position.tolist()), tuple(camera.quaternion.tolist())
        )
        for camera, factor in factors
    }
    largest = max(factor for _, factor in factors)
    _describe(model, msgspec.structs.replace(facts, temperature=largest, cameras=cameras))
    write_whole(path, model.SerializeToString())


def _describe(model: onnx.ModelProto, facts: NetworkFacts) -> None:
    """Puts the facts in place of those that the model has."""
    kept = [entry for entry in model.metadata_props if entry.key != ENTRY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = ENTRY, msgspec.json.encode(facts).decode()


def _compact(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its weights as 16-bit numbers, which it casts to 32 bits to compute."""
    graph = model.graph
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        half = values.astype(np.float16)
        if values.dtype != np.float32 or values.size < 64 or (half != values).any():
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
        graph.node.insert(
            0, onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
        )
    return model


def difference(network: KeypointNetwork, content: bytes) -> float:
    """Largest difference between the outputs of a network and of its ONNX file.

    Args:
        network: the one in torch.
        content: of the file.
    """
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (4, 3, PIXELS, PIXELS)).astype(np.float32)
    with torch.no_grad():
        ours = [part.numpy() for part in network(torch.from_numpy(images))]
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {"images": images})
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
