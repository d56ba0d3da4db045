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
    """Measures the time from one action of the policy to the next.

    Args:
        hand: what the policy moves.
        target: the object that it turns.
        settings: when noise is added to its actions.

    Attributes:
        action: of this tick, (n_actuators,) in [-1, 1]; None if the policy did not act in it.
        paused: whether it waits for a fresh pose.
        news: whether the monitor's alarm begins or ends in this tick.
    """

    def __init__(self, hand: Hand, target: ObjectDescription, settings: GoalSettings) -> None:
        self.action: Array | None = None
        self.paused = self.news = False
        self._hand, self._target = hand, target
        self._noise = ExplorationNoise(hand.n_actuators, settings.unstick_after, settings.unstick)
        # In nominal ticks, after the next tick of nominal length.
        self._ticks_to_action = -np.inf

    def restart(self) -> None:
        """The policy acts in the next tick in which it runs."""
        self._ticks_to_action = -np.inf

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
        dt: float,
        policy: PolicyRunner,
        goal: ActiveGoal,
        joints: JointState,
        sent: Array,
        pose: ObjectPose,
    ) -> Array | None:
        """One tick in which the policy runs.

        Args:
            t: the present [s].
            dt: length of the tick [s].
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
        self.news = False
        left = self._ticks_to_action + 1.0 - dt * policy.path.tick_rate
        if left < 0.5:
            # In the tick that is nearest to the time. The rate stays as it is, but a delay of more
            # than half a period is not made up for.
            period = policy.path.ticks_per_action
            punctual = left > -0.5 * period
            left = period + (left if punctual else 0.0)
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
                object_angular_velocity=pose.angular_velocity,
                goal_tolerance=np.array(goal.order.tolerance),
                version=policy.observation_version,
            )
            if policy.monitor is not None:
                self.news = policy.monitor.step(observation, goal.quaternion, follows=punctual)
            # No noise is added while the object is within tolerance, however long that took.
            stalled = t - goal.started if goal.error > goal.order.tolerance else 0.0
            self.action = self._noise.apply(policy.act(observation), stalled)
        self._ticks_to_action = left - 1.0
        return self.action
