"""Every kind of description file is found and read in one way, with errors that say what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inhand.errors import InhandError
from inhand.hardware.identification.encoder_offsets import load_seating
from inhand.hardware.model.hand import HANDS, load_hand
from inhand.hardware.model.universe import load_universe
from inhand.perception.cameras import load_rig
from inhand.perception.objects import OBJECTS, load_object

HAND = load_hand("dactyl24")

LOADERS: dict[str, Callable[[Path], object]] = {
    "hand": load_hand,
    "object": load_object,
    "universe": lambda path: load_universe(path, HAND),
    "rig": load_rig,
    "joint": lambda path: load_seating(path, HAND),
}


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ""),
        (b"name = ", "Invalid value"),
        (b"\xff", "utf-8"),
        (b"unknown_key = 1", "unknown_key|missing required"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, kind: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InhandError, match=rf"{kind} file {path}.*{words}"):
        LOADERS[kind](path)


@pytest.mark.parametrize("kind", LOADERS)
def test_a_directory_in_place_of_a_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "folder.toml"
    path.mkdir()
    with pytest.raises(InhandError, match=rf"{kind} file {path}: Is a directory"):
        LOADERS[kind](path)


@pytest.mark.parametrize(("load", "folder"), [(load_hand, HANDS), (load_object, OBJECTS)])
def test_an_unknown_name_lists_the_known_names_and_their_directory(
    load: Callable[[str], object], folder: Path
) -> None:
    known = ", ".join(sorted(path.stem for path in folder.glob("*.toml")))
    with pytest.raises(InhandError, match=rf"no \w+ file .*/ball\.toml.* in {folder}: {known}"):
        load("ball")
