"""Appearance of an object without tags: no part of the physics, and faces look different."""

from pathlib import Path

import pytest

from inhand.perception.errors import ObjectError
from inhand.perception.objects import OBJECTS, load_object

BLOCK = (OBJECTS / "block.toml").read_text()


def load(tmp_path: Path, text: str) -> object:
    path = tmp_path / "object.toml"
    path.write_text(text)
    return load_object(path)


def test_it_is_no_part_of_the_physics(tmp_path: Path) -> None:
    plain = BLOCK.partition("# How the faces look")[0]
    path = tmp_path / "object.toml"
    path.write_text(plain)
    assert load_object(path).appearance == {}
    assert load_object(path).digest == load_object("block").digest
    assert load_object(path).look != load_object("block").look


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"-x" = { color = [245, 150, 40], letter = "E" }', "", "has no -x"),
        ('"-x" = {', '"left" = {', "unknown faces"),
        ("[215, 50, 45]", "[300, 50, 45]", "0 to 255"),
        ('letter = "A"', 'letter = "AB"', "one ASCII letter"),
        ('[215, 50, 45], letter = "A"', '[240, 155, 45], letter = "E"', "cannot be told apart"),
    ],
)
def test_faces_that_a_network_could_not_learn(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in BLOCK
    with pytest.raises(ObjectError, match=message):
        load(tmp_path, BLOCK.replace(old, new))
