"""What sits between a commanded angle and a joint: delay, backlash, spring, torque limit.

Knows no engine. A servo is a spring from its encoder's angle to its target, limited in torque;
what damps it is the joint's own damping. Its motor moves freely within the backlash, so that the
encoder stands at the target where the slack lets it.
"""

import numpy as np
from numpy.typing import NDArray

from hardware.errors import DescriptionError
from hardware.hand import Hand
from hardware.records import Array
from sim_backend.universe import Universe

TORQUE_CONSTANT = {"XM430-W350": 4.1 / 2.3, "XC330-M288": 0.93 / 1.8}
"""Stall torque over stall current by servo model, from Robotis' e-manual [N·m/A]."""

Mask = NDArray[np.bool_]


class Servos:
    """The servos of one hand in one world.

    Args:
        hand: the nominal hand.
        universe: its `action_delay` and `backlash` count here.
        timestep: of the physics [s]; delays are rounded to it.

    Raises:
        DescriptionError: the hand has a servo of unknown torque constant.
    """

    def __init__(self, hand: Hand, universe: Universe, timestep: float) -> None:
        for actuator in hand.actuators:
            if actuator.servo.model not in TORQUE_CONSTANT:
                raise DescriptionError(
                    f"hand {hand.name}: actuator {actuator.name} has a servo "
                    f"{actuator.servo.model!r} that the simulation does not know; "
                    f"known: {', '.join(sorted(TORQUE_CONSTANT))}"
                )
        n = hand.n_actuators
        self.torque_constant = np.array([TORQUE_CONSTANT[a.servo.model] for a in hand.actuators])
        self.backlash = np.array(universe.backlash) if universe.backlash else np.zeros(n)
        delay = np.array(universe.action_delay) if universe.action_delay else np.zeros(n)
        self._delay = np.round(delay / timestep).astype(np.int64)
        self._columns = np.arange(n)
        self._sent = np.zeros((int(self._delay.max()) + 1, n))
        self._now = 0
        self._pull = np.zeros(n)

    def reset(self, angles: Array) -> None:
        """Forgets what was sent; every servo stands at these angles [rad], (n_actuators,)."""
        self._sent[:] = angles
        self._pull = np.array(angles, dtype=np.float64)

    def advance(self, targets: Array, torque_on: Mask, angles: Array) -> Array:
        """Takes the targets of one physics step.

        Args:
            targets: commanded angles [rad], (n_actuators,).
            torque_on: servos that pull, (n_actuators,); the others turn freely.
            angles: of the joints that the servos drive [rad], (n_actuators,).

        Returns:
            How far the springs are stretched [rad], (n_actuators,).
        """
        depth = len(self._sent)
        self._now = (self._now + 1) % depth
        self._sent[self._now] = targets
        arrived = self._sent[(self._now - self._delay) % depth, self._columns]
        # A motor without torque is dragged along by the walls of its slack, if at all.
        self._pull = np.where(torque_on, arrived, self.encoders(angles))
        stretch: Array = np.where(torque_on, arrived - self.encoders(angles), 0.0)
        return stretch

    def encoders(self, angles: Array) -> Array:
        """What the encoders read at these joint angles [rad], (n_actuators,)."""
        bounded: Array = np.clip(self._pull, angles - self.backlash, angles + self.backlash)
        return bounded
