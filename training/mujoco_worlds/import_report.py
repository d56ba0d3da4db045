"""Comparison of an imported hand file with its source model."""

from dataclasses import dataclass

import mujoco
import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.turning import rpy_matrix
from inhand.training.mujoco_worlds.source_bodies import anchor, body_name

POSES = 1000
LARGEST = 1e-5
"""Largest error of a link's place that counts as equal [m]."""


@dataclass(frozen=True)
class Comparison:
    """What differs between a hand and its source.

    Attributes:
        place: largest error of a link's origin over all poses [m].
        turn: largest error of an entry of a link's rotation matrix.
        mass: of all links in the source, fixed ones included [kg].
        own_mass: of the moving links of the hand, with what is fixed to them [kg].
    """

    place: float
    turn: float
    mass: float
    own_mass: float

    @property
    def is_equal(self) -> bool:
        """Whether all links are where they are in the source."""
        return self.place <= LARGEST and self.turn <= 1e-4


def compare(
    hand: Hand, model: mujoco.MjModel, turn: tuple[float, float, float], seed: int = 0
) -> Comparison:
    """Compares places and turns of all links in random poses within the ranges.

    Args:
        hand: the imported hand.
        model: its source, compiled.
        turn: roll, pitch, yaw with which it was imported [rad].
        seed: of the poses.
    """
    rng = np.random.default_rng(seed)
    poses = hand.joint_angles(rng.uniform(hand.lower, hand.upper, (POSES, hand.n_actuators)))
    turns, places = link_poses(hand, poses)
    base = rpy_matrix(turn)
    bodies = {body_name(model, body): body for body in range(1, model.nbody)}
    of_links = [bodies[name] for name in hand.link_names]
    joints = [int(model.body_jntadr[body]) for body in of_links]
    data = mujoco.MjData(model)
    place = turned = 0.0
    for pose, own_turns, own_places in zip(poses, turns, places, strict=True):
        data.qpos[joints] = pose
        mujoco.mj_kinematics(model, data)
        for i, body in enumerate(of_links):
            theirs = base @ data.xmat[body].reshape(3, 3)
            at = base @ data.xpos[body] + theirs @ anchor(model, body)
            place = max(place, float(np.abs(at - own_places[i]).max()))
            turned = max(turned, float(np.abs(theirs - own_turns[i]).max()))
    own_mass = sum(link.mass for link in hand.links)
    return Comparison(place, turned, float(model.body_mass.sum()), own_mass)


def report(hand: Hand, comparison: Comparison, notes: list[str]) -> str:
    """The comparison in lines, with what was left out, approximated or assumed."""
    ranges = [
        f"  {link.joint:16} [{link.range[0]:+.3f}, {link.range[1]:+.3f}] rad  "
        f"{1000 * link.mass:6.1f} g"
        for link in hand.links
    ]
    return "\n".join(
        [
            f"{hand.name}: {hand.n_joints} joints, {hand.n_actuators} actuators, "
            f"{len(hand.fingertips)} fingertips",
            f"kinematics over {POSES} poses: largest error {comparison.place:.1e} m, of a rotation "
            f"matrix {comparison.turn:.1e}: {'equal' if comparison.is_equal else 'NOT EQUAL'}",
            f"mass: source {comparison.mass:.3f} kg; moving links {comparison.own_mass:.3f} kg",
            "joints with their ranges and the masses of their links:",
            *ranges,
            *notes,
        ]
    )
