"""Compares the block's policy in a nominal world and in one that is off, on the same seeds.

python examples/compare_policies.py 10
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from inhand import EvaluationArguments, evaluate

trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10
with TemporaryDirectory() as folder:
    universe = Path(folder) / "heavy.toml"
    universe.write_text("object_mass = 2.0\n")
    for name, file in (("nominal", None), ("twice the mass", universe)):
        report = evaluate(
            EvaluationArguments(
                engine="mujoco", trials=trials, seed=1, universe=file, cap=5, timeout=10.0
            )
        )
        print(f"{name}: median {report.median:g}, mean {report.mean:.1f} goals a trial")
