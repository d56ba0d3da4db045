"""`inhand calibrate joints` and `inhand doctor --move` on hands that were assembled wrongly."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.calibration.joints import Joints
from inhand.controller.calibration.move_check import check_motion
from inhand.controller.cli.bus_verbs import Doctor
from inhand.controller.config.sections import BusConfig
from inhand.controller.errors import CalibrationError
from inhand.controller.system.clock import VirtualClock
from inhand.controller.system.open_hand import open_hand
from inhand.hardware.dynamixel import registers
from inhand.hardware.errors import DescriptionError
from inhand.hardware.identification.encoder_offsets import (
    Ends,
    SeatedServo,
    load_seating,
    seat,
    seated,
    seating_text,
)
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array, Targets
from tests.sim_backend.joint_wires import joint_wires
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
FFJ3, FFJ2, THJ1 = (HAND.actuator_names.index(name) for name in ("FFJ3", "FFJ2", "THJ1"))
COUNT = 2 * np.pi / registers.COUNTS


def built(changes: dict[int, dict[str, object]]) -> Hand:
    """The hand as it was really screwed together: servos that differ from the hand file."""
    actuators = list(HAND.actuators)
    for at, change in changes.items():
        servo = msgspec.structs.replace(actuators[at].servo, **change)
        actuators[at] = msgspec.structs.replace(actuators[at], servo=servo)
    return replace(HAND, actuators=tuple(actuators))


SWAPPED = {FFJ3: {"id": 5}, FFJ2: {"id": 4}}


class Person(io.StringIO):
    """Does the next thing whenever Enter is to be pressed."""

    def __init__(self, acts: Sequence[Callable[[], object]]) -> None:
        super().__init__()
        self._acts = list(acts)

    def readline(self, size: int = -1) -> str:
        if not self._acts:
            return ""
        self._acts.pop(0)()
        return "\n"


def nothing() -> None:
    """Only presses Enter."""


def move(line: Wires, at: int, share: float) -> Callable[[], None]:
    """Moves a joint to a share of its range."""

    def act() -> None:
        with line.lock:
            angle = HAND.lower[at] + share * (HAND.upper[at] - HAND.lower[at])
            line.position = np.where(np.arange(len(line.position)) == at, angle, line.position)

    return act


def run(
    monkeypatch: pytest.MonkeyPatch, line: Wires, verb: Joints, *acts: Callable[[], object]
) -> int:
    monkeypatch.setattr("sys.stdin", Person([nothing, *acts]))
    return replace(verb, port=line.port, clock=VirtualClock()).run()


def assert_same_angles(found: Array, wanted: Array) -> None:
    """Joint angles [rad], (n_actuators,), are the same up to whole turns of their servos."""
    apart = np.remainder(found - wanted + np.pi, 2 * np.pi) - np.pi
    np.testing.assert_allclose(apart, 0.0, atol=COUNT)


def test_zero_sign_and_range_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}")
    zeros = np.random.default_rng(seed).uniform(-0.6, 0.6, 2)
    real = built(
        {
            FFJ3: {"sign": -HAND.actuators[FFJ3].servo.sign, "zero": float(zeros[0])},
            THJ1: {"zero": float(zeros[1])},
        }
    )
    out = tmp_path / "joints.toml"
    with wires(real) as line:
        # Somebody has left it with torque on, and set up.
        backend = open_hand(HAND, BusConfig(watchdog=0), line.port, patience=0.1, anywhere=True)
        backend.connect()
        backend.set_torque(True)
        backend.close()
        # A hand whose zeros are that wrong is not taken into service.
        line.bus.in_order[FFJ2].turns = 1
        acts = [move(line, at, share) for at in (FFJ3, THJ1) for share in (0.0, 1.0)]
        assert run(monkeypatch, line, Joints(out=out, joints=("FFJ3", "THJ1")), *acts) == 0
        assert not line.bus.torque_on().any()
        assert "name it under [bus] joints" in capsys.readouterr().out
        found = load_seating(out, HAND)
        assert found.keys() == {"FFJ3", "THJ1"}
        for at, name in ((FFJ3, "FFJ3"), (THJ1, "THJ1")):
            assert found[name].sign == real.actuators[at].servo.sign
            assert found[name].zero == pytest.approx(real.actuators[at].servo.zero, abs=COUNT)
            assert found[name].range == pytest.approx((HAND.lower[at], HAND.upper[at]), abs=COUNT)
        # A driver that has the file reads the joints as they stand, and commands them so.
        backend = open_hand(HAND, BusConfig(joints=str(out), watchdog=0), line.port, patience=0.1)
        backend.connect()
        assert_same_angles(backend.read().position, line.position)
        backend.set_torque(True)
        backend.write(Targets(0.0, HAND.rest))
        np.testing.assert_allclose(backend.read().position, HAND.rest, atol=COUNT)
        assert_same_angles(line.position, HAND.rest)
        backend.set_torque(False)
        backend.close()
        # A second run keeps what it replaces, and the joints that it does not ask for.
        before = out.read_text()
        acts = [move(line, FFJ2, share) for share in (0.0, 1.0)]
        run(monkeypatch, line, Joints(out=out, joints=("FFJ2",)), *acts)
    assert (tmp_path / "joints.toml.1").read_text() == before
    assert load_seating(out, HAND).keys() == {"FFJ3", "FFJ2", "THJ1"}


def test_swapped_ids_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "joints.toml"
    with wires(built(SWAPPED)) as line:
        acts = [move(line, FFJ3, share) for share in (0.0, 1.0)]
        with pytest.raises(CalibrationError, match="servo 5 moved, which is FFJ2 .* set-id"):
            run(monkeypatch, line, Joints(out=out, joints=("FFJ3",)), *acts)
    assert not out.exists()


def test_no_motion_and_cancelling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    verb = Joints(out=tmp_path / "joints.toml", joints=("FFJ3",))
    with wires(HAND) as line:
        with pytest.raises(CalibrationError, match="no encoder moved when FFJ3"):
            run(monkeypatch, line, verb, nothing, nothing)
        with pytest.raises(DescriptionError, match="was it moved to both its ends"):
            run(monkeypatch, line, verb, move(line, FFJ3, 0.3), move(line, FFJ3, 0.5))

        def both() -> None:
            move(line, FFJ3, 1.0)()
            move(line, FFJ2, 1.0)()

        with pytest.raises(CalibrationError, match="moved together; move FFJ3 alone"):
            run(monkeypatch, line, verb, move(line, FFJ3, 0.0), both)
        with pytest.raises(CalibrationError, match="cancelled"):
            run(monkeypatch, line, verb, nothing)
        with pytest.raises(CalibrationError, match="either --out FILE or --check"):
            replace(verb, check=True).run()
    assert not verb.out or not verb.out.exists()


@pytest.mark.parametrize(
    ("changes", "at", "told"),
    [
        ({}, FFJ3, "good"),
        (SWAPPED, FFJ3, "servo 5 moved, which is FFJ2"),
        ({FFJ3: {"sign": -HAND.actuators[FFJ3].servo.sign}}, FFJ3, "FFJ3 is reversed"),
        ({THJ1: {"zero": 1.5}}, THJ1, "its zero is off"),
    ],
)
def test_the_check_by_hand(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[int, dict[str, object]],
    at: int,
    told: str,
) -> None:
    with wires(built(changes)) as line:
        verb = Joints(check=True, joints=(HAND.actuator_names[at],))
        code = run(monkeypatch, line, verb, move(line, at, 0.5), move(line, at, 0.85))
    assert code == int(told != "good")
    assert told in capsys.readouterr().out


def test_zero_sign_and_range_are_as_measured() -> None:
    with pytest.raises(DescriptionError, match="encoder jumps within"):
        seat(HAND, FFJ3, Ends(2.0, 3.5))
    found = seat(HAND, FFJ3, Ends(1.0, -0.5))
    assert found.sign == -1
    # The middle of both ends is the middle of the range.
    assert found.zero - 0.25 == pytest.approx((HAND.lower[FFJ3] + HAND.upper[FFJ3]) / 2)


def test_a_range_only_becomes_narrower() -> None:
    narrow = seated(HAND, {"FFJ2": SeatedServo(1, 0.0, (0.1, 9.0))})
    assert narrow.lower[FFJ2] == 0.1 and narrow.upper[FFJ2] == HAND.upper[FFJ2]
    assert narrow.links[HAND.joint_names.index("FFJ1")].range == (0.1, HAND.upper[FFJ2])
    assert narrow.digest == HAND.digest
    with pytest.raises(DescriptionError, match="FFJ2: the rest pose .* lies outside the range"):
        seated(HAND, {"FFJ2": SeatedServo(1, 0.0, (0.6, 1.5))})
    with pytest.raises(DescriptionError, match="LFJ5: the action_zero 0.00 rad lies outside"):
        seated(HAND, {"LFJ5": SeatedServo(1, 0.0, (0.1, 0.7))})


def test_files_that_are_not_of_this_hand(tmp_path: Path) -> None:
    file = tmp_path / "joints.toml"
    with pytest.raises(DescriptionError, match="No such file"):
        load_seating(file, HAND)
    file.write_text(seating_text(HAND, {"FFJ2": SeatedServo(1, 0.0, (0.1, 0.9))}))
    assert load_seating(file, HAND) == {"FFJ2": SeatedServo(1, 0.0, (0.1, 0.9))}
    with pytest.raises(DescriptionError, match="is of hand dactyl24"):
        load_seating(file, load_hand("leap"))
    file.write_text(file.read_text().replace("FFJ2", "XXJ2"))
    with pytest.raises(DescriptionError, match="has no XXJ2"):
        load_seating(file, HAND)
    file.write_text(file.read_text().replace("sign = 1", "sign = 2"))
    with pytest.raises(DescriptionError, match="joint file"):
        load_seating(file, HAND)


def test_the_doctor_moves_each_joint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "inhandd.toml"
    config.write_text("[bus]\nwatchdog = 0.0\n")
    with joint_wires(HAND, Universe()) as line:
        doctor = Doctor(config=config, port=line.port, json=True, move=True, clock=line)
        monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
        with pytest.raises(CalibrationError, match="nothing was moved"):
            doctor.run()
        assert not line.bus.torque_on().any()
        capsys.readouterr()
        replace(doctor, yes=True).run()
        told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
        assert told["motion"]["detail"] == "20 joints follow, each alone"
        assert not line.bus.torque_on().any() and not line.bus.outside


def test_the_doctor_finds_joints_that_do_not_follow() -> None:
    stuck = np.zeros(HAND.n_joints)
    stuck[HAND.joint_names.index("FFJ3")] = 0.2
    with joint_wires(HAND, Universe(joint_friction=tuple(stuck))) as line:
        found = check_motion(HAND, BusConfig(watchdog=0), line.port, line)
    assert [(one.name, one.verdict) for one in found] == [("motion FFJ3", "bad")]
    assert "told to go" in found[0].detail
