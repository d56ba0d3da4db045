"""The state of the controller as one record, for whoever shows or stores it."""

from typing import Any

from inhand.controller.core.joint_watch import JointWatch
from inhand.controller.core.object_watch import ObjectWatch
from inhand.controller.core.operation import Operation
from inhand.controller.core.records import GoalState, Snapshot


def take_snapshot(operation: Operation, joints: JointWatch, seen: ObjectWatch[Any]) -> Snapshot:
    """The present state.

    Args:
        operation: what the hand does.
        joints: what is known of its joints.
        seen: what is known of the object.
    """
    goals, policy = operation.goals, operation.policy
    goal = goals.active
    return Snapshot(
        t=operation.t,
        mode=operation.mode,
        reason=operation.reason,
        torque=operation.torque,
        joints=joints.joints,
        joint_times=joints.times,
        pose=seen.pose,
        in_hand=seen.in_hand,
        paused=operation.policy_step.paused,
        goal=GoalState.of(goal) if goal else None,
        order=goal.order if goal else None,
        waiting=goals.waiting,
        reached=goals.reached,
        missed=goals.missed,
        dropped=seen.dropped,
        targets=operation.sent,
        effort=joints.share,
        action=operation.policy_step.action,
        policy=policy.name if policy else "",
        policy_sha256=policy.sha256 if policy else "",
        fusion=seen.health,
        world_names=policy.world_names if policy else (),
        world=policy.world if policy else None,
        monitor=policy.monitor.verdict if policy and policy.monitor else None,
    )
