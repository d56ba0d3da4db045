"""A process ends with its parent, also if the parent ends while it starts."""

import os
import subprocess
import sys

import pytest

from inhand.perception.parent import VARIABLE, Parent, end_process, environment


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


WATCHING = (
    "import time; from inhand.perception.parent import end_with_parent; end_with_parent(); "
    "print(flush=True); time.sleep(600)"
)


def test_a_program_ends_when_the_one_that_waits_for_it_is_killed() -> None:
    starter = (
        "import subprocess, sys, time; from inhand.perception.parent import environment; "
        f"child = subprocess.Popen([sys.executable, '-c', {WATCHING!r}], env=environment()); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    # The child has the other end of the pipe, too.
    process.communicate(timeout=120)


def test_a_program_that_a_user_started_has_nobody_who_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Parent.waiting() is None
    # Inherited, from a program further up.
    monkeypatch.setenv(VARIABLE, str(os.getpid()))
    assert Parent.waiting() is None
    monkeypatch.setenv(VARIABLE, str(os.getppid()))
    parent = Parent.waiting()
    assert parent is not None and parent.alive


@pytest.mark.parametrize(("signal", "code"), [("SIG_DFL", -15), ("SIG_IGN", -9)])
def test_a_process_is_ended_also_one_that_does_not_listen(signal: str, code: int) -> None:
    script = (
        f"import signal, time; signal.signal(signal.SIGTERM, signal.{signal});"
        "print(flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    end_process(process, patience=0.2 if code == -9 else 60.0)
    assert process.returncode == code
    end_process(process)
