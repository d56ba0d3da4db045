"""Servos fresh from the box become a hand, by the commands of `docs/hardware.md`."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inhand.controller.cli.bus_verbs import SetId
from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.config.config import load_config
from inhand.controller.system.open_hand import open_hand, torque
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Targets, frozen_array
from tests.documents.pages import ROOT
from tests.documents.shell import started, typed
from tests.documents.test_commands_run import STEER, until_accepted

PAGE = ROOT / "docs" / "hardware.md"
PATIENCE = 300.0
HAND = load_hand("leap")
CONFIG = 'hand = "leap"\n[bus]\nport = "hand-port"\n'


def lines_of_the_page() -> list[str]:
    """The commands of the page's section, in their order."""
    text = PAGE.read_text()
    section = text[text.index("## Servos fresh from the box") :]
    section = section[: section.index("\n## ", 1)]
    found = [line.partition("#")[0].strip() for line in section.splitlines()]
    return [line for line in found if line.startswith("inhand ")]


class Bench:
    """The emulator of the page in a folder, with a terminal to plug servos in and out."""

    def __init__(self, folder: Path, line: str) -> None:
        pipe = subprocess.PIPE
        self.process = started(line, folder, stdin=pipe, stdout=pipe)
        assert self.process.stdout is not None
        while self.process.stdout.readline() != "Ctrl-C ends it\n":
            assert self.process.poll() is None

    def say(self, line: str) -> None:
        """Types a line, and waits for what it says."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout is not None
        assert self.process.stdout.readline()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, lines_of_the_page()[0])
    try:
        yield bench
    finally:
        bench.process.terminate()
        bench.process.communicate(timeout=PATIENCE)


def test_new_servos_become_a_hand(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate, scan, set_id, set_baud, doctor = lines_of_the_page()
    assert "--factory" in emulate and set_id.startswith("inhand set-id 1 7 ")
    (tmp_path / "inhandd.toml").write_text(CONFIG)
    typed("inhand config check inhandd.toml", tmp_path, PATIENCE)
    # All at once cannot be told apart.
    process = started(set_id, tmp_path, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0 and "two servos seem to have id 1" in said
    monkeypatch.chdir(tmp_path)
    for actuator in HAND.actuators:
        id = actuator.servo.id
        bench.say(f"only {id}")
        if id == 7:
            assert "id   1  XC330-M288" in typed(scan, tmp_path, PATIENCE)
            typed(set_id, tmp_path, PATIENCE)
        elif id != 1:
            SetId(port="hand-port", baud=57600, id=1, new=id).run()
    bench.say("all")
    typed(set_baud, tmp_path, PATIENCE)
    process = started(f"{doctor} --json", tmp_path, stdout=subprocess.PIPE)
    findings = json.loads(process.communicate(timeout=PATIENCE)[0])
    by_name = {one["name"]: one for one in findings}
    assert by_name["servos"]["detail"] == "16 of 16 answer"
    assert "duplicate ids" not in by_name and "unknown ids" not in by_name
    assert by_name["return delay time"]["remedy"].startswith("nothing to do")
    bus_findings = findings[: findings.index(by_name["reply time"]) + 1]
    assert "bad" not in {one["verdict"] for one in bus_findings}
    # The driver sets up what is left, and the hand moves.
    config = load_config(tmp_path / "inhandd.toml")
    hand = open_hand(HAND, config.bus, patience=0.1)
    hand.connect()
    with torque(hand):
        sent = hand.write(Targets(0.0, frozen_array(HAND.rest + 0.1)))
        np.testing.assert_allclose(hand.read().position, sent.position, atol=5e-3)
    hand.close()


@pytest.mark.slow
def test_and_the_simulated_hand_turns_the_block(tmp_path: Path) -> None:
    with simulated_daemon(tmp_path), Client(tmp_path, timeout=120) as hand:
        hand.subscribe()
        for line in STEER:
            until_accepted(line, tmp_path)
        assert any(event["kind"] == "goal_reached" for event in hand.events(timeout=600))
