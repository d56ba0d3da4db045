"""The service manager's end of the line: a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.system.notify import notify, watchdog_period

OWN = "the process itself"


@pytest.fixture(params=["file", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A socket as a service manager offers it, named in the environment."""
    abstract = f"inhand-test-{os.getpid()}"
    path = str(tmp_path / "notify") if request.param == "file" else "\0" + abstract
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path.replace("\0", "@"))
        yield sock


def test_a_state_arrives_as_one_datagram(manager: socket.socket) -> None:
    assert notify("READY=1")
    assert notify("WATCHDOG=1")
    assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"WATCHDOG=1"]


def test_without_a_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")


@pytest.mark.parametrize("address", ["relative", "/nowhere/notify"])
def test_a_manager_that_cannot_be_reached_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setattr("inhand.controller.system.notify._warned", set())
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")
    assert not notify("WATCHDOG=1")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"NOTIFY_SOCKET={address}: the service manager cannot be reached" in caplog.text


@pytest.mark.parametrize(
    ("microseconds", "process", "period"),
    [
        ("2000000", None, 2.0),
        ("2000000", OWN, 2.0),
        ("2000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_only_the_process_that_it_is_set_for_feeds_the_watchdog(
    monkeypatch: pytest.MonkeyPatch,
    microseconds: str | None,
    process: str | None,
    period: float | None,
) -> None:
    watched = str(os.getpid()) if process == OWN else process
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", watched)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert watchdog_period() == period
