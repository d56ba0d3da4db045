"""`inhand`: everything a person types, one verb each."""

import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tyro

from inhand.controller.cli.bus_verbs import Doctor, Reboot, Scan, SetBaud, SetId
from inhand.controller.cli.display import as_json
from inhand.controller.cli.goal_verbs import Goal, Goals, RandomGoals
from inhand.controller.cli.key_verbs import Keys
from inhand.controller.cli.verbs import (
    Arm,
    Cancel,
    Clear,
    Disable,
    Disarm,
    Enable,
    Estop,
    Events,
    Hold,
    Home,
    LoadPolicy,
    Record,
    Shutdown,
    Status,
)
from inhand.controller.config.config import load_config, show_config
from inhand.controller.errors import ConfigError
from inhand.errors import InhandError


@dataclass(frozen=True)
class ConfigVerb:
    """Check a configuration file, or show every key with its value.

    Example: inhand config check inhand.toml

    Attributes:
        action: `check` says whether it is right, `show` prints it with all defaults.
        file: The file; without it, `show` prints the defaults.
        json: Print the configuration, or that it is all right, as JSON.
    """

    action: tyro.conf.Positional[Literal["check", "show"]]
    file: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="FILE")] = None
    json: bool = False

    def run(self) -> int:
        """Reads the file."""
        if self.action == "check" and self.file is None:
            raise ConfigError("config check: name the file to check")
        config = load_config(self.file)
        show = self.action == "show"
        if self.json:
            told = msgspec.to_builtins(config) if show else {"file": str(self.file), "ok": True}
            print(as_json(told))
        else:
            print(show_config(config) if show else f"{self.file}: all right")
        return 0


_VERBS: dict[str, Any] = {
    "status": Status,
    "enable": Enable,
    "disable": Disable,
    "home": Home,
    "arm": Arm,
    "disarm": Disarm,
    "goal": Goal,
    "goals": Goals,
    "random-goals": RandomGoals,
    "cancel": Cancel,
    "hold": Hold,
    "estop": Estop,
    "clear": Clear,
    "load-policy": LoadPolicy,
    "events": Events,
    "record": Record,
    "shutdown": Shutdown,
    "config": ConfigVerb,
    "keys": Keys,
    "doctor": Doctor,
    "scan": Scan,
    "set-id": SetId,
    "set-baud": SetBaud,
    "reboot": Reboot,
}

_ELSEWHERE = {
    # verb: (module whose `main` takes the arguments after the verb, what it does)
    "demo": ("inhand.controller.cli.demo", "start a simulated hand and send it goals"),
    "view": (
        "inhand.controller.view.__main__",
        "show a running hand, or a recording, as a web page",
    ),
    "recording": (
        "inhand.controller.recording.export",
        "turn a recording into tables, or repair one",
    ),
    "plot": (
        "inhand.controller.recording.plot",
        "make a report of a recording: goals, errors, latency",
    ),
    "eval": ("inhand.training.evaluation.evaluation", "measure a policy in either engine"),
    "measure": (
        "inhand.training.evaluation.batch_measure",
        "measure a run, teacher or student, in many worlds at once",
    ),
    "compare": (
        "inhand.training.evaluation.comparison",
        "compare two evaluations of the same seeds",
    ),
    "transfer": ("inhand.training.evaluation.transfer", "fill the table of what transfers"),
    "probe": ("inhand.training.evaluation.probe", "test what a policy's memory knows of its world"),
    "train": ("inhand.training.learning.train", "train a policy"),
    "policy": ("inhand.training.learning.export", "export a policy"),
    "calibrate": (
        "inhand.controller.calibration.commands",
        "find lenses, places, latency of cameras; places of tags; joints, servos",
    ),
    "replay": ("inhand.controller.recording.replay", "run a recording again, equal to the bit"),
    "bench": ("benchmarks.__main__", "measure speed beside peers, in the source tree"),
}

_EXTRAS = {
    # package: extra that brings it
    "pybullet": "sim",
    "viser": "view",
    "trimesh": "view",
    "mujoco": "train",
    "torch": "train",
    "gymnasium": "train",
    "onnx": "train",
    "sklearn": "train",
    "scipy": "train",
    "matplotlib": "view",
}


def main() -> None:
    """Entry point of `inhand`."""
    arguments = sys.argv[1:]
    try:
        if arguments and arguments[0] in _ELSEWHERE:
            sys.exit(_elsewhere(arguments))
        verb = tyro.extras.subcommand_cli_from_dict(
            _VERBS,
            prog="inhand",
            description=_description(),
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        code = verb.run()
        sys.stdout.flush()
        sys.exit(code)
    except InhandError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # Whoever read the output has seen enough; the interpreter must not fail on it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        sys.exit(130)


def _elsewhere(arguments: list[str]) -> int:
    """Runs a verb that may need packages which a robot need not have."""
    verb, *rest = arguments
    sys.argv = [f"inhand {verb}", *rest]
    if verb == "bench":
        # Not installed: they measure against what only the source tree has.
        sys.path.append(os.getcwd())
    try:
        return int(importlib.import_module(_ELSEWHERE[verb][0]).main() or 0)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "benchmarks":
            raise ConfigError(
                f"{verb}: benchmarks are part of the source tree; run `make bench` there"
            ) from error
        if package not in _EXTRAS:
            raise
        # Curves of training come with training, reports of recordings with the view.
        draws = package == "matplotlib" and _ELSEWHERE[verb][0].startswith("inhand.training.")
        extra = "train" if draws else _EXTRAS[package]
        raise ConfigError(
            f"{verb}: {package} is not installed; install it with `pip install 'inhand[{extra}]'`"
        ) from error


def _description() -> str:
    others = "\n".join(f"  {verb}: {what}" for verb, (_, what) in _ELSEWHERE.items())
    return f"Commands a daemon that runs (inhandd). Further verbs:\n{others}"


if __name__ == "__main__":
    main()
