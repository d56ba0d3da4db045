"""The control tables of the emulated servos: factory settings, ranges, and what writes do."""

import pytest

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.control_table import Entry, control_table, table_size
from inhand.hardware.dynamixel.protocol import Fault
from inhand.hardware.dynamixel.registers import MODELS, Register
from inhand.sim_backend.servo import Servo

GOAL, TORQUE, PRESENT = (
    registers.GOAL_POSITION,
    registers.TORQUE_ENABLE,
    registers.PRESENT_POSITION,
)


def servo(name: str = "XL330-M288") -> Servo:
    servo = Servo(1, MODELS[name])
    servo.set(PRESENT, 2000)
    return servo


def put(servo: Servo, register: Register, value: int) -> Fault | None:
    return servo.write(register.address, register.pack(value))


@pytest.mark.parametrize(
    ("name", "gains", "shutdown", "current_limit", "volts", "hottest"),
    [
        # Robotis e-manual.
        ("XL330-M288", (400, 0, 0), 53, 1750, (70, 35), 70),
        ("XC330-M288", (1100, 0, 500), 52, 2352, (70, 35), 70),
        ("XM430-W350", (800, 0, 0), 52, 1193, (160, 95), 80),
        ("XL430-W250", (640, 0, 4000), 52, 0, (140, 60), 72),
    ],
)
def test_factory_settings(
    name: str,
    gains: tuple[int, int, int],
    shutdown: int,
    current_limit: int,
    volts: tuple[int, int],
    hottest: int,
) -> None:
    new = servo(name)
    of_gains = registers.POSITION_P, registers.POSITION_I, registers.POSITION_D
    assert tuple(new.get(r) for r in of_gains) == gains
    assert new.get(registers.SHUTDOWN) == shutdown
    assert new.get(registers.CURRENT_LIMIT) == current_limit
    assert (new.get(registers.MAX_VOLTAGE), new.get(registers.MIN_VOLTAGE)) == volts
    assert new.get(registers.TEMPERATURE_LIMIT) == hottest
    assert (new.get(registers.ID), new.baud, new.return_delay) == (1, 57600, 500e-6)
    assert new.get(registers.OPERATING_MODE) == 3 and new.get(registers.HOMING_OFFSET) == 0
    assert (new.get(registers.MIN_POSITION), new.get(registers.MAX_POSITION)) == (0, 4095)
    assert new.get(registers.STATUS_RETURN_LEVEL) == 2 and new.get(registers.DRIVE_MODE) == 0


EVERY = [(name, entry) for name in MODELS for entry in control_table(MODELS[name]).values()]


def test_every_register_of_every_model_has_its_access_and_range() -> None:
    for name, entry in EVERY:
        check_entry(servo(name), entry)


def check_entry(new: Servo, entry: Entry) -> None:
    register, where = entry.register, f"{entry.name} of {new.model.number}"
    data = new.read(register.address, register.size)
    assert isinstance(data, bytes), where
    if entry.default is not None and register != registers.ID:
        assert register.unpack(data) == entry.default, where
    if not entry.writable:
        assert put(new, register, 0) == Fault.ACCESS, where
        return
    assert entry.high is not None
    if register.size > 1:
        assert new.write(register.address, b"\x00") == Fault.LENGTH, where
    beyond = Fault.LIMIT if entry.bound or register == GOAL else Fault.RANGE
    for value, sign in ((entry.low, -1), (entry.high, 1)):
        if register in (registers.PROTOCOL, registers.OPERATING_MODE, registers.DRIVE_MODE):
            # Only some values between these ends.
            continue
        try:
            wrong = register.pack(value + sign)
        except OverflowError:
            continue
        assert new.write(register.address, wrong) == beyond, where
        if register != GOAL and not entry.name.startswith("indirect"):
            assert put(new, register, value) is None, where
            assert new.get(register) == value, where
    if entry.in_eeprom:
        torque = servo()
        assert put(torque, TORQUE, 1) is None
        if register.address in torque.entries:
            assert put(torque, register, torque.get(register)) == Fault.ACCESS, where


@pytest.mark.parametrize(("name", "modes"), [("XL330-M288", {0, 1, 3, 4, 5, 16}),
                                             ("XL430-W250", {1, 3, 4, 16})])  # fmt: skip
def test_operating_modes(name: str, modes: set[int]) -> None:
    taken = {m for m in range(256) if put(servo(name), registers.OPERATING_MODE, m) is None}
    assert taken == modes


def test_addresses_without_a_register() -> None:
    new = servo()
    assert new.write(14, b"\x00") == Fault.ACCESS
    # Beginning within a register, and reaching beyond the last one.
    assert new.write(117, b"\x00") == Fault.ACCESS
    end = table_size(new.model)
    assert new.write(end, b"\x00") == new.read(end - 1, 2) == Fault.ACCESS
    assert new.read(0, end) == bytes(new.table[:end])


def test_one_refused_register_refuses_the_whole_write() -> None:
    new = servo()
    # Profile acceleration, profile velocity and goal position.
    data = b"".join(x.to_bytes(4, "little") for x in (10, 40_000, 2100))
    assert new.write(108, data) == Fault.RANGE
    assert new.get(registers.PROFILE_ACCELERATION) == 0 and new.get(GOAL) == 0


def test_the_goal_is_the_present_position_when_torque_goes_on() -> None:
    new = servo()
    assert put(new, GOAL, 500) is None and put(new, TORQUE, 1) is None
    assert new.get(GOAL) == 2000
    assert put(new, GOAL, 500) is None
    # It is on already.
    assert put(new, TORQUE, 1) is None and new.get(GOAL) == 500


def test_position_limits_hold_in_position_mode_only() -> None:
    new = servo()
    assert put(new, registers.MAX_POSITION, 3000) is None
    assert put(new, GOAL, 3001) == put(new, GOAL, -1) == Fault.LIMIT
    assert put(new, registers.OPERATING_MODE, 5) is None
    assert put(new, GOAL, 3001) is put(new, GOAL, -1_048_575) is None
    assert put(new, GOAL, 1_048_576) == Fault.RANGE


def test_a_limit_in_eeprom_bounds_its_goal() -> None:
    new = servo()
    assert put(new, registers.CURRENT_LIMIT, 500) is None
    assert put(new, registers.GOAL_CURRENT, 501) == Fault.LIMIT
    assert put(new, registers.GOAL_CURRENT, -500) is None


def test_a_profile_of_velocity_and_acceleration() -> None:
    new = servo()
    for register, value in (
        (registers.OPERATING_MODE, 4),
        (TORQUE, 1),
        (registers.PROFILE_VELOCITY, 100),
        (registers.PROFILE_ACCELERATION, 20),
        (GOAL, 6000),
    ):
        assert put(new, register, value) is None
    # 100 of 0.229 rev/min, and 20 of 214.577 rev/min².
    top, rate = 4096 * 22.9 / 60, 4096 * 20 * 214.577 / 3600
    steps, fastest, before = 0, 0.0, new.goal
    while new.profile is not None:
        new.follow(0.001)
        fastest, before, steps = max(fastest, (new.goal - before) / 0.001), new.goal, steps + 1
        if steps == 100:
            assert new.goal - 2000 == pytest.approx(rate * 0.1**2 / 2, rel=0.02)
    assert fastest == pytest.approx(top, rel=1e-6) and new.goal == 6000
    assert 0.001 * steps == pytest.approx(4000 / top + top / rate, rel=0.02)


def test_a_profile_of_given_duration() -> None:
    new = servo()
    for register, value in (
        (registers.DRIVE_MODE, 4),
        (TORQUE, 1),
        (registers.PROFILE_VELOCITY, 500),
        (registers.PROFILE_ACCELERATION, 100),
        (GOAL, 3000),
    ):
        assert put(new, register, value) is None
    steps = 0
    while new.profile is not None:
        new.follow(0.001)
        steps += 1
    assert steps == pytest.approx(500, abs=15) and new.goal == 3000


def test_a_new_goal_turns_a_profile_round_without_a_jump() -> None:
    new = servo()
    put(new, TORQUE, 1), put(new, registers.PROFILE_VELOCITY, 200)
    put(new, registers.PROFILE_ACCELERATION, 50), put(new, GOAL, 4000)
    for _ in range(200):
        new.follow(0.001)
    before = new.goal
    assert put(new, GOAL, 1000) is None
    new.follow(0.001)
    # It still moves on for a while, as it has to slow down first.
    assert before < new.goal < before + 10
    while new.profile is not None:
        new.follow(0.001)
    assert new.goal == 1000


def test_velocity_mode_turns() -> None:
    new = servo()
    put(new, registers.OPERATING_MODE, 1), put(new, TORQUE, 1)
    assert put(new, registers.GOAL_VELOCITY, 100) is None
    new.follow(1.0)
    assert new.goal - 2000 == pytest.approx(4096 * 22.9 / 60)
    assert put(new, registers.GOAL_VELOCITY, 446) == Fault.LIMIT


def test_drive_mode_8_switches_torque_on_with_a_goal() -> None:
    new = servo()
    assert put(new, registers.DRIVE_MODE, 8) is put(new, GOAL, 2100) is None
    assert new.get(TORQUE) == 1 and new.get(GOAL) == 2100


def test_torque_stays_off_after_a_shutdown_only() -> None:
    new = servo("XM430-W350")
    # This model does not shut down for its input voltage.
    new.protect(1)
    assert new.alert and put(new, TORQUE, 1) is None
    new.protect(registers.OVERLOADED)
    assert new.get(TORQUE) == 0 and put(new, TORQUE, 1) == Fault.RESULT
    new.reboot()
    assert put(new, TORQUE, 1) is None


def test_the_startup_configuration_switches_torque_on() -> None:
    new = servo()
    assert put(new, registers.STARTUP, 1) is None
    new.reboot()
    assert new.get(TORQUE) == 1 and new.get(GOAL) == new.get(PRESENT)
