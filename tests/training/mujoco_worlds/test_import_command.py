"""`inhand hand import` as a command: files that exist are kept, and JSON for programs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inhand.hardware.errors import DescriptionError
from inhand.training.mujoco_worlds.hand_command import Import
from tests.training.mujoco_worlds.test_hand_import import MJCF


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "off.xml").write_text(MJCF)
    (tmp_path / "off.toml").write_text("mine")
    with pytest.raises(DescriptionError, match="exists"):
        Import(tmp_path / "off.xml", tmp_path / "off.toml").run()
    assert (tmp_path / "off.toml").read_text() == "mine"
    with pytest.raises(DescriptionError, match="ends in .toml"):
        Import(tmp_path / "off.xml", tmp_path / "off").run()


def test_the_command_imports_and_checks(tmp_path: Path) -> None:
    (tmp_path / "off.xml").write_text(MJCF)
    inhand = str(Path(sys.executable).parent / "inhand")
    given = [inhand, "hand", "import", "off.xml", "--out", "off.toml", "--json"]
    told = json.loads(subprocess.run(given, cwd=tmp_path, check=True, capture_output=True).stdout)
    assert told["place_error"] <= 1e-5
    checked = subprocess.run(
        [inhand, "hand", "check", "off.toml", "--json"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert json.loads(checked.stdout)["joints"] == 2
