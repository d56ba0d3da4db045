"""`inhand doctor`: each problem of the station is created and must be reported."""

import os
import time
from pathlib import Path

import pytest

from inhand.controller.calibration.doctor_host import STALE, check_station
from inhand.controller.config.config import Config
from inhand.controller.config.sections import CamerasConfig, PolicyConfig, RecordingConfig
from inhand.controller.system.paths import recordings_directory
from inhand.hardware.findings import Finding
from inhand.perception.cameras import save_rig
from inhand.sim_backend.rig import default_rig


def found(config: Config, root: Path) -> dict[str, Finding]:
    findings = check_station(config, root)
    for one in findings:
        assert one.remedy or one.verdict != "bad", one
    return {one.name: one for one in findings}


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    rig = tmp_path / "rig.toml"
    save_rig(rig, default_rig())
    sources = {"left": "/dev/video-that-is-not-there", "right": str(rig), "unknown": "x"}
    return Config(cameras=CamerasConfig(str(rig), sources))


def test_a_bare_machine_is_told_what_to_do(config: Config, tmp_path: Path) -> None:
    said = found(config, tmp_path)
    assert "PREEMPT_RT" in said["kernel"].detail and said["kernel"].verdict == "warning"
    assert said["service"].remedy == "make install"
    assert said["policy"].verdict == "good" and "block.onnx" in said["policy"].detail
    assert said["camera left"].verdict == "bad" and "not there" in said["camera left"].detail
    assert "neither an ipc:// or tcp:// address" in said["camera right"].detail
    assert "rig file does not have it" in said["camera unknown"].detail
    assert said["calibration"].verdict == "good"
    assert str(recordings_directory("", None)) in said["recordings"].detail


def test_a_station_as_it_should_be(config: Config, tmp_path: Path) -> None:
    put(tmp_path / "sys/kernel/realtime", "1\n")
    put(tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n")
    put(tmp_path / "sys/bus/usb-serial/devices/ttyUSB0/latency_timer", "1\n")
    said = found(config, tmp_path)
    good = ("kernel", "processor governor", "serial adapter ttyUSB0")
    assert all(said[name].verdict == "good" for name in good)


def test_slow_settings_are_named(config: Config, tmp_path: Path) -> None:
    put(tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    put(tmp_path / "sys/bus/usb-serial/devices/ttyUSB0/latency_timer", "16\n")
    old = time.time() - (STALE + 1) * 86_400
    os.utime(config.cameras.rig, (old, old))
    said = found(config, tmp_path)
    assert said["processor governor"].detail.startswith("powersave")
    assert "16 ms" in said["serial adapter ttyUSB0"].detail
    assert said["calibration"].verdict == "warning"


def test_what_keeps_the_hand_from_working_is_bad(tmp_path: Path) -> None:
    said = found(Config(policy=PolicyConfig(file="none.onnx")), tmp_path)
    assert said["cameras"].verdict == said["policy"].verdict == "bad"
    broken = Config(cameras=CamerasConfig(str(tmp_path / "rig.toml"), {"left": "x"}))
    assert "rig.toml" in found(broken, tmp_path)["calibration"].detail
    assert found(Config(policy=PolicyConfig(file="")), tmp_path)["policy"].verdict == "warning"


def test_less_room_than_all_recordings_may_take_is_a_warning(tmp_path: Path) -> None:
    petabyte_in_megabytes = 10**9
    recording = RecordingConfig(directory=str(tmp_path), total_size=petabyte_in_megabytes)
    said = found(Config(recording=recording), tmp_path)["recordings"]
    assert said.verdict == "warning" and "less than all recordings may take" in said.detail
