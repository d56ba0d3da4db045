"""Model between a commanded angle and a joint: delay, backlash, springs, torque limit.

It is independent of the physics engine. A servo is a spring from its encoder's angle to its target,
limited in torque; the joint's own damping damps it. A tendon between encoder and joint is a second
spring in series. The motor moves freely within the backlash, so that the encoder is at the target
if that is within the backlash.
"""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array

Mask = NDArray[np.bool_]

TICK = 0.01
"""Interval of commands [s]; jitter is drawn for each."""


class Servos:
    """The servos of one hand in one world.

    Args:
        hand: the nominal hand.
        universe: its `action_delay`, `action_latency`, `control_jitter`, `backlash`, `compliance`,
            gains and torque limits are used.
        timestep: of the physics [s]; delays are rounded to it, jitter so that its mean is kept.
        rng: source of jitter; not used without jitter.

    Raises:
        DescriptionError: the hand has a servo of unknown model.
    """

    def __init__(
        self, hand: Hand, universe: Universe, timestep: float, rng: np.random.Generator
    ) -> None:
        n = hand.n_actuators
        self.torque_per_ampere = _torque_per_ampere(hand)
        self.backlash = np.array(universe.backlash) if universe.backlash else np.zeros(n)
        self._compliance = np.array(universe.compliance) if universe.compliance else np.zeros(n)
        self._gain = series_gain(hand, universe)
        limits = np.array(universe.torque_limit) if universe.torque_limit else 1.0
        self._torque_limit = hand.torque_limit * limits
        delay = np.array(universe.action_delay) if universe.action_delay else np.zeros(n)
        delay = delay + universe.action_latency
        self._delay = np.round(delay / timestep).astype(np.int64)
        self._columns = np.arange(n)
        self._jitter, self._rng = universe.control_jitter / timestep, rng
        self._late = 0
        self._steps_per_tick = max(1, round(TICK / timestep))
        self._sent = np.zeros((int(self._delay.max()) + int(np.ceil(self._jitter)) + 1, n))
        self._now = self._steps = 0
        self._pull, self._on = np.zeros(n), np.zeros(n, dtype=np.bool_)

    def reset(self, angles: Array) -> None:
        """Clears delayed targets; every servo is at these angles [rad], (n_actuators,)."""
        self._sent[:] = angles
        self._pull = np.array(angles, dtype=np.float64)

    def advance(self, targets: Array, torque_on: Mask, angles: Array) -> Array:
        """Advances by one physics step.

        Args:
            targets: commanded angles [rad], (n_actuators,).
            torque_on: servos with torque, (n_actuators,); the others turn freely.
            angles: of the driven joints [rad], (n_actuators,).

        Returns:
            Total stretch of spring and tendon [rad], (n_actuators,); their torque is `series_gain`
            times that, up to the limit.
        """
        depth = len(self._sent)
        self._now = (self._now + 1) % depth
        self._sent[self._now] = targets
        if self._jitter and self._steps % self._steps_per_tick == 0:
            self._late = int(self._jitter * self._rng.random() + self._rng.random())
        self._steps += 1
        arrived = self._sent[(self._now - self._delay - self._late) % depth, self._columns]
        # A motor without torque moves only when the joint reaches an end of the backlash.
        self._pull, self._on = np.where(torque_on, arrived, self._tight(angles)), torque_on
        stretch: Array = np.where(torque_on, arrived - self._tight(angles), 0.0)
        return stretch

    def encoders(self, angles: Array) -> Array:
        """Encoder readings at these joint angles [rad], (n_actuators,)."""
        tight = self._tight(angles)
        if not self._compliance.any():
            return tight
        torque = np.clip(self._gain * (self._pull - tight), -self._torque_limit, self._torque_limit)
        read: Array = tight + np.where(self._on, self._compliance * torque, 0.0)
        return read

    def _tight(self, angles: Array) -> Array:
        """Encoder readings without the stretch of tendons [rad], (n_actuators,)."""
        bounded: Array = np.clip(self._pull, angles - self.backlash, angles + self.backlash)
        return bounded


def _torque_per_ampere(hand: Hand) -> Array:
    """[N·m/A], (n_actuators,); ones for a hand without servos, so that a torque is reported."""
    if any(actuator.servo is None for actuator in hand.actuators):
        return np.ones(hand.n_actuators)
    return Units(hand).torque_per_ampere


def series_gain(hand: Hand, universe: Universe) -> Array:
    """Stiffness of servo and tendon in series [N·m/rad], (n_actuators,)."""
    gain = hand.gain * (np.array(universe.actuator_gain) if universe.actuator_gain else 1.0)
    soft = np.array(universe.compliance) if universe.compliance else 0.0
    series: Array = gain / (1.0 + gain * soft)
    return series
