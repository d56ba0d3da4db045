"""Keys of network clients: files that only their owner can read, a list that is checked."""

import stat
from pathlib import Path

import pytest

from inhand.controller.errors import ConfigError
from inhand.controller.ipc.keys import KeyRing, load_client_key


def generate(ring: KeyRing, name: str, output: Path, role: str = "command") -> None:
    ring.generate(name, role, "tcp://hand:7411", "tcp://hand:7412", output)


def test_a_new_client_is_on_the_list_and_its_file_is_private(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    assert ring.clients() == []
    generate(ring, "laptop", tmp_path / "laptop.toml", "observe")
    key = load_client_key(tmp_path / "laptop.toml")
    (entry,) = ring.clients()
    assert (entry.role, entry.public, entry.name) == ("observe", key.public, "laptop")
    assert ring.entry(key.public) == entry and ring.entry("x" * 40) is None
    assert key.server == ring.server().public and key.command == "tcp://hand:7411"
    for file in (tmp_path / "laptop.toml", *(tmp_path / "keys").iterdir()):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_revoking_takes_effect_at_once(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    for name in ("one", "two"):
        generate(ring, name, tmp_path / name)
    first, second = (load_client_key(tmp_path / name).public for name in ("one", "two"))
    assert ring.entry(first)
    KeyRing(tmp_path / "keys").revoke("one")
    assert ring.entry(first) is None and ring.entry(second)
    with pytest.raises(ConfigError, match="no key 'one'; there are: two"):
        ring.revoke("one")


def test_nothing_is_overwritten_and_a_refusal_changes_nothing(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    generate(ring, "one", tmp_path / "file")
    before = (tmp_path / "file").read_text(), ring.clients(), ring.server()
    for name, output, error in (
        ("one", "other", "exists"),
        ("two", "file", "File exists"),
        ("../up", "other", "must be of letters"),
    ):
        with pytest.raises(ConfigError, match=error):
            generate(ring, name, tmp_path / output)
    assert ((tmp_path / "file").read_text(), ring.clients(), ring.server()) == before
    assert not (tmp_path / "other").exists()


def test_secrets_are_in_no_message(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    generate(ring, "one", tmp_path / "file")
    server, key = ring.server(), load_client_key(tmp_path / "file")
    assert server.secret not in repr(server) and key.secret not in repr(key)
    (tmp_path / "file").write_text(f"secret = '{key.secret}\n")
    with pytest.raises(ConfigError) as caught:
        load_client_key(tmp_path / "file")
    assert key.secret not in str(caught.value)
    (tmp_path / "keys/server.toml").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        ring.server()


@pytest.mark.parametrize("line", ["command", "admin " + "x" * 40 + " me", "command short me"])
def test_an_invalid_list_accepts_no_client(tmp_path: Path, line: str) -> None:
    (tmp_path / "clients").write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(ConfigError, match="line 3"):
        KeyRing(tmp_path).clients()


def test_without_a_server_key_the_error_names_the_command_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="inhand keys generate"):
        KeyRing(tmp_path).server()
