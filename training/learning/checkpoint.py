"""Checkpoints on disk: written atomically, refused for another hand, object or model."""

import pickle
from pathlib import Path
from typing import Any

import torch

from inhand.errors import InhandError
from inhand.files import whole_file
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds


class CheckpointError(InhandError):
    """A checkpoint is missing, damaged, or made for something else."""


def write_checkpoint(path: Path, worlds: BatchOfWorlds, state: dict[str, Any]) -> None:
    """Writes a checkpoint atomically: a reader sees the old file or the new one.

    Args:
        path: the file.
        worlds: their digests are stored for `read_checkpoint`.
        state: of the learner.

    Raises:
        CheckpointError: the file cannot be written. The previous checkpoint is intact.
    """
    whole = {"digests": worlds.digests, **state}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            torch.save(whole, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise CheckpointError(
            f"checkpoint {path} could not be written ({error}); free some space and resume, "
            "the checkpoint before it is intact"
        ) from error


def write_compact(source: Path, target: Path) -> None:
    """Writes a small copy of a checkpoint, to be kept with the code.

    It has no state of the optimizer and no critic of a refinement, and weights of half precision.
    Scales keep theirs: the variance of an input that hardly varies is too small for half
    precision.

    Args:
        source: the checkpoint of a run.
        target: the copy.

    Raises:
        CheckpointError: the source is missing, damaged or no checkpoint.
    """
    state = _load(source, "cpu")
    if not isinstance(state.get("network"), dict):
        raise CheckpointError(f"checkpoint {source} is not one of a teacher or a student")
    left_out = ("optimizer", "critic")
    small = {name: value for name, value in state.items() if name not in left_out}
    small["network"] = {
        name: value.half() if value.ndim > 1 else value for name, value in state["network"].items()
    }
    with whole_file(target) as file:
        torch.save(small, file)


def read_checkpoint(
    path: Path,
    kind: str,
    worlds: BatchOfWorlds,
    device: str = "cpu",
    another_object: bool = False,
) -> dict[str, Any]:
    """Reads a checkpoint of a `teacher` or a `student`.

    Args:
        path: the file.
        kind: of the learner.
        worlds: the worlds in which training continues.
        device: of the returned tensors.
        another_object: whether a checkpoint of another object in the same hand is accepted.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or of another hand, object
            or model.
    """
    state = _load(path, device)
    if state.get("kind") != kind:
        raise CheckpointError(f"checkpoint {path} is not one of a {kind}")
    checked = {"hand file"} if another_object else set(worlds.digests)
    for what, mine in worlds.digests.items():
        if what not in checked:
            continue
        if what == "object" and "object file" in state["digests"]:
            # Of its file's text, tags and comments included; the physics is in the model's.
            continue
        if state["digests"][what] != mine:
            raise CheckpointError(
                f"checkpoint {path} was trained with another {what}; go back to that one or "
                "train from the beginning"
            )
    return state


def _load(path: Path, device: str) -> dict[str, Any]:
    """The content of a checkpoint; empty if the file has another content than a dictionary."""
    try:
        state = torch.load(path, weights_only=True, map_location=device)
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint {path}: no such file") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"checkpoint {path} is damaged or half written ({type(error).__name__}); "
            "resume from another one"
        ) from error
    return state if isinstance(state, dict) else {}
