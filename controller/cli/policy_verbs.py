"""`inhand policy`: make, check and export policy files; small copies of checkpoints."""

import importlib
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

from inhand.controller.policy.check import Checked, check_policy
from inhand.result import print_json

_OTHERS = {
    # Programs of their own, as a robot need not have what they import.
    "wrap": ("inhand.training.foreign.wrap", "onnx"),
    "export": ("inhand.training.learning.export", "torch"),
    "compact": ("inhand.training.learning.compact", "torch"),
}

_HELP = """\
usage: inhand policy {wrap,check,export,compact} [--help]

  wrap FOREIGN --map MAP --out FILE [--overwrite] [--json]
           make a policy file of an ONNX file that was made elsewhere
  check FILE [--hand HAND] [--object OBJECT] [--json]
           say all that is wrong with a policy file, and run it
  export RECIPE --output FILE [--runs FOLDER]
           write the policy file of a student that was trained here
  compact CHECKPOINT --output FILE
           write a small copy of a run's checkpoint, from which training can go on

Example: inhand policy check policies/block.onnx
"""


@dataclass(frozen=True)
class Check:
    """Say all that is wrong with a policy file, and run it.

    It checks what the daemon checks before it loads a policy, replays the golden vector, and runs
    100 steps. The exit code is 1 if something is wrong.

    Example: inhand policy check mine.onnx

    Attributes:
        file: The policy file.
        hand: Name or file of the hand; without it, the one that the policy names.
        object: Name or file of the object; without it, the one that the policy names.
        json: Print the result as JSON.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    hand: str = ""
    object: str = ""
    json: bool = False


def main() -> int:
    """Entry point of `inhand policy`."""
    verb, *rest = sys.argv[1:] or ["--help"]
    if verb in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    if verb in _OTHERS:
        module, needed = _OTHERS[verb]
        if find_spec(needed) is None:
            raise ModuleNotFoundError(f"no module {needed}", name=needed)
        sys.argv = [f"inhand policy {verb}", *rest]
        return importlib.import_module(module).main() or 0
    if verb != "check":
        sys.exit(f"error: policy {verb}: no such verb; there are wrap, check, export and compact")
    given = tyro.cli(
        Check, prog="inhand policy check", args=rest, config=(tyro.conf.FlagCreatePairsOff,)
    )
    checked = check_policy(given.file, given.hand, given.object)
    if given.json:
        print_json(
            {"file": str(given.file), "ok": not checked.faults, "faults": checked.faults}
            | checked.facts
        )
    else:
        print(_report(checked))
    return 1 if checked.faults else 0


def _report(checked: Checked) -> str:
    lines = [f"{name.replace('_', ' '):13} {value}" for name, value in checked.facts.items()]
    lines += [f"fault         {fault}" for fault in checked.faults]
    count = len(checked.faults)
    end = "all right" if not count else f"{count} fault{'s' if count > 1 else ''}"
    return "\n".join([*lines, f"{checked.path}: {end}"])
