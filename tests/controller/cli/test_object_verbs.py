"""Object files of schema 1: refused by the daemon, migrated by a command, the object the same."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inhand.controller.cli.object_verbs import Object
from inhand.perception.errors import ObjectError
from inhand.perception.objects import load_object, object_file

OLD = """# My block.
name = "mine"
schema = 1  # of this file
shape = "box"
size = [0.05, 0.05, 0.06]
mass = 0.08
friction = 1.0
symmetry = "none"

[[tags]]
id = 40
size = 0.03
face = "+x"
[[tags]]  # glued by hand
id = 41
turn = 0.25  # [rad]
size = 0.03
face = "-z"
offset = [0.001, -0.002]
[[tags]]
id = 42
size = 0.03
face = "+y"
turn = 3.141592653589793
"""


def test_the_same_object_stands_in_the_migrated_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OLD)
    before = load_object(file, recorded=True)
    with pytest.raises(ObjectError, match="inhand object migrate .*mine.toml"):
        load_object(file)
    done = subprocess.run(
        [sys.executable, "-m", "inhand.controller.cli.main", "object", "migrate", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mine.toml.1" in done.stdout
    assert (tmp_path / "mine.toml.1").read_text() == OLD
    after = load_object(file)
    assert before.upside_down and not after.upside_down
    assert before.digest == after.digest
    for old, new in zip(before.tags, after.tags, strict=True):
        np.testing.assert_allclose(np.roll(old.corners, 2, axis=0), new.corners, atol=1e-12)
    text = file.read_text()
    for kept in ("# My block.", "schema = 2  # of this file", "# glued by hand", "# [rad]"):
        assert kept in text
    assert "turn = 0.0\n" in text
    with pytest.raises(ObjectError, match="has schema 2 already"):
        Object("migrate", file).run()
    assert file.read_text() == text


def test_a_file_that_is_not_understood_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    head = OLD.partition("[[tags]]")[0]
    file.write_text(head + 'tags = [{id = 40, size = 0.03, face = "+x"}]\n')
    with pytest.raises(ObjectError, match=r"a \[\[tags\]\] of its own"):
        Object("migrate", file).run()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize("name", ["block", "prism"])
def test_shipped_objects_are_of_the_present_schema(name: str) -> None:
    assert "\nschema = 2\n" in object_file(name).read_text()
    assert not load_object(name).upside_down
