"""Whether the servos of a hand file can be driven: models, baud rate, torque limits, currents."""

from collections.abc import Iterator
from itertools import chain

from inhand.hardware.dynamixel.models import MODELS, Model
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Actuator

_ROUNDING = 0.005
"""Currents in a hand file are rounded to this [A]."""


def check_servos(hand: Hand, baud: int) -> None:
    """Checks what the driver needs of a hand file.

    Args:
        hand: the hand.
        baud: configured baud rate [bit/s].

    Raises:
        DescriptionError: a servo is of an unknown model, does not have this baud rate, or cannot
            give its torque limit; or the currents exceed what the hand file allows.
    """
    # One after another: each check assumes that those before it found nothing.
    for problem in chain(_models(hand), _bauds(hand, baud), _torque(hand), _currents(hand)):
        raise DescriptionError(f"hand {hand.name}: {problem}")


def current_of(actuator: Actuator) -> float:
    """Current of a servo at its torque limit [A]."""
    return actuator.torque_limit / MODELS[actuator.on_bus.model].torque_per_ampere


def _models(hand: Hand) -> Iterator[str]:
    for actuator in hand.actuators:
        if actuator.on_bus.model not in MODELS:
            yield (
                f"servo {actuator.on_bus.id} is of unknown model {actuator.on_bus.model!r}; known: "
                f"{', '.join(MODELS)}"
            )


def _bauds(hand: Hand, baud: int) -> Iterator[str]:
    for actuator, model in _rows(hand):
        if baud not in model.bauds:
            yield (
                f"servo {_name(actuator)}, a {actuator.on_bus.model}, has no baud rate {baud} "
                f"([bus] baud); it has {', '.join(map(str, model.bauds))}"
            )


def _torque(hand: Hand) -> Iterator[str]:
    for actuator, model in _rows(hand):
        limit, most = actuator.torque_limit, model.most_torque
        if limit > most:
            yield (
                f"torque_limit of actuator {actuator.name} is {limit:g} N·m, but its "
                f"{actuator.on_bus.model} gives at most {most:.3g} N·m"
            )
        if model.torque_goal(limit) < 1:
            yield (
                f"torque_limit of actuator {actuator.name} is {limit:g} N·m, less than one step "
                f"of the torque register of its {actuator.on_bus.model}: it would have no torque"
            )


def _currents(hand: Hand) -> Iterator[str]:
    power = hand.power
    if power is None:
        return
    for actuator, _ in _rows(hand):
        allowed = power.servo_current.get(actuator.on_bus.model)
        allowed = power.servo_current.get(actuator.name, allowed)
        needed = current_of(actuator)
        if allowed is None:
            yield f"[power] servo_current: servo {_name(actuator)} is missing"
        elif needed > allowed + _ROUNDING:
            yield (
                f"torque_limit of actuator {actuator.name} needs {needed:.2f} A, but [power] "
                f"servo_current allows {allowed:.2f} A ({power.source})"
            )
    total = sum(current_of(actuator) for actuator in hand.actuators)
    if total > power.supply_current:
        yield (
            f"all servos at their torque limits need {total:.1f} A, but [power] supply_current is "
            f"{power.supply_current:.1f} A; lower the torque limits, or take a stronger supply"
        )


def _rows(hand: Hand) -> Iterator[tuple[Actuator, Model]]:
    for actuator in hand.actuators:
        yield actuator, MODELS[actuator.on_bus.model]


def _name(actuator: Actuator) -> str:
    return f"{actuator.on_bus.id} ({actuator.name})"
