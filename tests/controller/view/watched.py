"""A bench hand behind the real sockets, and the feed that shows it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inhand.controller.config.config import Config
from inhand.controller.runtime.description import describe_for_clients
from inhand.controller.view.live import LiveFeed
from inhand.perception.cameras import save_rig
from inhand.sim_backend.rig import default_rig
from tests.controller.bench_hand import Bench
from tests.controller.served import Served

WAIT = 120.0


def described(directory: Path) -> dict[str, Any]:
    """What a daemon on real wires would tell of its hand."""
    rig = directory / "rig.toml"
    save_rig(rig, default_rig())
    config = Config(cameras=type(Config().cameras)(str(rig), dict.fromkeys(default_rig(), "")))
    return describe_for_clients(config, directory, None)


def served(directory: Path, bench: Bench | None = None, **changed: object) -> Served:
    """A hand to watch, with these members of its description changed."""
    return Served(directory, bench=bench, description={**described(directory), **changed})


def until(what: Callable[[], Any], feed: LiveFeed) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + WAIT
    while not what():
        assert time.monotonic() < deadline, feed.problem
        time.sleep(0.02)
