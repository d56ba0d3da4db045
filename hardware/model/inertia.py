"""Mass matrix of a hand, and sums over the joints of an actuator."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.urdf import link_inertial
from inhand.hardware.records import Array


def mass_matrix(hand: Hand, actuator_angles: Array) -> Array:
    """Joint-space mass matrix of the actuators [kg·m²], (n_actuators, n_actuators).

    Sum over the links of m v·v + w·I·w at unit speeds; joints of one servo turn together.

    Args:
        hand: masses and rotors as in its file.
        actuator_angles: [rad], (n_actuators,).
    """
    turns, origins = link_poses(hand, hand.joint_angles(actuator_angles))
    axes = np.einsum(
        "lij,lj->li", turns, [np.array(x.axis) / np.linalg.norm(x.axis) for x in hand.links]
    )
    matrix = np.zeros((hand.n_actuators, hand.n_actuators))
    for i, link in enumerate(hand.links):
        center, local = link_inertial(link)
        place = origins[i] + turns[i] @ center
        about = turns[i] @ local @ turns[i].T
        turning, moving = np.zeros((2, hand.n_actuators, 3))
        for joint in np.flatnonzero(hand.moved_by[i]).tolist():
            at = hand.actuator_of_joint[joint]
            turning[at] += axes[joint]
            moving[at] += np.cross(axes[joint], place - origins[joint])
        matrix += link.mass * moving @ moving.T + turning @ about @ turning.T
    return matrix


def actuator_sum(hand: Hand, of_joints: list[float]) -> Array:
    """Sum of a quantity over the joints of each actuator, (n_actuators,)."""
    owners = list(hand.actuator_of_joint)
    total = np.zeros(hand.n_actuators)
    np.add.at(total, owners, of_joints)
    return total
