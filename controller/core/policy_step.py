"""The policy's part of a tick: when it acts, on what, and when it pauses."""

import numpy as np

from inhand.controller.config.settings import GoalSettings
from inhand.controller.core.goals import ActiveGoal
from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.policy.exploration_noise import ExplorationNoise
from inhand.controller.policy.observation import observe
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.records import Array, JointState
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ObjectPose


class PolicyStep:
    """Counts the ticks from one action of the policy to the next.

    Args:
        hand: what the policy moves.
        target: the object that it turns.
        settings: when noise is added to its actions.

    Attributes:
        action: of this tick, (n_actuators,) in [-1, 1]; None if the policy did not act in it.
        paused: whether it waits for a fresh pose.
    """

    def __init__(self, hand: Hand, target: ObjectDescription, settings: GoalSettings) -> None:
        self.action: Array | None = None
        self.paused = False
        self._hand, self._target = hand, target
        self._noise = ExplorationNoise(hand.n_actuators, settings.unstick_after, settings.unstick)
        self._ticks_to_action = 0

    def restart(self) -> None:
        """The policy acts in the next tick in which it runs."""
        self._ticks_to_action = 0

    def pause(self, paused: bool) -> bool:
        """Pauses, or goes on with a new action; returns whether that is a change."""
        if paused == self.paused:
            return False
        self.paused = paused
        self.restart()
        return True

    def tick(
        self,
        t: float,
        policy: PolicyRunner,
        goal: ActiveGoal,
        joints: JointState,
        sent: Array,
        pose: ObjectPose,
    ) -> Array | None:
        """One tick in which the policy runs.

        Args:
            t: the present [s].
            policy: what acts.
            goal: what it works on.
            joints: where the joints are.
            sent: targets that were sent last [rad], (n_actuators,).
            pose: where the object is.

        Returns:
            A new action, (n_actuators,) in [-1, 1]; None while the last one goes on.

        Raises:
            PolicyError: the policy's result is no action.
        """
        if self._ticks_to_action == 0:
            self._ticks_to_action = policy.path.ticks_per_action
            observation = observe(
                self._hand,
                self._target,
                joint_position=joints.position,
                sent_target=sent,
                fingertips=fingertip_positions(self._hand, joints.position),
                object_position=pose.position,
                object_quaternion=pose.quaternion,
                goal_quaternion=goal.quaternion,
                pose_age=np.array(pose.age),
            )
            self.action = self._noise.apply(policy.act(observation), t - goal.started)
        self._ticks_to_action -= 1
        return self.action
