"""`inhand policy compact`: a small copy of a checkpoint, to be kept with the code."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from inhand.training.learning.checkpoint import CheckpointError, write_compact


@dataclass
class Arguments:
    """Write a small copy of a run's checkpoint, from which training can go on.

    It has weights of half precision and no state of the optimizer.

    Example: inhand policy compact runs/block-teacher/checkpoint.pt --output block-teacher.pt

    Attributes:
        checkpoint: the file of a run, `runs/NAME/checkpoint.pt`.
        output: the copy; a file that exists is not replaced.
    """

    checkpoint: tyro.conf.Positional[Path]
    output: Path


def main() -> int:
    """`inhand policy compact`."""
    given = tyro.cli(Arguments, prog="inhand policy compact")
    if given.output.exists():
        raise CheckpointError(f"{given.output} exists; name another file with --output")
    write_compact(given.checkpoint, given.output)
    before, after = (path.stat().st_size / 1e6 for path in (given.checkpoint, given.output))
    print(f"{given.output}: {after:.1f} MB of {before:.1f} MB")
    return 0
