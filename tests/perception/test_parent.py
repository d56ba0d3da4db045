"""A process ends with its parent, also if the parent ends while it starts."""

import os
import subprocess
import sys

import pytest

from inhand.perception.parent import VARIABLE, Parent, environment


def test_a_child_knows_its_parent() -> None:
    code = "from inhand.perception.parent import Parent; print(Parent().alive)"
    for variables in (environment(), {**os.environ}):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=variables)
        assert done.stdout == b"True\n"


def test_a_child_whose_parent_ended_before_it_began_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setenv(VARIABLE, str(ended.pid))
    assert not Parent().alive
