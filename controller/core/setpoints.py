"""Setpoints of the servos: pinned, held, moved to a destination, or driven by a policy."""

from dataclasses import replace

import numpy as np

from inhand.controller.core.slow_path import PathPlanner
from inhand.controller.policy.action import ActionPath, ActionState
from inhand.controller.safety.derating import Effort, within_reach
from inhand.controller.safety.return_to_range import ReturnLimits
from inhand.controller.safety.safety import Limits, Motion, limit, rest_point
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array


class Mover:
    """Keeps the targets of the servos from tick to tick; each target passes the limiter chain.

    Args:
        hand: the hand.
        tick_rate: ticks a second [Hz].
        home_speed: largest joint speed towards a destination, or back into the joint range
            [rad/s].

    Attributes:
        gentle: whether fingers may touch on the present way to a destination, as none is free.
    """

    def __init__(self, hand: Hand, tick_rate: int, home_speed: float) -> None:
        self._path = ActionPath(hand, policy_rate=tick_rate, tick_rate=tick_rate)
        self._home_speed = home_speed
        self._return_limits = ReturnLimits(self._path.limits, home_speed)
        self._state: ActionState | None = None
        self._anchor: Array | None = None
        self._destination: Array | None = None
        self._planner = PathPlanner(hand)
        self._way_point: Array | None = None
        self._straightening = False
        self.gentle = False

    @property
    def state(self) -> ActionState:
        """State of the action path; `pin` must have been called."""
        assert self._state is not None
        return self._state

    @property
    def position(self) -> Array:
        """The targets to send now [rad], (n_actuators,)."""
        return self.state.motion.position

    def pin(self, position: Array) -> None:
        """Sets the targets to the measured position [rad], (n_actuators,), without motion."""
        self._state = self._path.start(position)
        self._return_limits.pin(position)
        self.stop()

    def slow_down(self, share: float) -> None:
        """Scales the velocity of the targets, which were sent over a longer time than assumed."""
        if share < 1.0 and self._state is not None:
            motion = self._state.motion
            slower = Motion(motion.position, share * motion.velocity)
            self._state = replace(self._state, motion=slower)

    def stop(self) -> None:
        """From now on `hold` brakes, and holds the targets at which the hand comes to rest."""
        self._anchor = self._destination = self._way_point = None
        self.gentle = False

    def go(self, destination: Array) -> None:
        """From now on `hold` moves slowly to a destination [rad], (n_actuators,).

        The fingers keep clear of one another where there is such a way.
        """
        self._destination, self._way_point, self._straightening = destination, None, False

    @property
    def outside(self) -> bool:
        """Whether a target is outside its joint range, because the joint was pinned there."""
        return self._return_limits.outside

    def come_back(self, dt: float) -> None:
        """One tick [s] of the return into the joint ranges; joints inside their range hold."""
        self._state = self._path.hold(self.state, self.position, dt, self._limits(dt))

    def stay(self) -> None:
        """Stops all joints, also those outside their range, until `pin` is called."""
        self.stop()
        self._return_limits.halt(self.position)

    def hold(self, dt: float) -> None:
        """One tick [s] of holding, or of the motion to the destination."""
        anchor = self._anchor
        if anchor is None:
            # Not the present targets: a hand in motion would pass them, and come back.
            anchor = rest_point(self._path.limits, self.state.motion)
        if self._destination is not None:
            # All joints arrive at once, as on the straight way that was planned.
            way = self._next_pose(self._destination) - anchor
            longest = float(np.abs(way).max())
            anchor = anchor + way * min(1.0, self._home_speed * dt / max(longest, 1e-9))
        self._anchor = anchor
        self._state = self._path.hold(self.state, anchor, dt, self._limits(dt))

    def _next_pose(self, destination: Array) -> Array:
        """The pose to go to now on the way to a destination [rad], (n_actuators,)."""
        limits = self._path.limits
        there = (
            self._way_point is not None
            and not (
                np.abs(np.clip(self._way_point, limits.lower, limits.upper) - self.position) > 2e-3
            ).any()
        )
        if self._way_point is None or (there and not np.array_equal(self._way_point, destination)):
            leg = self._planner.next(self.position, destination, straightening=self._straightening)
            self._way_point, self._straightening = leg.pose, leg.straightening
            self.gentle = not leg.free
        return self._way_point

    def derate(
        self, before: Motion, effort: Effort, share: Array, position: Array, dt: float
    ) -> None:
        """Moves the targets of derated servos closer to their measured positions.

        Args:
            before: motion of the targets at the start of the tick.
            effort: state of the derating.
            share: share of the torque limit that each servo may use, (n_actuators,).
            position: measured joint angles [rad], (n_actuators,).
            dt: length of the tick [s].
        """
        if (share >= 1.0).all():
            return
        near = within_reach(effort, share, position, self.position)
        # Limited from the start of the tick, so that the new targets keep the same limits.
        motion = limit(self._return_limits.limits, before, near, dt)
        self._state = replace(self.state, motion=motion)

    def brake(self, path: ActionPath, dt: float) -> None:
        """One tick [s] while the policy waits: the targets come to rest."""
        self._state = path.hold(self.state, self.position, dt, self._limits(dt))

    @property
    def resting_point(self) -> Array:
        """Where the targets come to rest if they brake now [rad], (n_actuators,)."""
        return rest_point(self._path.limits, self.state.motion)

    def steer(self, wanted: Array, dt: float) -> None:
        """One tick [s] towards targets that a client commands [rad], (n_actuators,)."""
        self._state = self._path.hold(self.state, wanted, dt, self._limits(dt))

    def distance(self, destination: Array) -> float:
        """How far the targets are from a destination, inside the limits [rad]."""
        limits = self._path.limits
        reachable = np.clip(destination, limits.lower, limits.upper)
        return float(np.abs(reachable - self.position).max())

    def act(self, path: ActionPath, action: Array) -> None:
        """Takes a policy's action, (n_actuators,) in [-1, 1]."""
        self._state = path.act(self.state, action)

    def follow(self, path: ActionPath, dt: float, speed: float = np.inf) -> None:
        """One tick [s] of following the last action, at most at this speed [rad/s]."""
        limits = self._limits(dt)
        if speed < np.inf:
            limits = replace(limits, velocity=np.minimum(limits.velocity, speed))
        self._state = path.tick(self.state, dt, limits)

    def _limits(self, dt: float) -> Limits:
        """The limits for the targets of this tick."""
        self._return_limits.advance(self.position, dt)
        return self._return_limits.limits
