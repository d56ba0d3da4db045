"""Files that trials read, sent along to machines that do not have them."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from inhand.files import write_whole
from inhand.training.evaluation.lockstep import run_trial
from inhand.training.evaluation.trials import Setup, Trial


class Job(msgspec.Struct, frozen=True):
    """A trial with its files.

    Attributes:
        setup: what all trials share.
        trial: number of this one.
        files: content of the files that are named in the setup, by the name of its field.
    """

    setup: Setup
    trial: int
    files: Mapping[str, bytes]


def pack(setup: Setup) -> dict[str, bytes]:
    """Reads a setup's files: policy, and whichever others are files."""
    named = {"policy": setup.policy, "hand": Path(setup.hand), "object": Path(setup.object)}
    if setup.universe:
        named["universe"] = setup.universe
    if setup.errors:
        named["errors"] = setup.errors
    if setup.monitor:
        named["monitor"] = setup.monitor
    return {name: path.read_bytes() for name, path in named.items() if path.is_file()}


def unpack(setup: Setup, files: Mapping[str, bytes]) -> Setup:
    """The setup with paths on this machine."""
    paths: dict[str, Any] = {}
    for name, content in files.items():
        before = getattr(setup, name)
        path = written(content, Path(before).name)
        paths[name] = path if isinstance(before, Path) else str(path)
    return replace(setup, **paths)


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="inhand-trials-"))


def written(content: bytes, name: str) -> Path:
    """A file of this name and content, for as long as the machine keeps temporary files."""
    path = _folder() / hashlib.sha256(content).hexdigest() / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_whole(path, content)
    return path


def run_job(job: Job) -> Trial:
    """Runs a trial on this machine."""
    return run_trial(unpack(job.setup, job.files), job.trial)
