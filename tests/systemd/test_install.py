"""The install script, below a directory instead of the root."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from inhand.controller.config.config import Config, load_config
from tests.systemd.conftest import DROP_IN, INSTALL, Script

CONFIG = "etc/inhand/inhandd.toml"


def contents(root: Path) -> dict[str, str]:
    """Digest of each file below a directory, or where it points to."""
    return {
        str(path.relative_to(root)): os.readlink(path)
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_everything_is_where_the_system_looks_for_it(installed: Path) -> None:
    lib = installed / "usr/local/lib"
    for unit in ("inhandd.service", "inhandd-sim.service"):
        assert (lib / "systemd/system" / unit).is_file()
        assert not (lib / "systemd/system" / f"{unit}.d").exists()
    for place in (
        "sysusers.d/inhand.conf",
        "tmpfiles.d/inhand.conf",
        "udev/rules.d/70-inhand.rules",
    ):
        assert (lib / place).is_file()
    for name in ("inhand", "inhandd"):
        program = installed / "opt/inhand/venv/bin" / name
        assert os.readlink(installed / "usr/local/bin" / name) == f"/opt/inhand/venv/bin/{name}"
        # The destination is not part of any path that the installed program uses.
        assert program.read_text().startswith("#!/opt/inhand/venv/bin/python")
    assert (installed / "opt/inhand/share/operating.md").read_text()


def test_the_configuration_shows_the_defaults(installed: Path) -> None:
    assert load_config(installed / CONFIG) == Config()


def test_the_program_is_complete(installed: Path) -> None:
    site = next((installed / "opt/inhand/venv/lib").glob("python3*/site-packages"))
    assert (site / "inhand/__init__.py").is_file() and not (site / "controller").exists()
    assert (site / "inhand/hardware/hands/dactyl24.toml").is_file()
    assert (site / "inhand/perception/object_files/block.toml").is_file()


def test_a_dry_run_changes_nothing_and_says_what_it_would(script: Script, tmp_path: Path) -> None:
    done = script(tmp_path, "install", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
    assert f"'{tmp_path}/usr/local/lib/systemd/system/inhandd.service'" in done.stdout


def test_a_dry_run_on_the_system_shows_what_it_would_tell_it(script: Script) -> None:
    installing = script(None, "install", "--dry-run").stdout
    assert "+ 'systemd-sysusers' 'inhand.conf'" in installing
    assert "+ 'systemctl' 'daemon-reload'" in installing
    removing = script(None, "uninstall", "--dry-run").stdout
    assert "+ 'rm' '-rf' '/opt/inhand'" in removing
    assert "/etc/inhand/" not in removing.split("Removed.")[0]


def test_an_upgrade_removes_the_settings_that_the_units_now_hold(installed: Path) -> None:
    assert not (installed / DROP_IN).exists()


def test_upgrade_and_uninstall_keep_configuration_and_recordings(
    script: Script, installed: Path, tmp_path: Path
) -> None:
    shutil.copytree(installed, tmp_path, symlinks=True, dirs_exist_ok=True)
    first = contents(tmp_path)
    config, recording = tmp_path / CONFIG, tmp_path / "var/lib/inhand/a.mcap"
    config.write_text("tick_rate = 50\n")
    recording.parent.mkdir(parents=True)
    recording.write_text("a recording")

    upgraded = script(tmp_path, "install")
    assert upgraded.returncode == 0 and "stays as it is" in upgraded.stdout
    assert config.read_text() == "tick_rate = 50\n"
    assert contents(tmp_path).keys() == {*first, "var/lib/inhand/a.mcap"}

    assert script(tmp_path, "uninstall").returncode == 0
    assert contents(tmp_path).keys() == {CONFIG, "var/lib/inhand/a.mcap"}
    assert script(tmp_path, "uninstall").returncode == 0, "nothing to remove is no error"


def test_it_refuses_in_one_line(script: Script, tmp_path: Path) -> None:
    for arguments in (["reinstall"], ["install", "--fast"], []):
        done = script(tmp_path, *arguments)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    relative = script(Path("here"), "install", "--dry-run")
    assert "must be an absolute path" in relative.stderr


def test_it_refuses_an_interpreter_that_the_service_cannot_see(tmp_path: Path) -> None:
    hidden = Path("/root/bin/python3")
    program = tmp_path / "python3"
    program.write_text(f"#!/bin/sh\necho {hidden}\n")
    program.chmod(0o755)
    variables = {**os.environ, "PYTHON": str(program), "DESTDIR": str(tmp_path / "root")}
    command = [str(INSTALL), "install"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "in a home directory" in done.stderr
    assert not (tmp_path / "root").exists()
