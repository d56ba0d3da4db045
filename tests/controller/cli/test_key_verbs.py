"""`inhand keys` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

from inhand.controller.ipc.keys import load_client_key


def keys(*arguments: str, where: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inhand.controller.cli.main", "keys", *arguments]
    return subprocess.run(
        [*command, "--config", str(where / "inhandd.toml")],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_generate_list_revoke(tmp_path: Path) -> None:
    config = tmp_path / "inhandd.toml"
    config.write_text(f'[network]\nkeys = "{tmp_path}/keys"\n')
    refused = keys("generate", "laptop", where=tmp_path)
    assert refused.returncode == 1 and "under [network]" in refused.stderr
    with config.open("a") as file:
        file.write('command = "tcp://*:7411"\nstate = "tcp://*:7412"\n')
    made = keys("generate", "laptop", "--role", "observe", "--host", "hand.lab", where=tmp_path)
    assert made.returncode == 0, made.stderr
    key = load_client_key(tmp_path / "laptop.toml")
    assert (key.command, key.state) == ("tcp://hand.lab:7411", "tcp://hand.lab:7412")
    assert keys("list", where=tmp_path).stdout == f"observe  {key.public} laptop\n"
    (listed,) = json.loads(keys("list", "--json", where=tmp_path).stdout)
    assert listed == {"role": "observe", "public": key.public, "name": "laptop"}
    assert key.secret not in made.stdout
    assert keys("revoke", "laptop", where=tmp_path).returncode == 0
    assert keys("list", where=tmp_path).stdout == ""
    unknown = keys("revoke", "laptop", where=tmp_path)
    assert unknown.returncode == 1 and unknown.stderr.startswith("error: there is no key")
