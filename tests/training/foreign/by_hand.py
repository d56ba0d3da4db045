"""What a foreign policy observes, computed from measured quantities without code of ours."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from inhand.controller.policy.observation import observe
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.perception.objects import ObjectDescription


@dataclass
class Run:
    """What is measured in each of some steps; arrays begin with the step."""

    hand: Hand
    thing: ObjectDescription
    joints: np.ndarray
    place: np.ndarray
    turn: Rotation
    goal: Rotation
    spin: np.ndarray

    @classmethod
    def random(cls, hand: Hand, thing: ObjectDescription, steps: int, seed: int = 3) -> "Run":
        rng = np.random.default_rng(seed)
        walk = np.cumsum(0.1 * rng.standard_normal((steps, hand.n_actuators)), axis=0)
        joints = np.clip(hand.rest + 0.5 * np.sin(walk), hand.lower, hand.upper)
        place = np.array(hand.workspace.center) + 0.01 * rng.standard_normal((steps, 3))
        turns = np.cumsum(0.1 * rng.standard_normal((steps, 3)), axis=0)
        turn = Rotation.from_rotvec(turns) * Rotation.random(rng=rng)
        spin = rng.standard_normal((steps, 3))
        return cls(hand, thing, joints, place, turn, Rotation.random(rng=rng), spin)

    def observation(self, step: int, sent: np.ndarray, version: int) -> np.ndarray:
        """The daemon's observation of one step."""
        return observe(
            self.hand,
            self.thing,
            joint_position=self.joints[step],
            sent_target=sent,
            fingertips=fingertip_positions(self.hand, self.joints[step]),
            object_position=self.place[step],
            object_quaternion=self.turn[step].as_quat(scalar_first=True),
            goal_quaternion=self.goal.as_quat(scalar_first=True),
            pose_age=np.array(0.05),
            object_angular_velocity=self.spin[step],
            goal_tolerance=np.array(0.4),
            version=version,
        )

    def to_goal_inverse(self, step: int) -> Rotation:
        """The rotation from goal to object, world frame."""
        return self.turn[step] * self.goal.inv()
