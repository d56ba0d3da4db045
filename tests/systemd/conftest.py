"""The service as `make install` leaves it, below a directory of the tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DROP_IN = "usr/local/lib/systemd/system/inhandd.service.d/inhand.conf"
"""Settings beside the unit, which earlier versions installed."""
INSTALL = Path(__file__).resolve().parents[2] / "systemd" / "install.sh"

Script = Callable[..., subprocess.CompletedProcess[str]]


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def need(tool: str) -> None:
    """Skips where a tool of systemd's is missing; on the machine that must have it, fails."""
    if shutil.which(tool) is None:
        message = f"{tool} is not installed; install Debian's package systemd"
        pytest.fail(message) if in_ci() else pytest.skip(message)


def _python() -> str:
    """An interpreter like this one that does not lie in a home directory."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = shutil.which(name, path="/usr/local/bin:/usr/bin")
    return system or os.path.realpath(sys.executable)


@pytest.fixture(scope="session")
def script() -> Script:
    """Runs the install script: script(destination, *arguments)."""

    def run(destination: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PYTHON": _python(), "PIP_NO_DEPS": "1"}
        if destination is not None:
            variables["DESTDIR"] = str(destination)
        command = [str(INSTALL), *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def installed(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with everything installed below it, but for the program's dependencies.

    Before that, a file of an earlier version was there.
    """
    destination = tmp_path_factory.mktemp("installed")
    earlier = destination / DROP_IN
    earlier.parent.mkdir(parents=True)
    earlier.write_text("[Service]\nMemoryMax=1M\n")
    done = script(destination, "install")
    assert done.returncode == 0, done.stderr
    return destination


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs what uninstalls the service last, as all tests of the service share one machine."""
    items.sort(key=lambda item: item.name == "test_uninstalling_stops_it_first")
