"""Hands that tests share."""

from dataclasses import replace

import msgspec

from inhand.hardware.model.hand import Hand, load_hand


def level(name: str = "dactyl24") -> Hand:
    """An installed hand that rests where action 0 puts it, `dactyl24` with a level palm."""
    hand = load_hand(name)
    zeros = zip(hand.actuators, hand.action_zero.tolist(), strict=True)
    actuators = (msgspec.structs.replace(actuator, rest=zero) for actuator, zero in zeros)
    return replace(hand, actuators=tuple(actuators))
