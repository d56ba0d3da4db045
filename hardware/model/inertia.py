"""Mass matrix of a hand, and sums over the joints of an actuator."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.solids import link_inertial
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
            ratio = hand.joint_ratios[joint]
            turning[at] += ratio * axes[joint]
            moving[at] += ratio * np.cross(axes[joint], place - origins[joint])
        matrix += link.mass * moving @ moving.T + turning @ about @ turning.T
        matrix[hand.actuator_of_joint[i], hand.actuator_of_joint[i]] += (
            link.armature * hand.joint_ratios[i] ** 2
        )
    return matrix


def actuator_sum(hand: Hand, of_joints: list[float]) -> Array:
    """Sum of a damping over the joints of each actuator, at the actuator, (n_actuators,).

    A joint that turns twice as fast damps four times as much.
    """
    owners = list(hand.actuator_of_joint)
    total = np.zeros(hand.n_actuators)
    np.add.at(total, owners, hand.joint_ratios**2 * of_joints)
    return total
