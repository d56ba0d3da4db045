"""Opens and connects the hand of the daemon."""

from contextlib import suppress

import msgspec

from inhand.controller.config.config import Config
from inhand.controller.runtime.hand_link import HandLink
from inhand.controller.runtime.processes import SimulationReady
from inhand.controller.system.clock import ProcessClock
from inhand.controller.system.open_hand import open_hand
from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand


def open_link(
    hand: Hand,
    config: Config,
    world: SimulationReady | None,
    clock: ProcessClock,
    *,
    silent: bool,
) -> HandLink:
    """The connected hand.

    Args:
        hand: its description.
        config: the configuration.
        world: the simulation whose servos are to be opened; None for the configured bus.
        clock: the daemon's clock.
        silent: whether to send nothing that changes a servo.

    Raises:
        InhandError: the hand cannot be connected; torque was switched off where that is possible.
    """
    # Simulated servos sit as the hand file says.
    bus = msgspec.structs.replace(config.bus, joints="") if world else config.bus
    port, period = world.bus if world else None, 1.0 / config.tick_rate
    backend = open_hand(hand, bus, port, readonly=silent, clock=clock, period=period)
    try:
        backend.connect()
    except InhandError:
        # Whoever had the hand before may have left it with torque, and nobody takes it over now.
        if not silent:
            with suppress(InhandError):
                backend.relax()
            backend.close()
        raise
    return HandLink(backend, silent=silent, clock=clock)
