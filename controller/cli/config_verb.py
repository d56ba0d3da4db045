"""`inhand config`: checks a configuration, or shows all of its keys."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tyro

from inhand.controller.config.config import load_config, show_config
from inhand.controller.errors import ConfigError
from inhand.result import print_json


@dataclass(frozen=True)
class ConfigVerb:
    """Check a configuration file, or show every key with its value.

    Example: inhand config check inhand.toml

    Attributes:
        action: `check` says whether it is right, `show` prints it with all defaults.
        file: The file; without it, `show` prints the defaults.
        sim: Check it for `inhandd --sim`, which needs no servos and no cameras.
        json: Print the configuration, or that it is all right, as JSON.
    """

    action: tyro.conf.Positional[Literal["check", "show"]]
    file: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="FILE")] = None
    sim: bool = False
    json: bool = False

    def run(self) -> int:
        """Reads the file, and for `check` what it names."""
        if self.action == "check" and self.file is None:
            raise ConfigError("config check: name the file to check")
        config = load_config(self.file)
        if self.action == "show":
            print_json(msgspec.to_builtins(config)) if self.json else print(show_config(config))
            return 0
        # The other verbs of `inhand` do without what the daemon starts with.
        from inhand.controller.runtime.config_check import check_named

        missing = check_named(config, simulated=self.sim)
        if self.json:
            print_json({"file": str(self.file), "ok": True, "missing": missing})
        else:
            verdict = "all right, but see above" if missing else "all right"
            print("\n".join([*missing, f"{self.file}: {verdict}"]))
        return 0
