"""Conversion of a foreign network to the opset that the adapter is written in."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import version_converter

from inhand.controller.errors import PolicyError
from inhand.controller.policy.onnx_session import one_line, open_session

OPSET = 17
"""Opset that the adapter is written in; networks with an older one are converted."""

_SAME = 1e-5
"""Largest difference of an output after a conversion."""

Values = dict[str, NDArray[np.floating]]
"""Inputs or outputs, by name."""


def modern(
    path: Path,
    model: onnx.ModelProto,
    session: ort.InferenceSession,
    feed: Values,
    notes: list[str],
) -> onnx.ModelProto:
    """The model in the adapter's opset, or as it is if it has that or a newer one.

    Args:
        path: of the foreign file, for messages.
        model: the network.
        session: the network in ONNX Runtime.
        feed: inputs for which both have to give the same.
        notes: gets a line if the model is converted.

    Raises:
        PolicyError: it cannot be converted, or computes something else then.
    """
    version = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)
    if version >= OPSET:
        return model
    try:
        converted: onnx.ModelProto = version_converter.convert_version(model, OPSET)
    except Exception as error:  # The converter's exceptions share no narrower base.
        raise PolicyError(
            f"policy {path}: opset {version} cannot be converted to {OPSET} "
            f"({one_line(error, 100)}); export it with opset {OPSET} or newer"
        ) from error
    before = run(path, session, feed)
    after = run(path, open_session(path, converted.SerializeToString()), feed)
    for name, value in before.items():
        if not np.allclose(value, after[name], atol=_SAME, equal_nan=True):
            raise PolicyError(
                f"policy {path}: it computes something else after the conversion from opset "
                f"{version} to {OPSET}; export it with opset {OPSET} or newer"
            )
    notes.append(f"converted from opset {version} to {OPSET}")
    return converted


def run(path: Path, session: ort.InferenceSession, feed: Values) -> Values:
    """All outputs of a network; raises PolicyError, which names `path`, if it does not run."""
    try:
        values = session.run(None, feed)
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        raise PolicyError(
            f"policy {path}: it does not run with a batch of 1: {one_line(error)}"
        ) from error
    return {node.name: value for node, value in zip(session.get_outputs(), values, strict=True)}
