"""The joints as they were last measured: their age, their faults, and the servos' derating."""

import numpy as np
from numpy.typing import NDArray

from inhand.controller.config.settings import ControlSettings, SafetySettings
from inhand.controller.core.records import EventKind
from inhand.controller.errors import RefusedError
from inhand.controller.safety.derating import Effort, allowance, warm
from inhand.controller.safety.following import Following, Patience
from inhand.controller.safety.joint_health import JointHealth
from inhand.controller.safety.modes import Happening, Request
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array, JointState


def patience_of(hand: Hand, safety: SafetySettings) -> Patience:
    """How long each joint may be blocked; for ever, if its servo bears the reduced torque."""
    bears = hand.continuous_torque >= safety.blocked_share * hand.torque_limit
    fault = np.where(bears, np.inf, safety.blocked_fault)
    return Patience(safety.blocked_warn, safety.blocked_back_off, fault, safety.blocked_share)


class JointWatch:
    """Checks each reading of the joints, and decides how much torque each servo may use.

    Args:
        hand: whose joints they are.
        settings: how old a reading may be.

    Attributes:
        joints: the last measurement of every joint; None before each one was measured.
        effort: heat of the servos.
        share: of its torque limit that each servo may use, (n_actuators,).
    """

    def __init__(self, hand: Hand, settings: ControlSettings) -> None:
        self.joints: JointState | None = None
        self.effort = Effort.of(hand, Units(hand).torque_per_ampere)
        self.share = np.ones(hand.n_actuators)
        self._names = hand.actuator_names
        # Half a tick lets ticks come late.
        self._limit = (settings.safety.joint_ticks + 0.5) / settings.tick_rate
        self._health = JointHealth(hand)
        self._following = Following(self.effort.reach, patience_of(hand, settings.safety))
        self._flaw = ""
        self._temperature: Array | None = None
        self._derated = False

    @property
    def times(self) -> Array:
        """Time of each joint's last measurement [s], (n_actuators,); -inf if there is none."""
        return self._health.measured_at

    def take(self, joints: JointState, dt: float) -> JointState | None:
        """Takes what was read in a tick.

        Args:
            joints: the reading; NaN where a joint was not measured.
            dt: length of the tick [s].

        Returns:
            The last measurement of every joint; None if the reading is not plausible, or before
            each joint was measured.
        """
        if joints.temperature is not None:
            self._temperature = joints.temperature
        self._flaw = self._health.flaw(joints)
        if self._flaw:
            return None
        self.joints = self._health.joints
        self.effort = warm(self.effort, joints.current, dt)
        return self.joints

    def fault(self, t: float, targets: Array | None) -> tuple[Happening, str] | None:
        """What is wrong with the joints at `t` [s], and why; None if nothing is.

        Args:
            t: the present [s].
            targets: what the servos follow [rad], (n_actuators,); None if they follow nothing.
        """
        if self.joints is None:
            return None
        overdue = self._health.overdue(t, self._limit)
        stuck = self._health.stuck(targets, t)
        if overdue:
            return Happening.JOINTS_STALE, f"{overdue}: {self._flaw}" if self._flaw else overdue
        problem = stuck or self._following.fault(self._names)
        return (Happening.SERVO_ERROR, problem) if problem else None

    def require(self, request: Request, t: float) -> JointState:
        """The joints, if each was measured lately at `t` [s]; else raises RefusedError."""
        joints = self.joints
        if joints is None or t - joints.t > self._limit:
            problem = self._flaw or "the joints cannot be read; check power and the servo bus"
            raise RefusedError("not_ready", f"{request.value}: {problem}")
        if overdue := self._health.overdue(t, self._limit):
            problem = f"{overdue}; check its servo's cable and power"
            raise RefusedError("not_ready", f"{request.value}: {problem}")
        return joints

    def derate(
        self, most: float, targets: Array | None, dt: float
    ) -> list[tuple[EventKind, list[str]]]:
        """Decides how much torque each servo may use in this tick.

        Args:
            most: largest share of the torque limit that any servo may use.
            targets: what the servos follow [rad], (n_actuators,); None if they follow nothing.
            dt: length of the tick [s].

        Returns:
            For each kind of event that happens now, the servos that it is about: those that are
            derated, and those that are blocked; empty if that ends.
        """
        if self.joints is not None:
            torque = np.abs(self.joints.current) * self.effort.torque_per_limit
            self._following.take(targets, self.joints.position, torque, dt)
        share = allowance(self.effort, self._temperature)
        if not self._following.idle:
            share = np.minimum(share, self._following.share)
        self.share = share if most >= 1.0 else np.minimum(share, most)
        events: list[tuple[EventKind, list[str]]] = []
        derated = self.share < 1.0
        if derated.any() != self._derated:
            self._derated = not self._derated
            events.append(("derated", self._named(derated)))
        if self._following.changed():
            events.append(("blocked", self._named(self._following.reported)))
        return events

    def _named(self, which: NDArray[np.bool_]) -> list[str]:
        return [name for name, one in zip(self._names, which, strict=True) if one]
