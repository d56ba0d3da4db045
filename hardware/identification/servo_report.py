"""Report of a fit: a joint and its servo in newton metres, and relative to the hand file."""

from dataclasses import dataclass

import numpy as np

from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.identification.fit import Fit, Guess
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.inertia import actuator_sum, mass_matrix
from inhand.hardware.records import Array

VAGUE = 0.05
"""Relative deviation of a joint's inertia from which on torques are computed with the data sheet's
torque per ampere instead."""


@dataclass(frozen=True)
class ServoReport:
    """One actuator; factors are relative to the hand file.

    Attributes:
        name: of the actuator.
        gain: [N·m/rad], and as a factor.
        damping: of all its joints together [N·m·s/rad], and as a factor.
        friction: dry, of all its joints together [N·m].
        delay: [s].
        torque_per_ampere: [N·m/A], and as a factor of the data sheet's; None where the servo
            reports no current.
        by_inertia: whether torques are computed with the hand file's inertia. Otherwise they are
            computed with the data sheet's torque per ampere, as the inertia is too small to be
            identified beside the damping.
        fit: the fit.
    """

    name: str
    gain: tuple[float, float]
    damping: tuple[float, float]
    friction: float
    delay: float
    torque_per_ampere: tuple[float, float] | None
    by_inertia: bool
    fit: Fit


class HandFile:
    """Parameters of each actuator by the hand file.

    Args:
        hand: the hand.
        pose: of the actuators during identification [rad], (n_actuators,).
    """

    def __init__(self, hand: Hand, pose: Array) -> None:
        self._hand = hand
        self._mass = mass_matrix(hand, pose)
        self._inertia = np.diag(self._mass)
        self._damping = actuator_sum(hand, [link.damping for link in hand.links])
        self._models = Units(hand).models

    def guess(self, at: int) -> Guess:
        """Initial values of an actuator's fit."""
        inertia = self._inertia[at]
        return Guess(self._hand.gain[at] / inertia, self._damping[at] / inertia)

    def carried(self, at: int, positions: Array) -> Array:
        """Displacement of an actuator's joint by inertial coupling to the others [rad], (n,).

        Args:
            at: the actuator.
            positions: of all actuators [rad], (n, n_actuators).
        """
        ratio = self._mass[at] / self._inertia[at]
        ratio[at] = 0.0
        way: Array = (positions - positions[0]) @ ratio
        return way

    def report(self, at: int, fit: Fit) -> ServoReport:
        """A fit in newton metres."""
        model = self._models[at]
        nominal = model.torque_per_ampere
        unit = float(self._inertia[at])
        by_inertia = fit.inertia_deviation < VAGUE or not model.current_control
        if not by_inertia:
            unit = nominal * fit.current_per_stretch / fit.gain
        gain, damping = fit.gain * unit, fit.damping * unit
        per_ampere = gain / fit.current_per_stretch if fit.current_per_stretch else np.nan
        return ServoReport(
            name=self._hand.actuator_names[at],
            gain=(gain, gain / float(self._hand.gain[at])),
            damping=(damping, damping / float(self._damping[at])),
            friction=fit.friction * unit,
            delay=fit.delay,
            torque_per_ampere=(per_ampere, per_ampere / nominal) if model.current_control else None,
            by_inertia=by_inertia,
            fit=fit,
        )


def as_universe(hand: Hand, reports: dict[int, ServoReport]) -> dict[str, tuple[float, ...]]:
    """Fields of a `Universe`; actuators without a report have the hand file's values.

    Args:
        hand: the nominal hand.
        reports: by actuator index.
    """
    actuators, joints = range(hand.n_actuators), range(hand.n_joints)
    damping, friction = np.ones(hand.n_joints), np.zeros(hand.n_joints)
    owned = [[j for j in joints if hand.actuator_of_joint[j] == at] for at in actuators]
    for at, report in reports.items():
        nominal = sum(hand.links[j].friction for j in owned[at])
        damping[owned[at]] = report.damping[1]
        friction[owned[at]] = max(0.0, report.friction - nominal) / len(owned[at])
    return {
        "actuator_gain": tuple(reports[a].gain[1] if a in reports else 1.0 for a in actuators),
        "torque_limit": tuple(_limit(reports[a]) if a in reports else 1.0 for a in actuators),
        "action_delay": tuple(
            max(0.0, reports[a].delay) if a in reports else 0.0 for a in actuators
        ),
        "joint_damping": tuple(damping.tolist()),
        "joint_friction": tuple(friction.tolist()),
    }


def _limit(report: ServoReport) -> float:
    """Factor of the torque limit: that of torque per ampere, since servos limit their current."""
    return report.torque_per_ampere[1] if report.torque_per_ampere else 1.0
