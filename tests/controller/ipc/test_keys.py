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
    assert ring.read()[0] == []
    generate(ring, "laptop", tmp_path / "laptop.toml", "observe")
    key = load_client_key(tmp_path / "laptop.toml")
    (entry,) = ring.read()[0]
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
    before = (tmp_path / "file").read_text(), ring.read()[0], ring.server()
    for name, output, error in (
        ("one", "other", "exists"),
        ("two", "file", "File exists"),
        ("../up", "other", "must be of letters"),
    ):
        with pytest.raises(ConfigError, match=error):
            generate(ring, name, tmp_path / output)
    assert ((tmp_path / "file").read_text(), ring.read()[0], ring.server()) == before
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


DAMAGED = [
    "command",
    "admin " + "x" * 40 + " me",
    "command short me",
    "command " + "x" * 40 + " me and more",
    "command " + "x" * 39 + "\N{SNOWMAN} me",
    "command " + "x" * 40 + " me/../you",
    "\x00\x01",
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_refused_and_the_others_stay_valid(tmp_path: Path, line: str) -> None:
    ring = KeyRing(tmp_path / "keys")
    generate(ring, "first", tmp_path / "first")
    clients = tmp_path / "keys/clients"
    with clients.open("a") as file:
        file.write(f"{line}\n")
    generate(ring, "second", tmp_path / "second")
    entries, problems = ring.read()
    assert [entry.name for entry in entries] == ["first", "second"]
    assert len(problems) == 1 and "line 3" in problems[0]
    assert all(ring.entry(entry.public) == entry for entry in entries)
    ring.revoke("first")
    assert [entry.name for entry in ring.read()[0]] == ["second"]
    assert line in clients.read_text()


def test_of_two_lines_with_one_key_only_the_first_counts(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    generate(ring, "guest", tmp_path / "guest")
    public = load_client_key(tmp_path / "guest").public
    with (tmp_path / "keys/clients").open("a") as file:
        file.write(f"command {public} other\n")
    entries, problems = ring.read()
    assert [entry.name for entry in entries] == ["guest"]
    assert "same public key" in problems[0]


@pytest.mark.parametrize("what", ["keys/clients", "keys"])
def test_a_list_that_others_may_change_has_no_client(tmp_path: Path, what: str) -> None:
    ring = KeyRing(tmp_path / "keys")
    generate(ring, "one", tmp_path / "file")
    public = load_client_key(tmp_path / "file").public
    assert ring.entry(public)
    place = tmp_path / what
    place.chmod(place.stat().st_mode | 0o022)
    assert ring.entry(public) is None
    assert "chmod" in ring.read()[1][0]
    place.chmod(place.stat().st_mode & 0o755)
    assert ring.entry(public)


def test_a_key_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    generate(KeyRing(tmp_path / "keys"), "one", tmp_path / "file")
    (tmp_path / "file").chmod(0o622)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_client_key(tmp_path / "file")


def test_removals_are_counted_and_additions_are_not(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    generate(ring, "one", tmp_path / "one")
    before = ring.removals()
    generate(ring, "two", tmp_path / "two")
    assert ring.removals() == before
    ring.revoke("one")
    assert ring.removals() == ring.removals() == before + 1


def test_without_a_server_key_the_error_names_the_command_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="inhand keys generate"):
        KeyRing(tmp_path).server()
