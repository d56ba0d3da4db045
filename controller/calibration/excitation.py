"""Excitation for servo identification: each joint in turn makes steps, then a chirp.

Every target passes the limiter chain that a policy's targets pass, and each joint begins with slow
moves to both ends of its motion, in which an obstacle is detected.
"""

from collections.abc import Callable

import numpy as np

from inhand.controller.calibration.motion_planning import Excursion
from inhand.controller.core.slow_path import PathPlanner
from inhand.controller.errors import CalibrationError
from inhand.controller.safety.return_to_range import ReturnLimits
from inhand.controller.safety.safety import Limits, Motion, limit
from inhand.controller.system.clock import Clock
from inhand.hardware.backend import HandBackend
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.identification.fit import Samples
from inhand.hardware.identification.servo_report import HandFile
from inhand.hardware.records import Array, JointState, Targets

RATE = 200
"""Targets and measurements a second [Hz]."""
SLOW = 0.2
"""Speed of every move before and after the excitation [rad/s]."""
SETTLING = 0.5
"""Pause before a joint is excited [s]."""

STEPS = (0.0, 0.25, 0.0, -0.25, 0.0, 0.5, 0.0, -0.5, 0.0, 1.0, 0.0, -1.0, 0.0)
"""Steps in units of the amplitude, the small ones first."""
STEP_TIME, CHIRP_TIME = 0.25, 4.0
"""Durations of one step and of the chirp [s]."""
SLOWEST, FASTEST = 0.5, 12.0
"""Ends of the chirp [Hz]."""
DURATION = len(STEPS) * STEP_TIME + CHIRP_TIME

STRETCH, EFFORT = 0.2, 0.6
"""Largest values in a slow move of a free joint: lag behind its target [rad], and share of its
current limit."""
LONGEST_GAP = 0.1
"""Longest permitted time between two measurements [s]."""
LEAST_MOTION = 0.2
"""Smallest permitted motion, as a share of the range of the targets."""
SATURATED, SATURATED_SHARE = 0.97, 0.02
"""Share of the current limit from which a servo counts as saturated, and the share of samples that
may be saturated."""


def signal(t: float) -> float:
    """The excitation at a time [s], in [-1, 1]; zero before and after it."""
    if t < 0 or t >= DURATION:
        return 0.0
    turn = int(t / STEP_TIME)
    if turn < len(STEPS):
        return STEPS[turn]
    t -= len(STEPS) * STEP_TIME
    ratio = FASTEST / SLOWEST
    cycles = SLOWEST * CHIRP_TIME / np.log(ratio) * (ratio ** (t / CHIRP_TIME) - 1)
    return float(np.sin(2 * np.pi * cycles))


class Exciter:
    """Commands a hand with its torque on.

    Args:
        backend: the hand.
        clock: paces the motion.
        torque_share: share of the hand file's torque limits to which the servos are set.
        tick: called with the time since the joint's excitation began [s].
    """

    def __init__(
        self,
        backend: HandBackend,
        clock: Clock,
        torque_share: float = 1.0,
        tick: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._backend, self._clock, self._tick = backend, clock, tick
        hand, units = backend.hand, Units(backend.hand)
        self._hand, self._limits = hand, Limits.of(hand)
        self._planner = PathPlanner(hand)
        self._current_limit = units.currents(np.array(units.torque_goals(torque_share)))
        self._current_limit = np.abs(self._current_limit)
        self._bounded = np.array([model.current_control for model in units.models])
        state = backend.read()
        self._motion = Motion(np.array(state.position), np.zeros(hand.n_actuators))
        self._return_limits = ReturnLimits(self._limits, SLOW)
        self._return_limits.pin(self._motion.position)
        self._next = clock.now()

    def go(self, destination: Array) -> None:
        """Moves slowly to a pose [rad], (n_actuators,), first into their ranges what is outside.

        Raises:
            CalibrationError: a joint does not follow, or its servo needs much current.
            BusError: the hand cannot be read or commanded.
        """
        while self._return_limits.outside:
            self._free(self._send(self._motion.position)[1])
        pose, straightening = None, False
        while pose is not destination:
            leg = self._planner.next(
                self._motion.position, destination, straightening=straightening
            )
            pose, straightening = leg.pose, leg.straightening
            self._go_straight(pose)

    def _go_straight(self, pose: Array) -> None:
        """Moves slowly to a pose [rad], (n_actuators,); all joints arrive at once."""
        anchor, reached = self._motion.position, np.inf
        inside = np.clip(pose, self._limits.lower, self._limits.upper)
        while reached >= 1e-3:
            way = pose - anchor
            anchor = anchor + way * min(1.0, SLOW / RATE / max(float(np.abs(way).max()), 1e-9))
            self._free(self._send(anchor)[1])
            reached = float(np.abs(self._motion.position - inside).max())

    def visit(self, pose: Array) -> Array:
        """Moves slowly to a pose, waits until it settles, and returns the joint angles [rad].

        Raises:
            CalibrationError: a joint does not follow, or its servo needs much current.
            BusError: the hand cannot be read or commanded.
        """
        self.go(pose)
        for _ in range(round(SETTLING * RATE)):
            _, state = self._send(pose)
            self._free(state)
        return state.position

    def record(self, excursion: Excursion) -> Samples:
        """Excites one actuator from the rest pose, and goes back.

        Raises:
            CalibrationError: the measurements are not usable; the message says why.
            BusError: the hand cannot be read or commanded.
        """
        for share in (0.0, -1.0, 1.0):
            self.go(excursion.at(share))
        self.visit(excursion.at(0.0))
        begin = self._clock.now()
        at = excursion.actuator
        rows: list[tuple[float, float, float, float]] = []
        others = []
        while (t := self._clock.now() - begin) < DURATION:
            self._tick(t)
            sent_at, state = self._send(excursion.at(signal(t)))
            sent = float(self._sent.position[at])
            rows.append((sent_at, sent, float(state.position[at]), float(state.current[at])))
            others.append(state.position)
        for _ in range(round(SETTLING * RATE)):
            self._send(excursion.at(0.0))
        self.go(self._hand.rest)
        sent_at_all, targets, position, current = np.array(rows).T
        seen = np.isfinite(position) & np.isfinite(current)
        poses = np.array(others)[seen]
        file = HandFile(self._hand, excursion.pose)
        carried = file.carried(at, np.where(np.isfinite(poses), poses, self._hand.rest))
        samples = Samples(
            sent_at_all[seen], position[seen], current[seen], carried, sent_at_all, targets
        )
        self._check(at, samples)
        return samples

    def _send(self, wanted: Array) -> tuple[float, JointState]:
        """One period: targets out, then what the joints do; when it was."""
        self._next = max(self._next + 1 / RATE, self._clock.now())
        self._clock.sleep_until(self._next)
        self._return_limits.advance(self._motion.position, 1 / RATE)
        self._motion = limit(self._return_limits.limits, self._motion, wanted, 1 / RATE)
        now = self._clock.now()
        self._sent = self._backend.write(Targets(now, self._motion.position))
        return now, self._backend.read()

    def _free(self, state: JointState) -> None:
        """Raises CalibrationError if a joint meets resistance, or lags."""
        lag = np.abs(state.position - self._motion.position)
        # A pose from which the hand starts may lie beyond the limits, where targets do not go.
        effort = np.where(self._bounded, np.abs(state.current) / self._current_limit, 0.0)
        if (stiff := np.flatnonzero((lag > STRETCH) | (effort > EFFORT))).size:
            name = self._hand.actuator_names[stiff[0]]
            raise CalibrationError(
                f"joint {name} stays {lag[stiff[0]]:.2f} rad behind and draws "
                f"{100 * effort[stiff[0]]:.0f} % of its current limit in a slow move: is the "
                "object in the hand, a cable caught, or [bus] torque_share too small?"
            )

    def _check(self, at: int, samples: Samples) -> None:
        name = self._hand.actuator_names[at]
        gaps = np.diff(samples.t, prepend=samples.sent_at[0], append=samples.sent_at[-1])
        if len(samples.t) < 0.8 * DURATION * RATE or gaps.max() > LONGEST_GAP:
            raise CalibrationError(
                f"joint {name}: {len(samples.t)} measurements in {DURATION:.1f} s, the longest gap "
                f"{1000 * gaps.max():.0f} ms; {RATE} a second are needed: look at baud rate and "
                "latency timer (inhand doctor), and stop other programs"
            )
        moved = np.ptp(samples.position)
        wanted = np.ptp(samples.targets)
        if moved < LEAST_MOTION * wanted:
            raise CalibrationError(
                f"joint {name} moved through {moved:.3f} rad when told to move through "
                f"{wanted:.3f}: is it stuck, unpowered, or another servo's id? "
                "`inhand calibrate joints --check` finds swapped ones"
            )
        full = np.abs(samples.current) >= SATURATED * self._current_limit[at]
        if self._bounded[at] and full.mean() > SATURATED_SHARE:
            raise CalibrationError(
                f"servo of {name} drew its current limit in {100 * full.mean():.0f} % of the "
                "samples, which hides its gain: give a smaller --amplitude, a larger [bus] "
                "torque_share, or a smaller proportional gain"
            )
