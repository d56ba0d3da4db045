"""What `inhand doctor` finds on a bus: ids, settings, reply times, programs in the way."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.hardware.dynamixel import registers as r
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.checkup import check_bus
from inhand.hardware.dynamixel.checkup_ids import shift
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.duplicates import SURE, suspected
from inhand.hardware.dynamixel.line_clock import RealLineClock
from inhand.hardware.dynamixel.maintenance import reboot, restore, scan, set_baud, set_id
from inhand.hardware.dynamixel.port_users import interfering_programs
from inhand.hardware.dynamixel.protocol import Fault
from inhand.hardware.errors import BusError
from inhand.hardware.findings import Finding
from inhand.hardware.model.hand import load_hand
from inhand.sim_backend.servo import Servo
from tests.hardware.conftest import BAUD, PATIENCE
from tests.sim_backend.wires import SIXTEEN, Wires, wires

HAND = load_hand(SIXTEEN)
LIMIT = 542
"""Goal current for the 0.28 N·m of the hand file [mA]."""


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


@pytest.fixture
def bus(line: Wires) -> Iterator[Bus]:
    bus = Bus(line.port, BAUD)
    bus.open()
    yield bus
    bus.close()


def findings(line: Wires) -> dict[str, Finding]:
    found = check_bus(HAND, line.port, BAUD)
    assert all(one.remedy for one in found if one.verdict != "good")
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def renumber(line: Wires, before: int, now: int) -> Servo:
    """Gives a servo another id, also one that is in use."""
    servo = line.bus.servos[before]
    with line.lock:
        line.bus.members.remove(servo)
        servo.set(r.ID, now)
        line.bus.members.add(servo)
    return servo


LEFT = {
    r.DRIVE_MODE: (1, 0, "bad", "inhand restore"),
    r.HOMING_OFFSET: (-300, 0, "bad", "inhand calibrate joints"),
    r.SHUTDOWN: (0, 52, "warning", "the driver sets it"),
    r.PROFILE_VELOCITY: (60, 0, "warning", "the driver sets it"),
    r.PROFILE_ACCELERATION: (9, 0, "warning", "the driver sets it"),
    r.MOVING_THRESHOLD: (99, 10, "warning", "the driver sets it"),
    r.PWM_LIMIT: (400, 885, "warning", "the driver sets it"),
    r.GOAL_PWM: (400, 885, "warning", "the driver sets it"),
    r.MAX_POSITION: (3000, 4095, "warning", "inhand restore"),
    r.MIN_VOLTAGE: (45, 35, "warning", "inhand restore"),
    r.POSITION_P: (600, 1100, "warning", "gains"),
    r.Register(168, 2): (64, 208, "warning", "inhand reboot"),
}


def test_every_deviation_is_listed(line: Wires) -> None:
    for id, (register, (value, *_)) in enumerate(LEFT.items(), 1):
        line.bus.servos[id].set(register, value)
    found = findings(line)
    for id, (register, (value, wanted, verdict, remedy)) in enumerate(LEFT.items(), 1):
        told = f"(register {register.address}) is {value} instead of {wanted}: "
        (one,) = [finding for finding in found.values() if told in finding.detail]
        name = HAND.actuators[id - 1].name
        assert f"{id} ({name})" in one.detail
        assert one.verdict == verdict and remedy in one.remedy, one


def test_after_a_bring_up_all_settings_are_good(line: Wires) -> None:
    before = findings(line)
    assert "registers" not in before and before["current limit"].verdict == "warning"
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE)
    servos.connect()
    servos.close()
    after = findings(line)
    assert after["registers"].verdict == "good"
    assert {one.verdict for one in after.values()} == {"good"}


@pytest.mark.parametrize("level", [0, 1])
def test_a_servo_that_answers_pings_only_is_not_good(line: Wires, level: int) -> None:
    line.bus.servos[7].set(r.STATUS_RETURN_LEVEL, level)
    found = findings(line)
    if level == 0:
        assert "registers 64 to 119 of servo 7 (MFJ2)" in found["registers"].detail
        assert found["registers"].verdict == "bad"
        assert "hardware errors" not in found and "voltage" not in found
    else:
        assert "7 (MFJ2)" in found["status return level"].detail
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE)
    servos.connect()
    assert line.bus.servos[7].get(r.STATUS_RETURN_LEVEL) == 2
    servos.close()


def test_a_watcher_names_a_mute_servo(line: Wires) -> None:
    line.bus.servos[7].set(r.STATUS_RETURN_LEVEL, 0)
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, readonly=True)
    with pytest.raises(BusError, match=r"servo 7 \(MFJ2\) answers no reads.*`inhand reboot`"):
        servos.connect()


def test_torque_that_is_on_is_named(line: Wires) -> None:
    line.bus.servos[7].set(r.TORQUE_ENABLE, 1)
    found = findings(line)["torque"]
    assert "on at 7 (MFJ2)" in found.detail and "inhand reboot" in found.remedy


def test_colliding_replies_are_a_duplicate_id(line: Wires) -> None:
    renumber(line, 5, 7)
    found = findings(line)
    assert "7 (MFJ2): " in found["duplicate ids"].detail
    assert "garbled" in found["duplicate ids"].detail
    assert "missing: 5 (MFJ4)" in found["servos"].detail


def test_nothing_is_suspected_on_a_line_in_order(bus: Bus) -> None:
    assert suspected(bus, range(30)) == {}


def test_set_id_refuses_while_a_duplicate_is_suspected(line: Wires, bus: Bus) -> None:
    twin = renumber(line, 5, 7)
    for id, new in ((7, 40), (8, 7)):
        with pytest.raises(BusError, match="two servos seem to have id 7: .*nothing was changed"):
            set_id(bus, id, new)
    assert twin.get(r.ID) == 7 and 8 in line.bus.servos
    line.bus.members.remove(twin)
    set_id(bus, 7, 40)
    assert 40 in line.bus.servos


def test_servos_from_the_box_all_answer_at_once(line: Wires) -> None:
    for id in range(2, 17):
        renumber(line, id, 1)
    found = findings(line)
    assert "1 (IFJ4)" in found["duplicate ids"].detail
    assert "all have id 1" in found["duplicate ids"].remedy
    doubts = list[str]()
    list(scan(line.port, (BAUD,), doubts.append))
    assert len(doubts) == 1 and "4000000 baud: several servos seem to have id 1" in doubts[0]


def test_a_shifted_numbering_is_not_to_be_mended_by_set_id(line: Wires) -> None:
    for id in range(1, 17):
        renumber(line, id, id - 1)
    found = findings(line)
    assert found["servos"].detail.endswith("all ids are shifted by -1")
    assert "hand file" in found["servos"].remedy and "do not use" in found["servos"].remedy
    assert "unknown ids" not in found


def test_one_stranger_and_one_missing_servo(line: Wires) -> None:
    renumber(line, 9, 40)
    found = findings(line)
    assert "missing: 9 (RFJ4)" in found["servos"].detail
    assert "if it moves the joint of servo 9: `inhand set-id 40 9`" in found["unknown ids"].remedy


def test_shifts() -> None:
    wanted = range(1, 17)
    assert shift(wanted, range(16)) == -1
    assert shift(wanted, [*range(5), *range(6, 16)]) == -1
    assert shift(wanted, range(11, 27)) == 10
    assert shift(wanted, range(1, 17)) == shift(wanted, [3, 4]) == shift(wanted, []) == 0
    assert shift(wanted, [*range(1, 16), 40]) == 0


def test_restore_gives_factory_settings_and_keeps_id_and_baud(line: Wires, bus: Bus) -> None:
    servo = line.bus.servos[7]
    for register, (value, *_) in LEFT.items():
        servo.set(register, value)
    servo.set(r.BAUD_RATE, 6)
    restore(bus, [7])
    assert (servo.get(r.ID), servo.get(r.BAUD_RATE)) == (7, 6)
    for register in (r.DRIVE_MODE, r.HOMING_OFFSET, r.PROFILE_VELOCITY):
        assert servo.get(register) == 0
    assert servo.get(r.SHUTDOWN) == 52
    with pytest.raises(BusError, match="no answer from servo 99"):
        restore(bus, [99])


def test_a_mute_servo_can_be_rebooted(line: Wires, bus: Bus) -> None:
    line.bus.servos[7].set(r.STATUS_RETURN_LEVEL, 0)
    reboot(bus, [7])
    assert line.bus.servos[7].get(r.STATUS_RETURN_LEVEL) == 2
    with pytest.raises(BusError, match=r"no answer from servo \[99\]"):
        reboot(bus, [99])


def test_a_baud_rate_that_a_servo_does_not_have(line: Wires, bus: Bus) -> None:
    with pytest.raises(BusError, match="servo 7 has no baud rate 4500000"):
        set_baud(bus, [7], 4_500_000)
    assert line.bus.servos[7].get(r.BAUD_RATE) == 1


def test_two_servos_that_stand_alike_are_told_apart_by_their_running_times(
    line: Wires, bus: Bus
) -> None:
    other, servo = renumber(line, 6, 7), line.bus.servos[7]
    places = [line.bus.in_order.index(one) for one in (other, servo)]
    line.position[places] = 0.5
    # Their replies differ in the running time and its checksum alone. At one read in sixteen the
    # two together look like one intact reply.
    for _ in range(12):
        assert list(suspected(bus, [7], SURE)) == [7]
    assert not suspected(bus, [5, 8])
    with pytest.raises(BusError, match="two servos seem to have id 7"):
        set_id(bus, 7, 99)


def test_a_baud_rate_is_set_on_all_servos_or_on_none(line: Wires, bus: Bus) -> None:
    line.bus.servos[9].set(r.TORQUE_ENABLE, 1)
    with pytest.raises(BusError, match="torque of servo 9 is on"):
        set_baud(bus, [7, 8, 9], 1_000_000)
    assert line.bus.servos[7].get(r.BAUD_RATE) == r.BAUD_RATES[57600]


def test_two_axes_in_one_housing_change_their_baud_rate_together(tmp_path: Path) -> None:
    path = tmp_path / "hand.toml"
    path.write_text(SIXTEEN.read_text().replace("XC330-M288", "2XC430-W250"))
    hand = load_hand(path)
    with wires(hand, BAUD) as line:
        servos = line.bus.servos
        bus = Bus(line.port, BAUD)
        bus.open()
        bus.write(2, r.TORQUE_ENABLE.address, b"\x01")
        reply = bus.write(1, r.HOMING_OFFSET.address, r.HOMING_OFFSET.pack(5))
        assert reply is not None and reply.error == Fault.ACCESS
        bus.write(2, r.TORQUE_ENABLE.address, b"\x00")
        set_baud(bus, range(1, 17), 1_000_000)
        bus.close()
        assert {servo.baud for servo in servos.values()} == {1_000_000}
        driver = ServoHand(hand, line.port, 1_000_000, PATIENCE)
        driver.connect()
        assert driver.read().position.shape == (16,)
        driver.close()


def hold_back(line: Wires, delay: float = 0.016) -> None:
    """Delays all replies [s], by default as an adapter with its usual latency timer does."""
    line.faults.delay = delay
    for _ in range(1000):
        line.faults.inject("late")


def test_replies_that_are_held_back_are_named_with_the_remedy(line: Wires) -> None:
    hold_back(line)
    found = findings(line)["reply time"]
    assert found.verdict == "warning" and "the adapter holds them back" in found.detail
    assert "latency timer to 1 ms" in found.remedy
    servos = ServoHand(HAND, line.port, BAUD, period=0.01)
    with pytest.raises(BusError, match=r"replies come after \d+ ms.*latency timer.*tick_rate"):
        servos.connect()


class Interrupted(RealLineClock):
    """The process is kept from noting when it sent a request, until the reply is there."""

    def note_sent(self, size: int) -> None:
        time.sleep(0.03)


def test_replies_that_are_held_back_are_named_on_a_busy_machine(line: Wires) -> None:
    hold_back(line)
    servos = ServoHand(HAND, line.port, BAUD, period=0.01, clock=Interrupted())
    with pytest.raises(BusError, match="the adapter holds them back"):
        servos.connect()


def test_colliding_replies_are_a_duplicate_id_also_if_they_are_late(line: Wires, bus: Bus) -> None:
    renumber(line, 5, 7)
    hold_back(line, 0.04)
    assert list(suspected(bus, [4, 6, 7])) == [7]


def test_a_lower_rate_goes_on_with_replies_that_are_held_back(
    line: Wires, caplog: pytest.LogCaptureFixture
) -> None:
    hold_back(line)
    servos = ServoHand(HAND, line.port, BAUD, watchdog=2.0, period=1.0)
    servos.connect()
    assert "set its latency timer to 1 ms" in caplog.text
    servos.set_torque(True)
    for _ in range(3):
        servos.read()
    assert servos.problem == ""
    servos.close()


def test_programs_that_take_adapters_away_are_known(tmp_path: Path) -> None:
    for pid, name in (("12", "ModemManager"), ("30", "bash"), ("7", "brltty")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "comm").write_text(f"{name}\n")
    (tmp_path / "self").mkdir()
    assert interfering_programs(tmp_path) == ["ModemManager (12)", "brltty (7)"]
    rules = (Path(__file__).parents[3] / "systemd" / "70-inhand.rules").read_text()
    assert 'ENV{ID_MM_DEVICE_IGNORE}="1"' in rules and "brltty" in rules
