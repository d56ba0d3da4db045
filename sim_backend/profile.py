"""Motion profiles of a servo: how its setpoint moves to a new goal position, or turns.

Robotis e-manual, Profile Acceleration (108), Profile Velocity (112) and "What is the Profile".
"""

from math import sqrt

from inhand.hardware.dynamixel import registers

SPEED = registers.COUNTS * 0.229 / 60
"""Unit of the profile velocity [counts/s]."""
_ACCELERATION = registers.COUNTS * 214.577 / 3600
"""Unit of the profile acceleration [counts/s²]."""
_MILLISECOND = 0.001
_ARRIVED = 0.5
"""Distance to the goal below which the profile has ended [counts]."""


class Profile:
    """A setpoint on its way to a goal, with bounded velocity and acceleration.

    Attributes:
        position: the setpoint [counts].
        velocity: of the setpoint [counts/s].
        goal: where it goes [counts].
        shape: bits 4 and 5 of the moving status: 1 is rectangular, 3 trapezoidal.
    """

    def __init__(
        self,
        position: float,
        velocity: float,
        goal: int,
        *,
        top: int,
        rate: int,
        timed: bool,
    ) -> None:
        """Begins a profile.

        Args:
            position: present setpoint [counts].
            velocity: of the setpoint [counts/s].
            goal: new goal position [counts].
            top: profile velocity register, not 0: largest velocity, or the duration if `timed`.
            rate: profile acceleration register: acceleration, or its duration if `timed`; 0 is
                unlimited.
            timed: whether the registers are durations [ms].
        """
        self.position, self.velocity, self.goal = position, velocity, goal
        self.shape = 3 if rate else 1
        if timed:
            duration = top * _MILLISECOND
            rising = min(rate * _MILLISECOND, duration / 2)
            self._top = abs(goal - position) / (duration - rising)
            self._acceleration = self._top / rising if rising else float("inf")
        else:
            self._top = top * SPEED
            self._acceleration = rate * _ACCELERATION if rate else float("inf")

    @property
    def ended(self) -> bool:
        """Whether the setpoint is at the goal."""
        return self.position == self.goal

    def advance(self, dt: float) -> None:
        """Moves the setpoint for a time [s]."""
        left = self.goal - self.position
        # The largest velocity from which it still stops at the goal.
        bound = min(self._top, abs(left) / dt)
        if self._acceleration != float("inf"):
            bound = min(bound, sqrt(2 * self._acceleration * abs(left)))
        wanted = bound if left > 0 else -bound
        change = self._acceleration * dt
        self.velocity = min(max(wanted, self.velocity - change), self.velocity + change)
        self.position += self.velocity * dt
        if abs(self.goal - self.position) < _ARRIVED:
            self.position, self.velocity = float(self.goal), 0.0


class Spin:
    """A setpoint that turns at a velocity, as in velocity control mode.

    Args:
        position: present setpoint [counts].
        velocity: of the setpoint [counts/s].
        goal: velocity to reach, in units of the goal velocity register.
        rate: profile acceleration register; 0 is unlimited.

    Attributes:
        position: the setpoint [counts].
        velocity: of the setpoint [counts/s].
        shape: bits 4 and 5 of the moving status.
    """

    ended = False

    def __init__(self, position: float, velocity: float, goal: int, rate: int) -> None:
        self.position, self.velocity, self.shape = position, velocity, 0
        self._goal = goal * SPEED
        self._acceleration = rate * _ACCELERATION if rate else float("inf")

    def advance(self, dt: float) -> None:
        """Moves the setpoint for a time [s]."""
        change = self._acceleration * dt
        self.velocity = min(max(self._goal, self.velocity - change), self.velocity + change)
        self.position += self.velocity * dt
