"""`inhand config check` refuses what `inhandd` would refuse, and opens no device."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

from inhand.controller.config.config import load_config
from inhand.controller.ipc.keys import KeyRing
from inhand.controller.runtime.config_check import check_named
from inhand.controller.runtime.daemon import Daemon
from inhand.controller.runtime.options import Options
from inhand.errors import InhandError
from inhand.perception.cameras import save_rig
from inhand.sim_backend.rig import default_rig
from tests.controller import tiny_policy
from tests.controller.bench_hand import HAND

CAMERAS = '[cameras]\nrig = "{folder}/rig.toml"\nsources = {{left = "/dev/no-camera"}}\n'
POLICY = '[policy]\ndirectory = "{folder}"\nallow = {allow}\nfile = '


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A rig, a policy that fits, and a file that is none."""
    save_rig(tmp_path / "rig.toml", default_rig())
    tiny_policy.write_policy(tmp_path / "tiny.onnx", HAND)
    (tmp_path / "cat.onnx").write_bytes(b"a picture of a cat")
    return tmp_path


def checked(folder: Path, text: str, *, simulated: bool = False) -> list[str]:
    """What the check says of a configuration that may name the folder and allow its policies."""
    allow = [sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.onnx")]
    (folder / "inhandd.toml").write_text(text.format(folder=folder, allow=allow))
    return check_named(load_config(folder / "inhandd.toml"), simulated=simulated)


def policy(file: str) -> str:
    return f'{POLICY}"{file}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('hand = "hook"\n' + CAMERAS, "hook"),
        ('object = "ball"\n' + CAMERAS, "ball"),
        (policy("none.onnx") + CAMERAS, "none.onnx"),
        (policy("cat.onnx") + CAMERAS, "not an ONNX file"),
        ('hand = "leap"\n' + policy("tiny.onnx") + CAMERAS, "made for hand dactyl24"),
        ('object = "prism"\n' + policy("tiny.onnx") + CAMERAS, "made for object block"),
        ("tick_rate = 200\n" + policy("tiny.onnx") + CAMERAS, "made for 100 ticks/s"),
        (CAMERAS.replace("rig.toml", "no.toml"), "no.toml"),
        (CAMERAS.replace("left", "top"), "has no camera top; it has"),
        (CAMERAS.partition("sources")[0], "no camera: name a rig file and a source"),
        (CAMERAS + 'network = "{folder}/cat.onnx"\neyes = "network"\n', "cat.onnx"),
    ],
)
def test_what_the_daemon_refuses_is_refused(folder: Path, text: str, words: str) -> None:
    with pytest.raises(InhandError, match=re.escape(words)) as found:
        checked(folder, text)
    with pytest.raises(InhandError) as refused:
        Daemon(Options(config=folder / "inhandd.toml", directory=folder / "run")).run()
    assert str(found.value) == str(refused.value)


def test_no_device_is_opened(folder: Path) -> None:
    bus = '[bus]\nport = "/dev/nothing"\n'
    assert checked(folder, policy("tiny.onnx") + CAMERAS + bus) == []


def test_the_key_of_the_network_gateway_is_read(folder: Path) -> None:
    network = (
        '[network]\ncommand = "tcp://*:7411"\nstate = "tcp://*:7412"\nkeys = "{folder}/keys"\n'
    )
    with pytest.raises(InhandError, match="make one with `inhand keys generate`"):
        checked(folder, policy("tiny.onnx") + CAMERAS + network)
    ring, here = KeyRing(folder / "keys"), "tcp://127.0.0.1:7411"
    ring.generate("me", "operate", here, here, folder / "me.toml")
    assert checked(folder, policy("tiny.onnx") + CAMERAS + network) == []


def test_what_is_still_missing_is_told(folder: Path) -> None:
    (cameras,) = checked(folder, policy("tiny.onnx"))
    assert cameras == "no cameras: inhandd starts with --sim alone"
    (none,) = checked(folder, '[policy]\nfile = ""\n' + CAMERAS)
    assert none == "no policy: the hand can move, but not be armed"


def test_a_simulated_hand_needs_no_servos_and_no_cameras(folder: Path) -> None:
    bare = 'hand = "allegro"\n[policy]\nfile = ""\n'
    with pytest.raises(InhandError, match="exists in simulation only"):
        checked(folder, bare)
    assert checked(folder, bare, simulated=True) == [
        "no policy: the hand can move, but not be armed"
    ]
    with pytest.raises(InhandError, match="ball"):
        checked(folder, 'object = "ball"\n', simulated=True)
