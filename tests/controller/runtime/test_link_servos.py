"""The link with real drivers and emulated servos on pty lines, while some servos have errors."""

import os
import time
from collections.abc import Iterator

import numpy as np
import pytest

from inhand.controller.config.settings import SafetySettings
from inhand.controller.safety.derating import Effort
from inhand.controller.safety.modes import Happening, Mode
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.protocol import Instruction, Parser
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.errors import BusError
from inhand.hardware.records import JointState, Targets, frozen_array
from tests.controller import linked
from tests.controller.bench_hand import Bench
from tests.controller.linked import HAND, PARTS, REST, Rig, rigged
from tests.sim_backend.wires import wires

IDS = [actuator.servo.id for actuator in HAND.actuators]
ERRORS = sorted(registers.HARDWARE_ERRORS)


@pytest.fixture(params=[1, 2], ids=["one bus", "two buses"])
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with rigged(request.param, monkeypatch) as rig:
        yield rig


@pytest.mark.parametrize("bit", ERRORS)
def test_with_any_servo_error_the_hand_is_read_held_and_released(rig: Rig, bit: int) -> None:
    link = rig.link
    for id in IDS:
        # A synchronous write has no reply; it has arrived once the servos answer the next read.
        assert link.read() is not None
        assert link.write(True, REST) is not None
        rig.ill(id, bit)
        for _ in range(5):
            joints = link.read()
            assert joints is not None and np.isfinite(joints.position).all()
            assert registers.HARDWARE_ERRORS[bit] in link.servo_error and f"servo {id} (" in (
                link.servo_error
            )
            assert link.write(True, REST) is not None and not link.lost
            link.seek()
        assert rig.pulling >= 19
        assert link.write(False, REST) is None
        # The bytes are on the line; a busy machine reads them later.
        rig.until(lambda: rig.pulling == 0, torque=False)
        for line in rig.lines:
            with line.lock:
                line.faults.mend()


@pytest.mark.parametrize("id", [1, 5, 20])
@pytest.mark.parametrize("bit", ERRORS)
def test_the_exit_switches_torque_off_with_a_servo_in_error(
    monkeypatch: pytest.MonkeyPatch, id: int, bit: int
) -> None:
    with rigged(1, monkeypatch) as rig:
        assert rig.link.write(True, REST) is not None
        rig.ill(id, bit)
        rig.link.read()
        rig.link.close(False)
        assert rig.pulling == 0


def test_the_exit_leaves_torque_on_if_configured(rig: Rig) -> None:
    rig.link.write(True, REST)
    rig.ill(5, 0)
    rig.link.close(True)
    assert rig.pulling == 20


@pytest.mark.parametrize("id", IDS)
def test_a_silent_servo_is_named_until_it_is_read_back(
    monkeypatch: pytest.MonkeyPatch, id: int
) -> None:
    with rigged(1, monkeypatch) as rig:
        link, (line,) = rig.link, rig.lines
        link.write(True, REST)
        silent = line.bus.servos.pop(id)
        name = HAND.actuator_names[IDS.index(id)]
        said = f"torque could not be confirmed on servo {id} ({name}), which may"
        rig.until(lambda: said in link.problem, torque=False)
        assert sum(s.get(registers.TORQUE_ENABLE) for s in line.bus.servos.values()) == 0
        line.bus.servos[id] = silent
        rig.until(lambda: rig.pulling == 0 and not link.problem, torque=False)


def test_with_one_of_two_buses_lost_the_other_is_still_controlled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rigged(2, monkeypatch) as rig:
        link = rig.link
        link.write(True, REST)
        rig.lines[0].unplug()
        mine = np.isin(HAND.actuator_names, PARTS["other"].actuator_names)
        for _ in range(10):
            joints = link.read()
            assert joints is not None
            assert np.isfinite(joints.position[mine]).all()
            assert np.isnan(joints.position[~mine]).all()
            before = rig.lines[1].bus.packets
            link.write(True, REST)
            link.seek()
        # The write has arrived once the servos answer the next read.
        assert link.lost and link.read() is not None
        assert rig.lines[1].bus.packets >= before + 2
        assert rig.lines[1].bus.torque_on().all()
        assert "serial port" in link.problem
        rig.until(lambda: not rig.lines[1].bus.torque_on().any(), torque=False)


def test_torque_off_is_sent_first_on_a_reconnected_bus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rigged(1, monkeypatch) as rig, wires(HAND) as again:
        link = rig.link
        link.write(True, REST)
        rig.lines[0].unplug()
        rig.until(lambda: link._buses[0]._reconnect_thread is not None)
        # The emergency stop comes while there is no line; then there is one, with an ill servo.
        link.write(False, REST)
        for servo in again.bus.servos.values():
            servo.set(registers.TORQUE_ENABLE, 1)
        again.faults.inject("alert", 5, error=registers.OVERHEATED)
        rig.drivers[0].bus._line.path = again.port
        rig.until(lambda: not again.bus.torque_on().any(), torque=False)
        first = Parser().feed(again.received)[0]
        assert first.instruction == Instruction.SYNC_WRITE
        assert int.from_bytes(first.parameters[:2], "little") == registers.TORQUE_ENABLE.address
        rig.lines = [again]


def test_torque_goes_off_at_once_while_a_lost_bus_is_reconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with rigged(1, monkeypatch) as rig:
        monkeypatch.setattr(rig.link._buses[0], "_pause", 60.0)
        link, (line,) = rig.link, rig.lines
        link.write(True, REST)
        every = dict(line.bus.servos)
        line.bus.servos.clear()
        rig.until(lambda: link._buses[0]._reconnect_thread is not None)
        # The servos answer again, but the next attempt to reconnect is a minute away.
        line.bus.servos.update(every)
        assert rig.pulling == 20
        rig.until(lambda: rig.pulling == 0, torque=False)


def test_a_hand_that_was_not_set_up_again_gets_no_torque(monkeypatch: pytest.MonkeyPatch) -> None:
    with rigged(1, monkeypatch) as rig:
        link, (line,) = rig.link, rig.lines
        link.write(True, REST)
        every = dict(line.bus.servos)
        line.bus.servos.clear()
        rig.until(lambda: link._buses[0]._reconnect_thread is not None)
        # Another hand is connected in its place.
        every[5].set(registers.MODEL_NUMBER, 1)
        line.bus.servos.update(every)
        rig.until(lambda: "model number 1" in link.problem)
        assert rig.pulling == 0
        for torque in (True, False, True):
            assert link.read() is None and link.write(torque, REST) is None
        assert rig.pulling == 0


def test_a_clear_reboots_a_servo_in_error_and_torque_is_off(rig: Rig) -> None:
    link = rig.link
    link.write(True, REST)
    rig.ill(5)
    link.read()
    assert link.servo_error
    link.reboot()
    rig.until(lambda: not link.servo_error and link.read() is not None)
    assert rig.line_of(5).bus.servos[5].get(registers.HARDWARE_ERROR) == 0
    bus = rig.line_of(5).bus
    assert not bus.torque_on().any()
    link.write(False, REST)
    rig.until(lambda: rig.pulling == 20)


@pytest.mark.parametrize("id", [1, 5, 20])
@pytest.mark.parametrize("buses", [1, 2])
def test_a_fault_of_one_servo_leaves_the_others_their_share_of_torque(
    monkeypatch: pytest.MonkeyPatch, id: int, buses: int
) -> None:
    """The whole loop except its clock: the test sets the controller's time."""
    with rigged(buses, monkeypatch) as rig:
        bench = Bench(safety=SafetySettings(fault_hold=0.1))
        controller, link = bench.controller, rig.link
        away = frozen_array(HAND.rest + 0.2)

        def tick(read: JointState | None = None) -> Targets:
            bench.t += 0.01
            joints = link.read()
            assert joints is not None
            if read is not None:
                joints = JointState(joints.t, read.position, joints.velocity, joints.current)
            told = JointState(bench.t, joints.position, joints.velocity, joints.current)
            targets = controller.tick(bench.t, told)
            sent = link.write(controller.torque, targets)
            if link.servo_error:
                controller.report(Happening.SERVO_ERROR, link.servo_error)
            assert targets is not None
            return sent or targets

        for _ in range(5):
            tick()
        controller.enable()
        for _ in range(5):
            tick()
        rig.ill(id)
        assert tick() is not None and controller.mode == Mode.FAULT
        # An object pushes the fingers aside: after a while they give way.
        pushed = JointState(0.0, away, away, away)
        for _ in range(5):
            sent = tick(pushed)
        assert np.abs(sent.position - away).max() > 0.19
        for _ in range(60):
            sent = tick(pushed)
        reach = 0.3 * Effort.of(HAND, Units(HAND).torque_per_ampere).reach
        inside = (away > HAND.lower) & (away < HAND.upper)
        assert (np.abs(sent.position - away) <= reach + 2e-3)[inside].all()
        assert rig.pulling == 19
        controller.estop()
        # On a busy machine the emulator may answer later than one tick waits; a tick repeats it.
        tick()
        rig.until(lambda: rig.pulling == 0, torque=False)


def test_nothing_is_waited_for_longer_than_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    # Replies are waited for much longer than a tick, so that a busy machine is in time.
    monkeypatch.setattr(linked, "PATIENCE", 1.0)
    with rigged(1, monkeypatch) as rig:
        link, (line,) = rig.link, rig.lines
        link.write(True, REST)
        line.deafen()
        took = []
        for _ in range(5):
            began = time.monotonic()
            link.read(began + 0.008)
            link.write(False, REST)
            took.append(time.monotonic() - began)
        # A busy machine may keep it for longer, but not each time.
        assert min(took) < linked.PATIENCE
        assert "could not be confirmed" in link.problem
        assert os.path.exists(line.port)
        with pytest.raises(BusError, match="no answer"):
            rig.drivers[0].set_torque(True)
