"""The documentation is sufficient: its steps are carried out word for word in an empty folder.

With `INHAND_WALK=DIRECTORY` this happens in that directory, and the files stay there.
"""

import os
import re
import time
from pathlib import Path

import pytest

from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from tests.documents.pages import DOCS, blocks, files
from tests.documents.shell import typed

TRAIN = DOCS / "train-for-your-object.md"
PATIENCE = 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    given = os.environ.get("INHAND_WALK")
    return Path(given) if given else tmp_path


@pytest.mark.slow
def test_an_object_of_ones_own_is_trained_measured_and_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files(TRAIN).items():
        (folder / name).write_text(text)
    lines = [line for block in blocks(TRAIN, "sh") for line in block.splitlines()]
    *before, daemon = lines
    for line in before:
        print(typed(line, folder, PATIENCE))
    policy = folder / "policies" / "my-box.onnx"
    assert policy.exists()
    words = re.sub(r"(\S+\.(toml|onnx))", lambda m: str(folder / m[1]), daemon).split()
    assert words[:2] == ["inhandd", "--sim"]
    (folder / "run").mkdir()
    # The page names the object file relative to the folder in which the daemon is started.
    monkeypatch.chdir(folder)
    with (
        simulated_daemon(folder / "run", *words[2:]),
        Client(folder / "run", timeout=120) as client,
    ):
        deadline = time.monotonic() + 120
        while client.status()["object"]["pose"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert client.status()["policy"]["name"]
