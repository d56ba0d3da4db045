"""Exports a trained network as an ONNX file whose metadata describe it."""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from inhand.files import write_whole
from inhand.perception.keypoints.network import FORMAT
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
    temperature: float = 1.0,
) -> None:
    """Writes the network, and checks that ONNX Runtime computes the same.

    Args:
        network: trained; its weights are rounded to 16 bits, which halves the file.
        target: the object that it finds.
        path: of the file.
        picture_size: width and height of the pictures that it was trained on [px].
        temperature: factor on its deviations, from pictures that it was not trained on.

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
    facts = {
        "format": FORMAT,
        "object": target.name,
        "appearance": target.look,
        "temperature": temperature,
        "picture_size": picture_size,
    }
    entry = model.metadata_props.add()
    entry.key, entry.value = "inhand-keypoints", json.dumps(facts)
    content = model.SerializeToString()
    apart = difference(network, content)
    if not apart < EQUAL:
        raise VisionError(f"the exported network differs by {apart:.2g}, more than {EQUAL}")
    write_whole(path, content)


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
