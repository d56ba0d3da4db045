"""Where hand and object are in trials of a policy in MuJoCo: the poses of the pictures."""

from dataclasses import dataclass

import numpy as np

from inhand.controller.core.controller import Controller
from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.perception.rotations import Array
from inhand.training.evaluation.evaluation import prepare
from inhand.training.evaluation.evaluation_arguments import EvaluationArguments
from inhand.training.evaluation.lockstep import AnyWorld, run_trial
from inhand.training.mujoco_worlds.world import MujocoWorld

PERIOD = 0.1
"""Time between two states [s], a whole number of ticks."""


@dataclass(frozen=True)
class States:
    """States of hand and object, n of them.

    Attributes:
        joints: true joint angles [rad], (n, n_joints).
        positions: of the object, world frame [m], (n, 3).
        quaternions: world from object, wxyz, (n, 4).
    """

    joints: Array
    positions: Array
    quaternions: Array

    def first(self, count: int) -> "States":
        """The first states, at most so many."""
        return States(self.joints[:count], self.positions[:count], self.quaternions[:count])


def trial_states(
    target: str, trials: int, seed: int, cap: int = 20, period: float = PERIOD
) -> States:
    """Runs trials of the object's policy in random universes, and keeps a state now and then.

    Args:
        target: name or file of the object.
        trials: how many.
        seed: of the trials.
        cap: goals after which a trial ends.
        period: time between two states [s], a whole number of ticks.

    Raises:
        InhandError: something in the setup does not fit.
    """
    arguments = EvaluationArguments("mujoco", object=target, seed=seed, cap=cap, scale=1.0)
    setup, _ = prepare(arguments)
    kept: list[tuple[Array, Array, Array]] = []
    last = -np.inf

    def keep(t: float, world: AnyWorld, _: Controller[PoseReading]) -> None:
        nonlocal last
        assert isinstance(world, MujocoWorld)
        if not 0 <= t - last < period - 1e-6:
            last = t
            kept.append((world.joint_angles(), *world.object_pose()))

    for trial in range(1, trials + 1):
        run_trial(setup, trial, watch=keep)
    joints, positions, quaternions = (np.array(part) for part in zip(*kept, strict=True))
    return States(joints, positions, quaternions)
