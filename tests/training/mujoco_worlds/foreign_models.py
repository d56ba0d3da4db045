"""Hand models that others wrote, from packages of the registry."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

LEAP = "mujoco_playground/_src/manipulation/leap_hand/xmls/leap_rh_mjx.xml"


def leap_model(folder: Path) -> Path:
    """The LEAP hand of `playground`: only this file of the package, without its dependencies."""
    path = folder / LEAP
    if not path.exists():
        call = [sys.executable, "-m", "pip", "download", "playground==0.2.0", "--no-deps", "-q"]
        got = subprocess.run([*call, "-d", str(folder)], capture_output=True, timeout=120)
        if got.returncode:
            pytest.skip("the package playground cannot be downloaded here")
        (wheel,) = folder.glob("playground-*.whl")
        with zipfile.ZipFile(wheel) as files:
            files.extract(LEAP, folder)
    return path


def shadow_model() -> Path:
    """The Shadow hand of `gymnasium-robotics`."""
    package = find_spec("gymnasium_robotics")
    if package is None or package.origin is None:
        pytest.skip("the package gymnasium-robotics is not installed")
    return Path(package.origin).parent / "envs" / "assets" / "hand" / "reach.xml"
