"""Action path: from a policy's action to servo targets, the same for robot and simulation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from inhand.controller.safety.safety import Limits, Motion, limit
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array


@dataclass(frozen=True)
class ActionState:
    """State of the action path between calls; arrays are (..., n_actuators).

    Attributes:
        previous: smoothed target of the policy step before [rad].
        goal: smoothed target of this policy step [rad].
        tick: time since the last action, in nominal ticks.
        motion: targets last sent, and their velocity.
    """

    previous: Array
    goal: Array
    tick: float
    motion: Motion


@dataclass(frozen=True)
class ActionPath:
    """Action in [-1, 1] → target around the middle of actions → smoothing → ticks → limits.

    Attributes:
        hand: the hand.
        policy_rate: actions a second [Hz].
        tick_rate: commands a second [Hz], a multiple of `policy_rate`.
        smoothing: share of the new target in the smoothed one, in (0, 1].
    """

    hand: Hand
    policy_rate: int = 20
    tick_rate: int = 100
    smoothing: float = 0.5

    def __post_init__(self) -> None:
        if self.tick_rate % self.policy_rate or not 0 < self.smoothing <= 1:
            raise ValueError(
                f"tick rate {self.tick_rate} must be a multiple of policy rate "
                f"{self.policy_rate}, and smoothing {self.smoothing} in (0, 1]"
            )

    @cached_property
    def limits(self) -> Limits:
        """The limits that every target passes."""
        return Limits.of(self.hand)

    @property
    def ticks_per_action(self) -> int:
        return self.tick_rate // self.policy_rate

    def start(self, position: Array) -> ActionState:
        """The state at rest at these targets [rad], (..., n_actuators)."""
        at = np.array(position, dtype=np.float64)
        return ActionState(at, at, 0, Motion(at, np.zeros_like(at)))

    def target(self, action: Array) -> Array:
        """The target an action stands for [rad], (..., n_actuators): 0 is the hand's `action_zero`.

        Values that are not finite pass through, for the limiter to refuse.
        """
        bounded = np.clip(action, -1.0, 1.0)
        middle = self.hand.action_zero
        span = np.where(bounded >= 0, self.hand.upper - middle, middle - self.hand.lower)
        return middle + bounded * span

    def action_for(self, target: Array) -> Array:
        """The action that stands for a target in the range [rad], (..., n_actuators)."""
        middle = self.hand.action_zero
        way = target - middle
        span = np.where(way >= 0, self.hand.upper - middle, middle - self.hand.lower)
        # Where the middle is an end of the range, no action goes further.
        return np.asarray(way / np.where(span > 0, span, 1.0))

    def act(self, state: ActionState, action: Array) -> ActionState:
        """Takes a new action, (..., n_actuators), smoothing its target."""
        target = self.target(action)
        target = np.where(np.isfinite(target), target, state.goal)
        smoothed = state.goal + self.smoothing * (target - state.goal)
        return ActionState(state.goal, smoothed, 0, state.motion)

    def tick(
        self, state: ActionState, dt: float | None = None, limits: Limits | None = None
    ) -> ActionState:
        """Advances one tick: interpolates between smoothed targets, then limits.

        Args:
            state: the path's state; the targets to send are the result's `motion.position`.
            dt: measured length of the tick [s]; the nominal one if None.
            limits: what targets must keep to; the hand's if None.
        """
        passed = 1.0 if dt is None else dt * self.tick_rate
        tick = min(state.tick + passed, self.ticks_per_action)
        share = tick / self.ticks_per_action
        wanted = state.previous + share * (state.goal - state.previous)
        motion = limit(limits or self.limits, state.motion, wanted, dt or 1.0 / self.tick_rate)
        return ActionState(state.previous, state.goal, tick, motion)

    def hold(
        self,
        state: ActionState,
        wanted: Array,
        dt: float | None = None,
        limits: Limits | None = None,
    ) -> ActionState:
        """Advances one tick towards fixed targets [rad], without an action; see `tick`."""
        motion = limit(limits or self.limits, state.motion, wanted, dt or 1.0 / self.tick_rate)
        return ActionState(motion.position, motion.position, 0, motion)
