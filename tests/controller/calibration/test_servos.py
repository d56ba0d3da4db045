"""`inhand calibrate servos` finds the hidden parameters of emulated servos over a real line."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.calibration.clearance import clearance
from inhand.controller.calibration.doctor_training import check_measured, compare
from inhand.controller.calibration.excitation import signal
from inhand.controller.calibration.motion_planning import GAP, plan
from inhand.controller.calibration.servos import Servos
from inhand.controller.cli.bus_verbs import Doctor
from inhand.controller.config.config import Config, load_config
from inhand.controller.errors import CalibrationError
from inhand.controller.safety.safety import Limits
from inhand.hardware.dynamixel import registers
from inhand.hardware.errors import BusError, DescriptionError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import PybulletSettings, Universe, load_universe
from tests.sim_backend.joint_wires import JointWires, joint_wires

HAND = load_hand("dactyl24")
COUNT = 2 * np.pi / registers.COUNTS
CONFIG = '[bus]\nwatchdog = 0.0\n[policy]\nfile = ""\n'


def hidden(seed: int) -> Universe:
    """Servos and joints at random; coupled joints are alike, as no encoder tells them apart."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)

    def factors(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), HAND.n_actuators))

    joints = list(HAND.actuator_of_joint)
    return Universe(
        actuator_gain=tuple(factors(0.75, 1.5)),
        torque_limit=tuple(factors(0.75, 1.25)),
        joint_damping=tuple(factors(0.4, 2.0)[joints]),
        joint_friction=tuple(rng.uniform(0.003, 0.015, HAND.n_actuators)[joints]),
        action_delay=tuple(rng.integers(5, 61, HAND.n_actuators) / 1000),
    )


def calibrate(line: JointWires, folder: Path, *joints: str, config: str = CONFIG) -> Universe:
    (folder / "inhandd.toml").write_text(config)
    out = folder / "mine.toml"
    verb = Servos(
        config=folder / "inhandd.toml", port=line.port, out=out, joints=joints, yes=True, clock=line
    )
    assert verb.run() == 0
    assert (folder / "mine.png").stat().st_size > 5_000
    return load_universe(out, HAND)


def assert_found(
    found: Universe, truth: Universe, actuators: Sequence[int], share: float = 0.1, late: float = 0
) -> None:
    """Hidden values within a share; friction also within what half a count of the encoder hides.

    Args:
        found: what the command wrote.
        truth: what was hidden.
        actuators: which were calibrated.
        share: that each value may be off.
        late: that a delay may be off besides [s].
    """
    wrong = []

    def expect(what: str, value: float, real: float, slack: float = 0.0) -> None:
        if abs(value - real) > max(share * real, slack):
            wrong.append(f"{what}: found {value:.4g} of {real:.4g}")

    for a in actuators:
        name, joint = HAND.actuator_names[a], HAND.driven_joint[a]
        count = COUNT / 2 * float(HAND.gain[a]) * truth.actuator_gain[a]
        expect(f"{name} gain", found.actuator_gain[a], truth.actuator_gain[a])
        expect(f"{name} torque", found.torque_limit[a], truth.torque_limit[a])
        expect(f"{name} delay", found.action_delay[a], truth.action_delay[a], late)
        expect(f"{name} damping", found.joint_damping[joint], truth.joint_damping[joint])
        expect(f"{name} friction", found.joint_friction[joint], truth.joint_friction[joint], count)
    assert not wrong


def test_hidden_values_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = hidden(int(np.random.SeedSequence().generate_state(1)[0]))
    with joint_wires(HAND, truth) as line:
        # A joint that moves another one with it; the slow tests do all joints.
        found = calibrate(line, tmp_path, "FFJ2")
        assert not line.bus.torque_on().any()
        assert not line.bus.outside
    assert_found(found, truth, [HAND.actuator_names.index("FFJ2")])
    told, said_before = capsys.readouterr()
    assert "moves the hand" in said_before and "wrote" in told and "FFJ2" in told
    # What was not asked for is as in the hand file.
    assert found.actuator_gain[5] == 1.0 and found.action_delay[5] == 0.0


@pytest.mark.slow
def test_hidden_values_of_all_joints_are_found(tmp_path: Path) -> None:
    truth = hidden(int(np.random.SeedSequence().generate_state(1)[0]))
    with joint_wires(HAND, truth) as line:
        assert_found(calibrate(line, tmp_path), truth, range(HAND.n_actuators))


@pytest.mark.slow
def test_hidden_values_are_found_in_a_whole_hand(tmp_path: Path) -> None:
    """PyBullet, where fingers swing, weigh and are driven in pairs; an engine that is not ours."""
    truth = hidden(int(np.random.SeedSequence().generate_state(1)[0]))
    # Its world reports current by the data sheet's torque constant.
    truth = msgspec.structs.replace(
        truth, torque_limit=(), pybullet=PybulletSettings(timestep=0.001)
    )
    with joint_wires(HAND, truth, world=True) as line:
        found = calibrate(line, tmp_path)
    expected = msgspec.structs.replace(truth, torque_limit=(1.0,) * HAND.n_actuators)
    assert_found(found, expected, range(HAND.n_actuators), late=0.001)


@pytest.fixture
def line() -> Iterator[JointWires]:
    with joint_wires(HAND, Universe()) as line:
        yield line


def test_a_derivative_gain_damps(line: JointWires, tmp_path: Path) -> None:
    config = CONFIG.replace("[bus]", "[bus]\ngains = [400, 0, 4000]")
    found = calibrate(line, tmp_path, "FFJ3", config=config)
    at, joint = HAND.actuator_names.index("FFJ3"), HAND.joint_names.index("FFJ3")
    # The factory settings of an XC330-M288 are 1100 and 500.
    assert found.actuator_gain[at] == pytest.approx(400 / 1100, rel=0.1)
    # 3500 / 16 units of 1 N·m/rad / (1100 / 128), each over a millisecond.
    damping = HAND.links[joint].damping
    assert found.joint_damping[joint] == pytest.approx((damping + 0.0255) / damping, rel=0.1)


def refused(line: JointWires, tmp_path: Path, message: str, config: str = CONFIG) -> None:
    with pytest.raises(CalibrationError, match=message):
        calibrate(line, tmp_path, "FFJ3", config=config)
    assert not (tmp_path / "mine.toml").exists()
    assert not line.bus.torque_on().any()


def test_a_joint_that_is_stuck(tmp_path: Path) -> None:
    stuck = np.zeros(HAND.n_joints)
    stuck[HAND.joint_names.index("FFJ3")] = 5.0
    with joint_wires(HAND, Universe(joint_friction=tuple(stuck))) as line:
        refused(line, tmp_path, "FFJ3 .* in a slow move: is the object in the hand")


def test_a_joint_that_hardly_moves(tmp_path: Path) -> None:
    stuck = np.zeros(HAND.n_joints)
    stuck[HAND.joint_names.index("FFJ3")] = 0.15
    with joint_wires(HAND, Universe(joint_friction=tuple(stuck))) as line:
        (tmp_path / "inhandd.toml").write_text(CONFIG)
        verb = Servos(
            config=tmp_path / "inhandd.toml",
            port=line.port,
            out=tmp_path / "mine.toml",
            joints=("FFJ3",),
            clock=line,
        )
        with pytest.raises(CalibrationError, match="FFJ3 moved through .* when told to"):
            replace(verb, yes=True, amplitude=0.1).run()


def test_a_servo_at_its_current_limit(line: JointWires, tmp_path: Path) -> None:
    refused(
        line,
        tmp_path,
        "FFJ3 drew its current limit",
        CONFIG.replace("[bus]", "[bus]\ntorque_share = 0.2"),
    )


def test_a_line_that_is_too_slow(line: JointWires, tmp_path: Path) -> None:
    move = line.sleep_until
    line.sleep_until = lambda deadline: move(deadline + 0.02)
    refused(line, tmp_path, "FFJ3: .* measurements in .* latency timer")


def test_a_servo_that_stops_answering_is_an_error(line: JointWires, tmp_path: Path) -> None:
    line.bus.servos.pop(7)
    with pytest.raises(BusError, match=r"7 \(MFJ3\)"):
        calibrate(line, tmp_path, "FFJ3")


def test_it_asks_first_and_knows_its_joints(
    line: JointWires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = line.received
    verb = Servos(port=line.port, out=tmp_path / "mine.toml", joints=("FFJ3",), clock=line)
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    with pytest.raises(CalibrationError, match="not confirmed"):
        verb.run()
    with pytest.raises(DescriptionError, match="no actuator FFJ1"):
        replace(verb, joints=("FFJ1",)).run()
    with pytest.raises(CalibrationError, match="amplitude"):
        replace(verb, amplitude=2.0).run()
    with pytest.raises(CalibrationError, match="make it first"):
        replace(verb, out=tmp_path / "none" / "mine.toml").run()
    assert line.received == before


def test_the_motion_stays_inside_the_limits() -> None:
    limits = Limits.of(HAND)
    assert max(abs(signal(t)) for t in np.arange(-1.0, 10.0, 0.01)) <= 1.0
    for at in range(HAND.n_actuators):
        one = plan(HAND, at)
        assert one.amplitude > 0.09
        poses = np.array([one.at(share) for share in np.linspace(-1.0, 1.0, 9)])
        assert (poses >= limits.lower - 1e-12).all() and (poses <= limits.upper + 1e-12).all()
        assert clearance(HAND, poses).min() > GAP
        # One that is hardly damped swings over by its amplitude, and meets no stop.
        free = min(one.pose[at] - limits.lower[at], limits.upper[at] - one.pose[at])
        widest = (limits.upper[at] - limits.lower[at]) / 2
        assert free >= min(2.2 * one.amplitude, widest) - 1e-12


def test_values_beside_what_a_policy_was_trained_on(tmp_path: Path) -> None:
    gain = [1.0] * HAND.n_actuators
    gain[4] = 2.0
    measured = {"actuator_gain": gain, "action_delay": [0.01] * HAND.n_actuators}
    found = {one.name: one for one in compare(HAND, measured, 1.0)}
    assert found.keys() == {"servo gain", "servo delay"}
    assert found["servo gain"].verdict == "warning" and "FFJ2 2" in found["servo gain"].detail
    assert "0.75 to 1.5" in found["servo gain"].detail
    assert (
        "register 84" in found["servo gain"].remedy and "FFJ2 × 0.50" in found["servo gain"].remedy
    )
    assert found["servo delay"].verdict == "good"
    # At scale 0 nothing was varied.
    assert all(one.verdict == "warning" for one in compare(HAND, measured, 0.0))


def test_the_doctor_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (only,) = check_measured(Config())
    assert only.verdict == "warning" and "calibrate servos" in only.remedy
    file = tmp_path / "mine.toml"
    file.write_text(f"actuator_gain = {[2.0] * HAND.n_actuators}\n")
    (tmp_path / "inhandd.toml").write_text(f'[bus]\nmeasured = "{file}"\n')
    assert {one.verdict for one in check_measured(load_config(tmp_path / "inhandd.toml"))} == {
        "warning"
    }
    Doctor(config=tmp_path / "inhandd.toml", json=True).run()
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert told["servo gain"]["verdict"] == "warning"
    file.write_text("actuator_gain = [1.0]\n")
    assert check_measured(load_config(tmp_path / "inhandd.toml"))[0].verdict == "bad"
