"""Hands without servos: a simulation gives them some, a real bus refuses them."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.config.sections import BusConfig
from inhand.controller.system.open_hand import open_hand
from inhand.hardware.dynamixel.models import MODELS
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import Hand, load_hand

ALLEGRO, DACTYL = load_hand("allegro"), load_hand("dactyl24")


def without(hand: Hand, *ids: int) -> Hand:
    """The hand without some of its servos."""
    actuators = (
        msgspec.structs.replace(one, servo=None) if one.on_bus.id in ids else one
        for one in hand.actuators
    )
    return replace(hand, actuators=tuple(actuators))


def test_a_hand_with_servos_stays_as_it_is() -> None:
    assert with_servos(DACTYL) is DACTYL


def test_each_actuator_gets_a_servo_that_has_its_torque() -> None:
    hand = with_servos(ALLEGRO)
    assert [one.on_bus.id for one in hand.actuators] == list(range(1, hand.n_actuators + 1))
    for one in hand.actuators:
        assert MODELS[one.on_bus.model].stall_torque >= one.torque_limit
    assert hand.digest == ALLEGRO.digest


def test_the_ids_of_other_servos_are_left_to_them() -> None:
    hand = with_servos(without(DACTYL, 1, 5, 20))
    ids = [one.on_bus.id for one in hand.actuators]
    assert sorted(ids) == list(range(1, 21)) and ids[1] == 2


def test_a_torque_that_no_servo_has_gets_the_strongest() -> None:
    strong = tuple(msgspec.structs.replace(one, torque_limit=50.0) for one in ALLEGRO.actuators)
    hand = with_servos(replace(ALLEGRO, actuators=strong))
    strongest = max(MODELS, key=lambda name: MODELS[name].stall_torque)
    assert {one.on_bus.model for one in hand.actuators} == {strongest}


def test_a_real_bus_refuses_a_hand_without_servos() -> None:
    with pytest.raises(DescriptionError, match="in simulation only; give it one"):
        open_hand(ALLEGRO, BusConfig())


@pytest.mark.slow
def test_the_daemon_simulates_a_hand_without_servos(tmp_path: Path) -> None:
    config = tmp_path / "allegro.toml"
    config.write_text('hand = "allegro"\n[policy]\nfile = ""\n')
    with (
        simulated_daemon(tmp_path, "--config", str(config)),
        Client(tmp_path, timeout=120) as client,
    ):
        assert client.call("enable")["mode"] == "holding"
        assert len(client.status()["joints"]["position"]) == ALLEGRO.n_actuators
