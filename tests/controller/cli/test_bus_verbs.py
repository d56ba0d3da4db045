"""Verbs that open the servo bus, on a pty with emulated servos."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from inhand.controller.cli.bus_verbs import Doctor, Reboot, Scan, SetBaud, SetId
from inhand.errors import InhandError
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.checkup import check_bus
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import load_hand
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


def findings(line: Wires) -> dict[str, tuple[str, str, str]]:
    found = check_bus(HAND, line.port, 4_000_000)
    assert all(one.remedy for one in found if one.verdict != "good")
    return {one.name: (one.verdict, one.detail, one.remedy) for one in found}


def test_a_hand_from_the_factory(line: Wires) -> None:
    found = findings(line)
    assert found["servos"][:2] == ("good", "20 of 20 answer")
    delay = found["return delay time"]
    assert delay[0] == "warning" and "(register 9) is 250 instead of 0" in delay[1]
    assert "1 (WRJ2)" in delay[1] and "nothing to do" in delay[2]
    assert {name for name, (verdict, _, _) in found.items() if verdict == "bad"} == set()
    assert not line.bus.torque_on().any()


def test_missing_duplicate_and_unknown_ids_and_wrong_models(line: Wires) -> None:
    lost = line.bus.servos.pop(7)
    line.bus.servos[40] = lost
    line.bus.servos[3].set(registers.MODEL_NUMBER, 1060)
    line.bus.servos[4].set(registers.HARDWARE_ERROR, 1 << 5)
    line.bus.servos[5].set(registers.TEMPERATURE, 66)
    line.bus.servos[6].set(registers.FIRMWARE, 40)
    line.bus.servos[8].set(registers.INPUT_VOLTAGE, 31)
    lost.set(registers.ID, 40)
    found = findings(line)
    assert found["servos"][1] == "19 of 20 answer; missing: 7 (MFJ3)"
    assert found["unknown ids"][1].startswith("40 ")
    assert found["models"][:2] == ("bad", "3 (FFJ4) is XL430-W250")
    assert found["hardware errors"][1] == "4 (FFJ3): overloaded"
    assert found["voltage"][:2] == ("bad", "8 (MFJ2): 3.1 V instead of 3.5 to 7.0 V")
    assert found["temperature"][1] == "5 (FFJ2): 66 °C"
    assert "6 (MFJ4): 40" in found["firmware"][1]


def test_two_servos_of_one_id(line: Wires) -> None:
    line.faults.inject("duplicated")
    verdict, detail, remedy = findings(line)["duplicate ids"]
    assert verdict == "bad" and "1 (WRJ2)" in detail and "set-id" in remedy


def test_a_port_that_is_not_there_or_in_use(line: Wires) -> None:
    (only,) = check_bus(HAND, "/dev/nothing", 4_000_000)
    assert (only.name, only.verdict) == ("port", "bad")
    with (
        open(line.port, "rb", buffering=0) as held,
        subprocess.Popen(["sleep", "60"], stdin=held) as user,
    ):
        (only,) = check_bus(HAND, line.port, 4_000_000)
        user.kill()
    assert f"sleep ({user.pid})" in only.detail and "end sleep" in only.remedy


def test_a_line_without_power(line: Wires, capsys: pytest.CaptureFixture[str]) -> None:
    line.bus.servos.clear()
    assert Doctor(port=line.port, json=True).run() == 1
    (servos,) = [one for one in json.loads(capsys.readouterr().out) if one["name"] == "servos"]
    assert servos["verdict"] == "bad" and "power" in servos["remedy"]
    with pytest.raises(InhandError, match="no servo answers"):
        Scan(port=line.port, baud=57600).run()


def test_scan_lists_models(line: Wires, capsys: pytest.CaptureFixture[str]) -> None:
    assert Scan(port=line.port, baud=57600).run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[0].split() == ["57600", "baud", "id", "1", "XM430-W350,", "firmware", "50"]


def test_a_servo_gets_another_id(line: Wires) -> None:
    SetId(port=line.port, id=3, new=30).run()
    assert 30 in line.bus.servos and 3 not in line.bus.servos
    with pytest.raises(BusError, match="a servo 4 on .* already"):
        SetId(port=line.port, id=5, new=4).run()
    with pytest.raises(BusError, match="no answer from servo 3"):
        SetId(port=line.port, id=3, new=31).run()
    with pytest.raises(BusError, match="0 to 252"):
        SetId(port=line.port, id=5, new=253).run()
    line.bus.servos[5].set(registers.TORQUE_ENABLE, 1)
    with pytest.raises(BusError, match=r"torque of servo \d+ is on"):
        SetId(port=line.port, id=5, new=50).run()


def test_the_baud_rate(line: Wires) -> None:
    SetBaud(port=line.port, new=4_000_000, ids=(1, 2)).run()
    assert line.bus.servos[1].get(registers.BAUD_RATE) == 6
    with pytest.raises(BusError, match="nothing was changed"):
        SetBaud(port=line.port, new=1_000_000, ids=(1, 77)).run()
    assert line.bus.servos[1].get(registers.BAUD_RATE) == 6
    with pytest.raises(BusError, match="not a baud rate"):
        SetBaud(port=line.port, new=12_345, ids=(1,)).run()


def test_a_reboot_ends_a_hardware_error(line: Wires) -> None:
    line.bus.servos[7].set(registers.HARDWARE_ERROR, 1 << 2)
    assert Reboot(port=line.port, ids=(7,)).run() == 0
    assert line.bus.servos[7].get(registers.HARDWARE_ERROR) == 0
