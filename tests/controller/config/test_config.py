"""The configuration: known keys only; each error is one line that names file and key."""

import re
from pathlib import Path

import msgspec
import pytest

from inhand.controller.config.config import Config, load_config, show_config
from inhand.controller.config.settings import ControlSettings
from inhand.controller.core.controller import Controller
from inhand.controller.errors import ConfigError
from inhand.controller.estimation.pose_measurements import PoseFeed, PoseReading
from tests.controller.bench_hand import BLOCK, HAND


def write(directory: Path, text: str) -> Path:
    path = directory / "inhandd.toml"
    path.write_text(text)
    return path


def test_no_file_is_all_defaults() -> None:
    assert load_config(None) == Config()


def test_the_shown_configuration_reads_back_equal(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, show_config(Config()))) == Config()
    allowed = "0a" * 32
    text = f"""
    tick_rate = 50
    [cameras]
    rig = "rig.toml"
    sources = {{"a b" = "/dev/video0", 'q"' = "tcp://x"}}
    [policy]
    allow = ["{allowed}"]
    [realtime]
    affinity = [2, 3]
    """
    config = load_config(write(tmp_path, text))
    assert config.cameras.sources == {"a b": "/dev/video0", 'q"': "tcp://x"}
    assert config.control.tick_rate == 50
    assert load_config(write(tmp_path, show_config(config))) == config


CAMERAS = """
[cameras]
rig = "rig.toml"
sources = {right = "rtsp://10.0.0.7/live"}
[cameras.left]
source = "/dev/v4l/by-id/usb-cam"
format = "MJPG"
size = [1280, 720]
exposure = 0.004
[cameras.right]
gain = 10.0
"""


def test_each_camera_may_have_a_table(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, CAMERAS))
    left, right = config.cameras.devices["left"], config.cameras.devices["right"]
    assert config.cameras.sources["left"] == left.source == "/dev/v4l/by-id/usb-cam"
    assert config.cameras.sources["right"] == "rtsp://10.0.0.7/live"
    assert (left.format, left.size, left.exposure, left.gain) == ("MJPG", (1280, 720), 0.004, None)
    assert right.gain == 10.0
    assert load_config(write(tmp_path, show_config(config))) == config


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format", "fromat", "unknown field `fromat`"),
        ("0.004", "4", "[cameras.left] exposure = 4.0 s"),
        ("right = ", "wrist = ", "[cameras.right] has no source"),
        ("gain = 10.0", 'source = "/dev/video7"', "sources names another one"),
        ("[cameras]", "[cameras.devices]", "write a table [cameras.NAME]"),
    ],
)
def test_a_wrong_table_of_a_camera_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_config(write(tmp_path, CAMERAS.replace(old, new, 1)))


def test_every_key_is_shown() -> None:
    shown = show_config(Config())
    for key in msgspec.to_builtins(Config()):
        assert key in shown
    assert "[safety]\n" in shown and 'estop = "relax"' in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tik_rate = 100", "unknown field `tik_rate`"),
        ("[bus]\nprot = '/dev/x'", "unknown field `prot` - at `$.bus`"),
        ('"a\\nb" = 100', "unknown field `a b`"),
        ("tick_rate = 'fast'", "Expected `int`, got `str` - at `$.tick_rate`"),
        ("[safety]\nestop = 'coast'", "at `$.safety.estop`"),
        ("[policy]\nallow = 'all'", "at `$.policy.allow`"),
        ("[cameras]\nsources = {a = 1}", "at `$.cameras.sources"),
        ("tick_rate = ", "Invalid value (at"),
        ("\xff", "Invalid statement"),
        ("tick_rate = 1000", "tick_rate = 1000 Hz must lie in 20..500"),
        ("[bus]\nbaud = -1", "[bus] baud = -1"),
        ("[realtime]\npriority = 100", "[realtime] priority = 100"),
        ("[realtime]\nspin = 1.0", "[realtime] spin = 1.0"),
        ("[policy]\nallow = ['abc']", '[policy] allow: "abc" is no SHA-256'),
        ("[goals]\ntolerance = nan", "[goals] tolerance = nan"),
        ("[goals]\nhold = -1", "[goals] hold"),
        ("[goals]\ntimeout = inf", "[goals] hold, timeout and overdue"),
        ("[goals]\nqueue = 0", "[goals] queue = 0"),
        ("[safety]\npredict = 3.0", "predict = 3.0, pose_lost = 2.0"),
        ("[safety]\nidle = nan", "[safety] idle"),
        ("[sim]\nseed = -1", "[sim] seed = -1 must not be negative"),
        ("[safety]\nhome_speed = 0", "home_speed in (0, 3]"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value) and words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigError, match=words) as caught:
            load_config(path)
        assert str(path) in str(caught.value)
    (tmp_path / "latin.toml").write_bytes(b"hand = '\xe4'")
    with pytest.raises(ConfigError, match="utf-8"):
        load_config(tmp_path / "latin.toml")


@pytest.mark.parametrize("tick_rate", [20, 33, 50, 110, 200, 500])
def test_every_tick_rate_works_with_a_hand(tick_rate: int) -> None:
    Controller[PoseReading](HAND, BLOCK, PoseFeed(BLOCK), ControlSettings(tick_rate=tick_rate))
