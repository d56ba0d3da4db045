"""A foreign policy becomes one that runs, by the commands of its page."""

import re
from pathlib import Path

import pytest

from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from inhand.training.foreign.policy_map import load_map
from inhand.training.foreign.sources import NAMES
from tests.documents.pages import DOCS, blocks, files
from tests.documents.shell import typed
from tests.training.foreign.networks import playground_form

PAGE = DOCS / "bring-your-policy.md"
LINES = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the page, and the network that it wraps."""
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "leap_reorient_policy.onnx").write_bytes(playground_form().SerializeToString())
    return tmp_path


def test_the_page_wraps_and_checks(folder: Path) -> None:
    wrap, check = (line for line in LINES if line.startswith("inhand policy"))
    assert "last_action 16" in typed(wrap, folder, 120)
    assert "all right" in typed(check, folder, 120)


def test_the_page_names_every_source_and_its_maps_are_right(folder: Path) -> None:
    text = PAGE.read_text()
    for name in NAMES:
        assert f"`{name}`" in text
    for number, block in enumerate(b for b in blocks(PAGE, "toml") if "[action]" in b):
        path = folder / f"{number}.toml"
        path.write_text(block)
        assert load_map(path)


@pytest.mark.slow
def test_the_wrapped_policy_is_measured_and_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *before, daemon = LINES
    for line in before:
        typed(line, folder, 600)
    words = re.sub(r"(\S+\.(toml|onnx))", lambda m: str(folder / m[1]), daemon).split()
    assert words[:2] == ["inhandd", "--sim"]
    (folder / "run").mkdir()
    with (
        simulated_daemon(folder / "run", *words[2:]),
        Client(folder / "run", timeout=120) as client,
    ):
        assert client.status()["policy"]["name"] == "leap-reorient.onnx"
        client.call("enable")
