"""Start errors of the daemon are one line of text; requests that readonly refuses."""

import os
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

from inhand.controller.core.controller import Controller
from inhand.controller.errors import PolicyError, StartError
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.ipc.dispatch import perform
from inhand.controller.ipc.protocol import decode_request
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.controller.runtime.daemon import Daemon
from inhand.controller.runtime.fit_watch import FitWatch
from inhand.controller.runtime.hand_link import HandLink
from inhand.controller.runtime.options import Options
from inhand.controller.system.paths import lock_run_directory
from inhand.hardware.errors import BusError, DescriptionError
from inhand.hardware.records import JointState, Targets
from inhand.perception.cameras import load_rig, save_rig
from inhand.perception.errors import PerceptionError
from inhand.sim_backend.rig import default_rig
from tests.controller import tiny_policy
from tests.controller.bench_hand import BLOCK, HAND, Bench
from tests.controller.runtime.test_hand_link import FragileHand

RIG = '[cameras]\nrig = "{rig}"\nsources = {{left = "/dev/no-camera"}}\n'
EXAMPLES = ["estop", "enable", "disable", "home", "arm", "disarm", "cancel", "hold", "clear"]


def refused(directory: Path, config: str, error: type[Exception], words: str, **more: Path) -> None:
    rig, file = directory / "rig.toml", directory / "inhandd.toml"
    save_rig(rig, default_rig())
    file.write_text(config.format(rig=rig))
    with pytest.raises(error, match=words) as caught:
        Daemon(Options(config=file, directory=directory / "run", **more)).run()
    assert "\n" not in str(caught.value)


def test_no_servo_bus(tmp_path: Path) -> None:
    refused(tmp_path, RIG + '[bus]\nport = "/dev/nothing"', BusError, "/dev/nothing: no such")


def test_a_camera_that_is_not_in_the_rig(tmp_path: Path) -> None:
    refused(tmp_path, RIG.replace("left", "top"), StartError, "has no camera top; it has")


def test_no_rig(tmp_path: Path) -> None:
    refused(tmp_path, RIG.replace("{rig}", "/no/rig"), PerceptionError, "/no/rig")


def test_no_such_hand_or_object(tmp_path: Path) -> None:
    refused(tmp_path, 'hand = "hook"', DescriptionError, "hook")
    refused(tmp_path, 'object = "ball"', PerceptionError, "ball")


def test_a_policy_for_another_tick_rate(tmp_path: Path) -> None:
    tiny_policy.write_policy(tmp_path / "p.onnx", HAND)
    config = "tick_rate = 200\n" + RIG
    refused(tmp_path, config, PolicyError, "made for 100 ticks/s", policy=tmp_path / "p.onnx")


def test_a_policy_file_that_is_invalid_or_for_another_hand_or_object(tmp_path: Path) -> None:
    path, built = tmp_path / "p.onnx", tiny_policy.model(HAND)
    path.write_bytes(b"a picture of a cat")
    refused(tmp_path, RIG, PolicyError, "not an ONNX file", policy=path)
    fitting = tiny_policy.metadata(HAND, built)
    for members, words in (
        ({"object": "prism"}, "made for object prism, this is block"),
        ({"joints": list(reversed(HAND.joint_names))}, "joints differ"),
    ):
        tiny_policy.write(path, built, {**fitting, **members})
        refused(tmp_path, RIG, PolicyError, words, policy=path)


def test_a_policy_that_is_not_allowed(tmp_path: Path) -> None:
    tiny_policy.write_policy(tmp_path / "block.onnx", HAND)
    config = f'[policy]\ndirectory = "{tmp_path}"\n' + RIG
    refused(tmp_path, config, PolicyError, "not on the allow-list")


def test_another_daemon_uses_the_directory(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    held = lock_run_directory(tmp_path / "run")
    refused(tmp_path, "", StartError, "another inhandd runs")
    os.close(held)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_readonly_refuses_what_could_move_the_hand(kind: str) -> None:
    bench = Bench()
    bench.run(0.3)
    before = bench.controller.snapshot()
    request = decode_request(msgspec.json.encode({"v": 1, "id": 1, "type": kind}))
    answer = perform(bench.controller, PendingRequest([b""], request), readonly=True)
    assert (answer.result, answer.code) == (None, "readonly")
    assert bench.controller.snapshot() == before


class _PunctualHand(FragileHand):
    """A hand whose joint states carry the current time."""

    def read(self, deadline: float | None = None) -> JointState:
        return replace(super().read(deadline), t=monotonic())


@pytest.mark.parametrize("exit", ["relax", "hold"])
def test_a_defect_in_the_tick_stops_the_hand_in_a_controlled_way(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exit: str,
) -> None:
    hand = _PunctualHand()
    tick, ticks = Controller.tick, []

    def broken(self: Controller[Any], *arguments: Any) -> Targets | None:
        ticks.append(hand.torque)
        if len(ticks) == 10:
            self.enable()
        if len(ticks) == 20:
            raise ZeroDivisionError("a defect")
        return tick(self, *arguments)

    monkeypatch.setattr(Controller, "tick", broken)
    monkeypatch.setattr(
        "inhand.controller.runtime.daemon.open_link", lambda *_, **__: HandLink(hand)
    )
    save_rig(tmp_path / "rig.toml", default_rig())
    cameras = load_rig(tmp_path / "rig.toml")
    found = (
        CameraInbox(tmp_path, cameras).open(),
        PoseFilter(BLOCK, cameras),
        FitWatch(BLOCK, cameras),
    )
    monkeypatch.setattr(Daemon, "_cameras", lambda *_: found)
    monkeypatch.setattr("inhand.controller.runtime.daemon.signal.signal", lambda *_: None)
    file = tmp_path / "inhandd.toml"
    file.write_text(
        f'[cameras]\nrig = "{tmp_path}/rig.toml"\n[policy]\ndirectory = "{tmp_path}"\n'
        f'file = ""\n[safety]\nexit = "{exit}"\n[realtime]\npriority = 0\nlock_memory = false\n'
        f'[recording]\ndirectory = "{tmp_path}"\n'
    )
    with pytest.raises(ZeroDivisionError):
        Daemon(Options(config=file, directory=tmp_path / "run")).run()
    assert ticks[-1] is True and len(ticks) == 20
    assert hand.torque is (exit == "hold") and not hand.open
    assert (
        "inhandd ended: the tick failed: ZeroDivisionError('a defect')" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"real_time": True}, "--real-time and --hold are for a simulated hand: add --sim"),
        ({"hold": True}, "--real-time and --hold are for a simulated hand: add --sim"),
        ({"sim": True, "hold": True, "real_time": True}, "real time cannot be held"),
        ({"sim": True, "seed": -1}, "--seed -1 must not be negative"),
    ],
)
def test_options_of_the_simulation_that_are_refused(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(StartError, match=words):
        Daemon(Options(directory=tmp_path, **options)).run()
