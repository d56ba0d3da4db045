"""ONNX files: read, and opened in ONNX Runtime."""

import re
from pathlib import Path

import onnxruntime as ort

from inhand.controller.errors import PolicyError
from inhand.controller.policy.onnx_file import has_external_data
from inhand.files import read_file

MAX_SIZE = 256 * 1024 * 1024
"""Larger files are refused [bytes]."""

_TOO_NEW = re.compile(
    r"(Opset|IR version:?) (\d+)\b.*(?:till opset|max supported IR version:) (\d+)"
)


def read_policy(path: Path) -> bytes:
    """The content of a policy file.

    Raises:
        PolicyError: it cannot be read, or is too large.
    """
    try:
        return read_file(path, MAX_SIZE)
    except OSError as error:
        raise PolicyError(
            f"policy {path}: {error.strerror}; is it a policy? Name an ONNX file"
        ) from error


def open_session(path: Path, model: bytes) -> ort.InferenceSession:
    """Opens a model in ONNX Runtime, on one thread.

    Raises:
        PolicyError: it is no ONNX file, is not complete in itself, or cannot be run.
    """
    try:
        external = has_external_data(model)
    except ValueError as error:
        raise PolicyError(f"policy {path}: not an ONNX file ({error})") from error
    if external:
        raise PolicyError(f"policy {path}: keeps data in other files; export it as one file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads would use processor time that the camera processes need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        raise PolicyError(f"policy {path.name}: {_load_problem(error)}") from error


def _load_problem(error: Exception) -> str:
    """Why ONNX Runtime cannot load a model, and what to do if the reason is its version."""
    if found := _TOO_NEW.search(one_line(error, 1000)):
        kind, has, most = found[1].rstrip(":").replace("Opset", "opset"), found[2], found[3]
        return (
            f"it has {kind} {has}, ONNX Runtime {ort.__version__} reads up to {most}; export it "
            "with an older one, or update onnxruntime"
        )
    return (
        f"ONNX Runtime cannot load it: {one_line(error)}; export it in float32, with standard "
        "operations of ONNX"
    )


def one_line(error: Exception, length: int = 200) -> str:
    """The message of an error, in one line of at most this length."""
    return " ".join(str(error).split())[:length]
