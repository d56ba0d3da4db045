"""`inhand`: everything a person types, one verb each."""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from controller.config import load_config, show_config
from controller.errors import ConfigError
from controller.goal_verbs import Goal, Goals, RandomGoals
from controller.verbs import (
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
    Shutdown,
    Status,
)
from hardware.errors import InhandError
from perception.errors import PerceptionError


@dataclass(frozen=True)
class ConfigVerb:
    """Check a configuration file, or show every key with its value.

    Example: inhand config check inhand.toml

    Attributes:
        action: `check` says whether it is right, `show` prints it with all defaults.
        file: The file; without it, `show` prints the defaults.
    """

    action: tyro.conf.Positional[Literal["check", "show"]]
    file: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="FILE")] = None

    def run(self) -> int:
        """Reads the file."""
        if self.action == "check" and self.file is None:
            raise ConfigError("config check: name the file to check")
        config = load_config(self.file)
        print(show_config(config) if self.action == "show" else f"{self.file}: all right")
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
    "shutdown": Shutdown,
    "config": ConfigVerb,
}

_ELSEWHERE = {
    # verb: (module whose `main` takes the arguments after the verb, extra, what it does)
    "demo": ("controller.demo", "sim", "start a simulated hand and send it goals"),
    "eval": ("training.evaluation", "train", "measure a policy in either engine"),
    "train": ("training.train", "train", "train a policy"),
    "policy": ("training.export", "train", "export a policy"),
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
        sys.exit(verb.run())
    except (InhandError, PerceptionError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _elsewhere(arguments: list[str]) -> int:
    """Runs a verb whose module need not be installed on a robot."""
    verb, *rest = arguments
    name, extra, _ = _ELSEWHERE[verb]
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{verb}: {error.name} is not installed; install it with "
            f"`pip install 'inhand[{extra}]'`"
        ) from error
    sys.argv = [f"inhand {verb}", *rest]
    return int(module.main() or 0)


def _description() -> str:
    others = "\n".join(f"  {verb}: {what}" for verb, (_, _, what) in _ELSEWHERE.items())
    return f"Commands a daemon that runs (inhandd). Further verbs:\n{others}"


if __name__ == "__main__":
    main()
