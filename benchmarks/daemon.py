"""The daemon with its simulated hand for a minute of goals: start time, memory, ticks on time.

The figures are those that the daemon prints.
"""

import contextlib
import io
import re
import tempfile
from pathlib import Path

from benchmarks.measure import Row, row
from inhand.controller.cli.demo import turn
from inhand.controller.cli.demo_summary import Options
from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.errors import RefusedError

MINUTES = 1.0


def measure() -> list[Row]:
    """Each figure beside its limit."""
    with tempfile.TemporaryDirectory(prefix="inhand-") as name:
        directory = Path(name)
        # Late joint readings shall be measured and not end the run.
        config = directory / "inhandd.toml"
        config.write_text("[safety]\njoint_ticks = 20\n")
        with (
            simulated_daemon(directory, "--real-time", "--config", str(config)),
            Client(directory) as client,
            contextlib.redirect_stdout(io.StringIO()),
            # If the machine is too slow, the run ends early; the share of ticks on time shows it.
            contextlib.suppress(RefusedError),
        ):
            turn(client, Options(goals=1000, minutes=MINUTES))
        said = (directory / "inhandd.log").read_text()
    ready = _number(r"ready ([0-9.]+) s after it was up", said)
    memory = _number(r"memory: ([0-9]+) MB", said)
    on_time = _number(r"on time ([0-9.]+) %", said)
    name = "ticks on time in a minute of goals"
    return [
        row("daemon ready after its world is up", ready, "s", "limit", 3.0, 1.0),
        row("resident memory of the daemon", memory, "MB", "limit", 300.0, 1.0),
        row(name, on_time, "%", "limit", 97.0, 1.0, more_is_better=True),
    ]


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise AssertionError(f"the daemon's log has no {pattern!r}: {said}")
    return float(found[1])
