"""Checkpoints: on a full disk the previous checkpoint stays intact."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import resource, sys
from pathlib import Path
import torch
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from inhand.training.mujoco_worlds.environment import BatchEnvironment

path = Path(sys.argv[1])
worlds = BatchEnvironment(load_hand("dactyl24"), load_object("block"), 1, 1)
write_checkpoint(path, worlds, {"kind": "teacher", "weights": torch.ones(1000)})
# What a full disk does to a file, without filling one: it cannot grow beyond 4 kB.
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_checkpoint(path, worlds, {"kind": "teacher", "weights": torch.zeros(100_000)})
except CheckpointError as error:
    print(error)
assert read_checkpoint(path, "teacher", worlds)["weights"].sum() == 1000
"""


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stdout and "is intact" in done.stdout
    assert done.stdout.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
