"""The way from a published model to a hand that moves, by the commands of its page.

Among them: `inhand config check`, `joints`, `goal`, `disarm`, `disable`, `shutdown`.
"""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from inhand.controller.cli.bus_verbs import SetId
from inhand.controller.client.sync import Client
from inhand.hardware.model.hand import load_hand
from tests.documents.pages import DOCS, blocks, files
from tests.documents.shell import started, typed
from tests.documents.test_bring_up import Bench
from tests.documents.test_commands_run import until_accepted

PAGE = DOCS / "connect-your-hand.md"
PATIENCE = 300.0


def lines_of_the_page() -> list[str]:
    """All lines of its shell blocks, up to the cameras."""
    text = "\n".join(blocks(PAGE, "sh"))
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line]
    return lines[: lines.index("inhand cameras list --probe")]


def patient(name: str, text: str) -> str:
    """The file, with deadlines that a machine keeps beside other programs."""
    if "sim" in name or "bench" in name:
        text += "\n[safety]\njoint_ticks = 20\n"
    if "bench" in name:
        text = text.replace("[bus]\n", "[bus]\nwatchdog = 2.5\n")
    return text


@contextmanager
def daemon(line: str, folder: Path) -> Iterator[None]:
    """A daemon; whoever uses it shuts it down."""
    process = started(line, folder)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < deadline and process.poll() is None
            try:
                with Client(folder, timeout=120) as client:
                    client.status()
                break
            except Exception:
                time.sleep(0.5)
        yield
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def until_measured(angle: float, folder: Path) -> None:
    """Waits until the daemon publishes this angle of the first actuator [rad]."""
    with Client(folder, timeout=120) as client:
        client.subscribe()
        position = None
        for topic, message in client.messages(timeout=PATIENCE):
            if topic == "state":
                position = message["joints"]["position"][0]
                if position == pytest.approx(angle, abs=0.05):
                    return
    raise AssertionError(f"at {position}")


def steered(lines: list[str], folder: Path) -> None:
    """Runs lines one after the other; from the first one again after a fault of the line."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            for line in lines:
                typed(line, folder, PATIENCE)
                if line.startswith("inhand joints"):
                    until_measured(float(line.split("=")[1].split()[0]), folder)
            return
        except AssertionError as error:
            # Beside other programs, a reply can come too late.
            if "fault" not in str(error) or time.monotonic() > deadline:
                raise
            with suppress(AssertionError):
                typed("inhand clear", folder, PATIENCE)


def turned(lines: list[str], folder: Path, place: Callable[[], None]) -> None:
    """Arms the hand and sends it goals until one is reached; after a drop the block is put back."""
    deadline = time.monotonic() + PATIENCE
    with Client(folder, timeout=120) as client:
        while (now := client.status())["reached"] == 0:
            assert time.monotonic() < deadline
            mode = now["mode"]
            if mode in ("holding", "ready"):
                place()
                with suppress(AssertionError):
                    for line in lines:
                        typed(line, folder, PATIENCE)
            elif mode != "running":
                for line in ("inhand clear", "inhand enable", "inhand home"):
                    with suppress(AssertionError):
                        typed(line, folder, PATIENCE)
            time.sleep(0.5)


def in_simulation(lines: list[str], folder: Path) -> None:
    """The hand without a policy, then with one."""
    again = next(at for at, line in enumerate(lines) if at and line.startswith("inhandd"))
    with daemon(lines[0], folder):
        for line in lines[1:again]:
            until_accepted(line, folder)
    enable, home, place, arm, goal, status, shutdown = lines[again + 1 :]
    with daemon(lines[again], folder):
        for line in (enable, home):
            until_accepted(line, folder)
        turned([arm, goal], folder, lambda: until_accepted(place, folder))
        for line in (status, shutdown):
            typed(line, folder, PATIENCE)


@pytest.mark.alone
@pytest.mark.slow
def test_a_published_model_becomes_a_hand_that_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(patient(name, text))
    lines = lines_of_the_page()
    show = lines.index("inhand hand show my-hand.toml")
    for line in lines[:show]:
        typed(line, tmp_path, PATIENCE)
    hand = load_hand("my-hand.toml")
    assert [actuator.on_bus.id for actuator in hand.actuators] == [
        actuator.on_bus.id for actuator in load_hand("leap").actuators
    ]
    page = started(lines[show], tmp_path, stdout=subprocess.PIPE)
    assert page.stdout is not None and "http://127.0.0.1:" in page.stdout.readline()
    page.send_signal(signal.SIGINT)
    assert page.wait(PATIENCE) == 0
    mirror, check, simulate, *rest = lines[show + 1 :]
    typed(mirror, tmp_path, PATIENCE)
    typed(check, tmp_path, PATIENCE)
    bench = next(at for at, line in enumerate(rest) if line.startswith("inhand emulate"))
    in_simulation([simulate, *rest[:bench]], tmp_path)
    emulate, set_id, set_baud, doctor, inhandd, *steer = rest[bench:]
    assert set_id.startswith("inhand set-id 1 7 ")
    servos = Bench(tmp_path, emulate)
    try:
        for actuator in hand.actuators:
            servos.say(f"only {actuator.on_bus.id}")
            if actuator.on_bus.id == 7:
                typed(set_id, tmp_path, PATIENCE)
            elif actuator.on_bus.id != 1:
                SetId(port="hand-port", baud=57600, id=1, new=actuator.on_bus.id).run()
        servos.say("all")
        typed(set_baud, tmp_path, PATIENCE)
        said = started(doctor, tmp_path, stdout=subprocess.PIPE).communicate(timeout=PATIENCE)[0]
        assert "16 of 16 answer" in said
        with daemon(inhandd, tmp_path):
            at = steer.index("inhand arm")
            steered(steer[:at], tmp_path)
            turned(steer[at : at + 2], tmp_path, lambda: servos.say("place"))
            steered(steer[at + 2 :], tmp_path)
    finally:
        servos.process.terminate()
        servos.process.communicate(timeout=PATIENCE)
