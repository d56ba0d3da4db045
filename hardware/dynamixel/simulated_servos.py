"""Servos for actuators of a hand that has none: such a hand exists in simulation only.

The simulated hand answers the protocol of real servos, so each actuator needs one.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import msgspec

from inhand.hardware.dynamixel.models import MODELS
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Actuator, Servo

_LARGEST_ID = 252
_BY_STRENGTH = sorted(
    (model.stall_torque, name) for name, model in MODELS.items() if model.current_control
)


def with_servos(hand: Hand) -> Hand:
    """The hand with a servo for each actuator that lacks one; for simulation only.

    It is of the weakest model that has the actuator's torque, or of the strongest one. Ids that no
    other servo has are given in the order of actuators.

    Raises:
        DescriptionError: there are more actuators than ids.
    """
    if all(actuator.servo is not None for actuator in hand.actuators):
        return hand
    taken = {actuator.servo.id for actuator in hand.actuators if actuator.servo is not None}
    free = (id for id in count(1) if id not in taken)
    return replace(hand, actuators=tuple(_completed(hand, free)))


def _completed(hand: Hand, free: Iterator[int]) -> Iterator[Actuator]:
    for actuator in hand.actuators:
        if actuator.servo is not None:
            yield actuator
            continue
        id = next(free)
        if id > _LARGEST_ID:
            raise DescriptionError(f"hand {hand.name}: more actuators than servo ids")
        strong = (name for torque, name in _BY_STRENGTH if torque >= actuator.torque_limit)
        model = next(strong, _BY_STRENGTH[-1][1])
        yield msgspec.structs.replace(actuator, servo=Servo(id, 1, 0.0, model))
