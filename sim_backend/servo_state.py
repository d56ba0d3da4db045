"""Measured values of the emulated servos, written to the registers of all servos at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.registers import Register
from inhand.sim_backend.profile import SPEED
from inhand.sim_backend.servo import Servo
from inhand.sim_backend.servo_dynamics import Mask

Counts = NDArray[np.int64]

_NOW = np.dtype(
    [
        ("tick", "<u2"),
        ("moving", "u1"),
        ("status", "u1"),
        ("pwm", "<i2"),
        ("current", "<i2"),
        ("velocity", "<i4"),
        ("position", "<i4"),
        ("velocity_trajectory", "<i4"),
        ("position_trajectory", "<i4"),
    ]
)
"""Layout of the registers from realtime tick to position trajectory."""
_REST = registers.POSITION_TRAJECTORY.address
"""End of the first whole register after present current, velocity and position."""
_LONGEST_TICK = 32_768
_STARTS_APART = 3
"""Time between the starts of two servos: no two count the same time [ms]."""
"""The realtime tick starts again after this number of milliseconds."""
_IN_POSITION = 20
"""Largest distance from the goal that counts as arrived [counts]."""
_ARRIVED, _PROFILE, _NOT_FOLLOWING, _SHAPE = 1, 2, 8, 4
"""Bits of the moving status; the shape of the profile is shifted to bit 4."""


class ServoState:
    """Views of the control tables of all servos; each value is (n_servos,).

    Args:
        table: the control tables, (n_servos, bytes).
        servos: the servos, in the order of the rows.

    Attributes:
        goal: goal positions [counts].
        now: measured values and trajectories.
        elapsed: time since power-up [s].
        mode: operating modes.
        least_position: lower position limits [counts].
        most_position: upper position limits [counts].
    """

    def __init__(self, table: NDArray[np.uint8], servos: Sequence[Servo]) -> None:
        first, last = registers.REALTIME_TICK, registers.POSITION_TRAJECTORY
        span = table[:, first.address : last.address + last.size]
        self.now: NDArray[np.void] = span.view(_NOW)[:, 0]
        self.elapsed = 0.0
        self._ticks = _STARTS_APART * np.arange(len(table))
        self.goal = _view(table, registers.GOAL_POSITION, "<i4")
        self._servos = servos
        self._drive = _view(table, registers.DRIVE_MODE, "u1")
        self._homing = _view(table, registers.HOMING_OFFSET, "<i4")
        self._protocol = _view(table, registers.PROTOCOL, "u1")
        self._threshold = _view(table, registers.MOVING_THRESHOLD, "<i4")
        self._watchdog = _view(table, registers.BUS_WATCHDOG, "i1")
        self._profile = _view(table, registers.PROFILE_VELOCITY, "<i4")
        self.mode = _view(table, registers.OPERATING_MODE, "u1")
        self.least_position = _view(table, registers.MIN_POSITION, "<i4")
        self.most_position = _view(table, registers.MAX_POSITION, "<i4")
        self._torque = _view(table, registers.TORQUE_ENABLE, "u1")
        self._volts = _view(table, registers.INPUT_VOLTAGE, "<u2")
        self._least = _view(table, registers.MIN_VOLTAGE, "<u2")
        self._most = _view(table, registers.MAX_VOLTAGE, "<u2")

    def all_speak(self, protocol: int) -> bool:
        """Whether all servos have this protocol type."""
        return bool((self._protocol == protocol).all())

    def plain(self) -> bool:
        """Whether all servos take a goal position as it is, in every mode of position control."""
        return not (
            self._drive.any()
            or self._homing.any()
            or self._profile.any()
            or (self._watchdog == registers.WATCHDOG_TRIPPED).any()
            or any(servo.profile is not None for servo in self._servos)
        )

    def wrong_voltage(self) -> Mask:
        """Servos whose input voltage is outside their limits."""
        wrong: Mask = (self._volts < self._least) | (self._volts > self._most)
        return wrong

    def frame(self) -> tuple[Counts, Counts] | None:
        """Sign and offset from encoder to position register; None if all are as usual."""
        if not self._homing.any() and not self._drive.any():
            return None
        signs = np.array([servo.direction for servo in self._servos], np.int64)
        return signs, np.array([servo.offset for servo in self._servos], np.int64)

    def measured(
        self, encoder: Counts, velocity: Counts, current: Counts, span: tuple[int, int]
    ) -> None:
        """Writes measured values into the registers.

        Args:
            encoder: counts, including whole turns.
            velocity: in the direction of the encoder [counts].
            current: in the direction of the encoder [counts].
            span: first address that is going to be read, and the first one after that.
        """
        now, frame = self.now, self.frame()
        if frame is not None:
            encoder = frame[0] * encoder + frame[1]
            velocity, current = frame[0] * velocity, frame[0] * current
        now["position"], now["velocity"], now["current"] = encoder, velocity, current
        # A controller reads the rest seldom.
        if span[0] < registers.PRESENT_CURRENT.address or span[1] >= _REST:
            now["tick"] = (int(1000 * self.elapsed) + self._ticks) % _LONGEST_TICK
            self._report()

    def _report(self) -> None:
        """Writes trajectories and motion bits; without torque, the trajectory is the position."""
        now, on = self.now, self._torque != 0
        now["position_trajectory"] = np.where(on, self.goal, now["position"])
        now["velocity_trajectory"] = 0
        now["moving"] = np.abs(now["velocity"]) > self._threshold
        near = np.abs(now["position"].astype(np.int64) - self.goal) <= _IN_POSITION
        now["status"] = np.where(near, _ARRIVED, 0)
        for place, servo in enumerate(self._servos):
            if servo.profile is None:
                continue
            profile = servo.profile
            lag = abs(int(now["position"][place]) - profile.position)
            now["position_trajectory"][place] = round(profile.position)
            now["velocity_trajectory"][place] = round(profile.velocity / SPEED)
            now["moving"][place] = 1
            now["status"][place] |= (
                _PROFILE | profile.shape << _SHAPE | (_NOT_FOLLOWING if lag > _IN_POSITION else 0)
            )


def _view(table: NDArray[np.uint8], register: Register, kind: str) -> NDArray[np.int64]:
    """A register of all servos; changes with the table."""
    span = table[:, register.address : register.address + register.size]
    view: NDArray[np.int64] = span.view(kind)[:, 0]
    return view
