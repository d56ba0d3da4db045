"""Hand files that the driver could not drive are refused when they are checked."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from inhand.controller.cli.main import ConfigVerb
from inhand.errors import InhandError
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.hand_check import check_servos, current_of
from inhand.hardware.dynamixel.models import BAUD_RATES, MODELS
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import HANDS, load_hand, parse_hand

DACTYL, LEAP = load_hand("dactyl24"), load_hand("leap")
TEXT = (HANDS / "leap.toml").read_text()


def config_check(directory: Path, text: str, bus: str = "") -> int:
    (directory / "hand.toml").write_text(text)
    file = directory / "inhandd.toml"
    file.write_text(f'hand = "{directory / "hand.toml"}"\n{bus}')
    return ConfigVerb("check", file).run()


WRONG = {
    "unknown model": (("XC330-M288", "AX-12A"), "", "unknown model 'AX-12A'; known: XL330-M077"),
    "baud": (("", ""), "[bus]\nbaud = 4500000", "has no baud rate 4500000 .*it has 9600, 57600"),
    "odd baud": (("", ""), "[bus]\nbaud = 250000", "has no baud rate 250000"),
    "torque": (("torque_limit = 0.284", "torque_limit = 1.5"), "", "at most 0.93 N·m"),
    "no torque": (("torque_limit = 0.284", "torque_limit = 0.0002"), "", "would have no torque"),
    "current": (("torque_limit = 0.284", "torque_limit = 0.4"), "", "needs 0.77 A.*allows 0.55 A"),
    "supply": (("supply_current = 30.0", "supply_current = 5.0"), "", "8.8 A.*5.0 A"),
    "name": (("{ XC330-M288 = 0.55 }", "{ XL330 = 0.55 }"), "", "XL330 is neither"),
    "missing": (
        ("{ XC330-M288 = 0.55 }", "{ if_rot = 0.55 }"),
        "",
        r"servo 1 \(if_mcp\) is missing",
    ),
    "negative": (("= 0.55 }", "= -0.55 }"), "", "currents must be positive"),
    "port": (("", ""), "[bus.others]\n'/dev/x' = [99]", "no servo 99"),
}


@pytest.mark.parametrize("case", WRONG)
def test_config_check_names_what_the_driver_would_refuse(tmp_path: Path, case: str) -> None:
    (old, new), bus, words = WRONG[case]
    text = TEXT.replace(old, new) if old else TEXT
    with pytest.raises(InhandError, match=words):
        config_check(tmp_path, text, bus)


def test_right_hand_files_pass(tmp_path: Path) -> None:
    assert config_check(tmp_path, TEXT) == 0
    weaker = TEXT.replace("XC330-M288", "XL330-M288").replace("= 0.55 }", "= 0.8 }")
    assert config_check(tmp_path, weaker) == 0
    without = TEXT[: TEXT.index("[power]")]
    assert config_check(tmp_path, without) == 0


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_named_in_a_hand_file(tmp_path: Path, name: str) -> None:
    text = TEXT[: TEXT.index("[power]")].replace("XC330-M288", name)
    text = text.replace("torque_limit = 0.284", "torque_limit = 0.1")
    assert config_check(tmp_path, text) == 0


def test_the_driver_refuses_the_same() -> None:
    servo = msgspec.structs.replace(DACTYL.actuators[0].servo, model="XM-900")
    hand = replace(DACTYL, actuators=(msgspec.structs.replace(DACTYL.actuators[0], servo=servo),))
    with pytest.raises(DescriptionError, match="unknown model 'XM-900'"):
        ServoHand(hand, "/dev/nothing", 4_000_000)
    with pytest.raises(DescriptionError, match="no baud rate 4500000"):
        ServoHand(DACTYL, "/dev/nothing", 4_500_000)


def test_the_makers_currents_hold_for_leap() -> None:
    assert all(current_of(actuator) <= 0.55 for actuator in LEAP.actuators)
    assert LEAP.power is not None and "LEAP_Hand_API" in LEAP.power.source
    for hand in (LEAP, DACTYL):
        check_servos(hand, 4_000_000)
        assert hand.power is not None and hand.power.supply_current > 0


def test_currents_are_no_part_of_the_digest() -> None:
    assert parse_hand(TEXT.encode(), "x").digest == LEAP.digest
    text = TEXT.replace("supply_current = 30.0", "supply_current = 20.0")
    assert parse_hand(text.encode(), "x").digest == LEAP.digest
    text = TEXT.replace("rest = 0.8", "rest = 0.7", 1)
    assert parse_hand(text.encode(), "x").digest != LEAP.digest
    assert parse_hand(TEXT.partition("\n[power]\n")[0].encode(), "x").digest == LEAP.digest


def test_baud_rates_are_those_of_the_models() -> None:
    assert BAUD_RATES[4_500_000] == 7
    assert 4_500_000 in MODELS["XM430-W350"].bauds
    assert 4_500_000 not in MODELS["XL330-M077"].bauds
