"""Before arming, all that is not as it should be is said at once."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.runtime.arm_check import Surroundings
from inhand.controller.safety.modes import Mode
from inhand.hardware.dynamixel.registers import MODELS
from tests.controller.bench_hand import HAND
from tests.controller.looped import Looped


def test_nothing_to_warn_of(tmp_path: Path) -> None:
    surroundings = Surroundings(HAND, tmp_path / "not" / "made" / "yet")
    assert surroundings.warnings({"left": ""}, [], "", None) == ()


def test_everything_to_warn_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inhand.controller.runtime.arm_check.RESERVE", 1 << 62)
    surroundings = Surroundings(HAND, tmp_path, True, ["SCHED_FIFO", "mlockall"])
    voltage = np.array([sum(MODELS[one.servo.model].voltage) / 2 for one in HAND.actuators])
    voltage[3] = 1.5
    warnings = surroundings.warnings(
        {"left": "its frames are 0.90 s late", "right": ""}, ["recorder"], "no reply", voltage
    )
    starts = ("camera left: ", "process recorder ", "servo bus: ", "joints are not calibrated")
    starts += ("real time: the system refused SCHED_FIFO, mlockall", "recordings in ", "supply: ")
    assert all(one.startswith(start) for one, start in zip(warnings, starts, strict=True))
    assert HAND.actuator_names[3] in warnings[-1] and "1.5 V" in warnings[-1]


def test_a_refusal_names_all_problems(tmp_path: Path) -> None:
    looped = Looped(tmp_path)
    looped.run(30)
    assert looped.ask("enable")["ok"]
    looped.loop.requests._warnings = lambda: ("camera left: broken", "servo bus: noisy")
    reply = looped.ask("arm")
    assert reply["ok"] and reply["warnings"] == ["camera left: broken", "servo bus: noisy"]
    assert looped.ask("disarm")["ok"]
    looped.controller.operation.policy = None
    looped.controller._object_watch.pose = None
    error = looped.ask("arm")["error"]
    assert error["code"] == "no_policy"
    words = ("no verified policy", "last seen never", "camera left: broken", "servo bus: noisy")
    assert all(word in error["message"] for word in words)
    # Without a transition, only that is said.
    assert looped.ask("disable")["ok"]
    assert "camera" not in looped.ask("arm")["error"]["message"]
    looped.close()


def test_after_a_suspension_a_hand_with_torque_stops(tmp_path: Path) -> None:
    looped = Looped(tmp_path)
    looped.start(Mode.RUNNING)
    asleep = [3600.0]
    looped.loop._suspended = lambda: asleep.pop() if asleep else 0.0
    looped.run(1)
    assert looped.controller.mode == Mode.FAULT
    assert looped.controller.operation.reason == "the machine was suspended for 3600.0 s"
    assert looped.controller.goals.active is None
    looped.run(10)
    assert looped.ask("clear")["mode"] == "off"
    # Without torque nothing needs to stop.
    asleep.append(3600.0)
    looped.run(1)
    assert looped.controller.mode == Mode.OFF
    looped.close()
