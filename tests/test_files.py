"""A file is written whole or not at all, whatever happens on the way."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inhand.controller.config.config import load_config
from inhand.controller.ipc.client_list import read_client_list
from inhand.controller.ipc.keys import load_client_key
from inhand.controller.policy.onnx_session import read_policy
from inhand.errors import InhandError, WriteError
from inhand.files import back_up, read_file, whole_file, write_whole
from inhand.hardware.model.hand import load_hand
from inhand.perception.cameras import load_rig, save_rig
from inhand.perception.objects import load_object
from inhand.sim_backend.rig import default_rig


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text("old")
    with whole_file(path) as file:
        file.write(b"new and ")
        file.flush()
        assert path.read_text() == "old"
        file.write(b"whole")
    assert path.read_text() == "new and whole"
    assert os.listdir(tmp_path) == ["rig.toml"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_failure_on_the_way_leaves_the_old_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "rig.toml"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["rig.toml"]


def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text("old")
    # A limit of the file's size fails in the same call as a disk that is full.
    script = (
        "import resource, signal, sys; from inhand.files import write_whole;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "write_whole(sys.argv[1], 'x' * 100_000)"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"WriteError: file {path} cannot be written: File too large" in done.stderr
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["rig.toml"]


@pytest.mark.parametrize("place", ["nowhere/rig.toml", "", "file/rig.toml"])
def test_a_place_that_takes_no_file_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / place
    with pytest.raises(WriteError, match="cannot be written") as caught:
        write_whole(path, "text")
    assert str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


def test_the_mode_is_the_old_file_s_or_the_one_asked_for(tmp_path: Path) -> None:
    path, private = tmp_path / "rig.toml", tmp_path / "clients"
    write_whole(path, "a")
    path.chmod(0o664)
    write_whole(path, "b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    write_whole(private, "c", mode=0o600)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "real.toml", tmp_path / "rig.toml"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


def test_a_back_up_takes_a_free_name(tmp_path: Path) -> None:
    path = tmp_path / "joints.toml"
    assert back_up(path) is None
    for number in (1, 2):
        path.write_text(str(number))
        kept = back_up(path)
        assert kept == tmp_path / f"joints.toml.{number}"
        assert kept.read_text() == str(number)


WRITERS = {
    "save_rig": "from inhand.perception.cameras import load_rig, save_rig; rig = load_rig(path);"
    "write = lambda: save_rig(path, rig)",
    "save_object": "from inhand.perception.objects import load_object;"
    "from inhand.perception.calibration.tag_placement import save_object;"
    "block = load_object('block'); write = lambda: save_object(path, block)",
    "save_intrinsics": "import numpy as np;"
    "from inhand.perception.calibration.camera_info import Intrinsics, save_intrinsics;"
    "k = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]);"
    "lens = Intrinsics(640, 480, k, np.zeros(5));"
    "write = lambda: save_intrinsics(path, 'left', lens)",
    "write_picture": "import numpy as np; from inhand.perception.pictures import write_picture;"
    "noise = np.random.default_rng(1).integers(0, 255, (99, 99), np.uint8);"
    "write = lambda: write_picture(path, noise)",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_leaves_the_old_file_on_a_full_disk(tmp_path: Path, writer: str) -> None:
    path = tmp_path / ("old.png" if writer == "write_picture" else "old.toml")
    save_rig(path, default_rig())
    old = path.read_bytes()
    script = (
        "import resource, signal, sys; from pathlib import Path; path = Path(sys.argv[1]);"
        f"{WRITERS[writer]}; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); write()"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"WriteError: file {path} cannot be written" in done.stderr
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == [path.name]


def test_what_has_no_end_or_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in ("/dev/zero", tmp_path / "fifo", tmp_path / "link", tmp_path):
        with pytest.raises(OSError, match="regular file|directory"):
            read_file(path)
    (tmp_path / "long").write_bytes(bytes(11))
    assert read_file(tmp_path / "long", 11) == bytes(11)
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_file(tmp_path / "long", 10)


@pytest.mark.parametrize(
    "read",
    [load_hand, load_object, load_rig, load_config, load_client_key, read_policy],
    ids=lambda read: str(read.__name__),
)
def test_every_file_of_a_person_is_read_so(read: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    with pytest.raises(InhandError, match="not a regular file"):
        read(tmp_path / "fifo.toml")
    assert "not a regular file" in read_client_list(tmp_path / "fifo.toml")[1][0]
