"""The units as systemd's own tools judge them, without a manager."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.systemd.conftest import need

NETWORK_EXPOSURE = 1.4
"""What the documentation promises of a service with `network.conf`."""

UNITS = ["inhandd.service", "inhandd-sim.service"]
SOURCE = Path(__file__).resolve().parents[2] / "systemd"
DIFFERENT = ("ExecStart=", "DeviceAllow=", "PrivateDevices=")
"""Settings that are not the same in both units."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    need("systemd-analyze")
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def security(installed: Path, unit: str, threshold: int) -> subprocess.CompletedProcess[str]:
    place = ["--offline=yes", f"--root={installed}"]
    return analyze("security", *place, f"--threshold={threshold}", unit)


@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_low(installed: Path, unit: str) -> None:
    done = security(installed, unit, threshold=17)
    assert done.returncode == 0, done.stdout
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    # What the documentation promises.
    assert found and float(found[1]) <= 0.6, done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_the_file_in_the_repository_is_whole_by_itself(unit: str) -> None:
    done = analyze("security", "--offline=yes", "--threshold=10", str(SOURCE / unit))
    assert done.returncode == 0, done.stdout


def test_both_units_have_the_same_settings_of_the_service() -> None:
    hand, simulated = (
        [
            line
            for line in (SOURCE / unit)
            .read_text()
            .split("[Service]")[1]
            .split("[Install]")[0]
            .splitlines()
            if line and not line.startswith(("#", *DIFFERENT))
        ]
        for unit in UNITS
    )
    assert hand == simulated


@pytest.mark.parametrize("unit", UNITS)
def test_memory_tasks_and_descriptors_are_limited(unit: str) -> None:
    lines = (SOURCE / unit).read_text().splitlines()
    for setting in (
        "MemoryMax=",
        "TasksMax=",
        "LimitNOFILE=",
        "OOMScoreAdjust=",
        "OOMPolicy=continue",
    ):
        assert sum(line.startswith(setting) for line in lines) == 1


def test_exposure_is_low_with_the_network_open_too(installed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(installed / "usr", root / "usr", symlinks=True)
    drop_in = root / "etc/systemd/system/inhandd.service.d/network.conf"
    drop_in.parent.mkdir(parents=True)
    shutil.copy(installed / "opt/inhand/share/network.conf", drop_in)
    done = security(root, "inhandd.service", threshold=17)
    assert done.returncode == 0, done.stdout
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found and 0.6 < float(found[1]) <= NETWORK_EXPOSURE, done.stdout


def test_the_bar_would_be_noticed(installed: Path) -> None:
    assert security(installed, "inhandd.service", threshold=1).returncode != 0


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_well_formed(installed: Path, unit: str, tmp_path: Path) -> None:
    # `verify` looks for the program in the running system: here it is below a directory.
    system = installed / "usr/local/lib/systemd/system"
    for name in UNITS:
        text = (system / name).read_text().replace("/opt/inhand", f"{installed}/opt/inhand")
        (tmp_path / name).write_text(text)
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit))
    assert done.returncode == 0 and str(tmp_path) not in done.stderr, done.stderr


def test_loss_of_the_hand_does_not_stop_the_service(installed: Path) -> None:
    text = (installed / "usr/local/lib/systemd/system/inhandd.service").read_text()
    settings = [line for line in text.splitlines() if not line.startswith("#")]
    assert {"Wants=dev-inhand.device", "After=dev-inhand.device"} <= set(settings)
    assert not [line for line in settings if line.startswith(("BindsTo=", "Requires="))]


def test_device_rules_read_well(installed: Path) -> None:
    rules = (installed / "usr/local/lib/udev/rules.d/70-inhand.rules").read_text()
    term = re.compile(r'[A-Z]+(\{\w+\})?(==|\+=|=)"[^"]*"')
    lines = [line for line in rules.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 5
    # ModemManager and brltty leave the bus alone.
    ignored = [line for line in lines if 'ENV{ID_MM_DEVICE_IGNORE}="1"' in line]
    assert [line.split(",")[0] for line in ignored] == ['SUBSYSTEM=="usb"', 'SUBSYSTEM=="tty"']
    assert 'ENV{BRLTTY_BRAILLE_DRIVER}="ignore"' in ignored[0]
    for line in lines:
        terms = line.split(", ")
        assert all(term.fullmatch(part) for part in terms), line
        assert any("==" in part for part in terms) and "==" not in terms[-1]
    assert 'ATTR{latency_timer}="1"' in rules
