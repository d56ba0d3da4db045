"""The reward of a policy step and the rule of success, for arrays of numpy and of torch."""

from dataclasses import dataclass
from typing import Any

import msgspec
from array_api_compat import array_namespace

from inhand.training.mujoco_worlds.bounded_numbers import (
    Angle,
    Count,
    Positive,
    PositiveOrZero,
    Weight,
)

Values = Any
"""Arrays of numpy, or tensors of torch on one device."""


class Rewards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the reward's terms, and the rule of success; distances in rad and m.

    Attributes:
        progress: of the decrease of the angle to the goal.
        reached: of a goal.
        held: of each step within the tolerance, times the steps held so far.
        dropped: of a drop.
        timed_out: of a goal that takes too long.
        distance: of the angle to the goal, each step.
        action: of the squared action.
        change: of the squared change of the action.
        excess: of the squared part of an action beyond its bounds.
        off_centre: of the distance from the workspace's centre beyond `off_centre_free`.
        blocked: of each joint of which the protection of servos reduces the torque since it pushes
            in vain, each step; 0 in worlds without that protection.
        tolerance: largest angle to a goal that is reached.
        finest: tolerance at which its curriculum ends; none if equal to `tolerance`.
        hold_steps: successive policy steps within the tolerance after which a goal is reached.
        seconds_per_goal: time limit of a goal.
    """

    progress: Weight = 2.0
    reached: Weight = 5.0
    held: Weight = 0.0
    dropped: Weight = -15.0
    timed_out: Weight = -4.0
    distance: Weight = -0.03
    action: Weight = -0.0003
    change: Weight = 0.0
    excess: Weight = 0.0
    off_centre: Weight = -1.0
    off_centre_free: PositiveOrZero = 0.03
    blocked: Weight = 0.0
    tolerance: Angle = 0.4
    finest: Angle = 0.4
    hold_steps: Count = 1
    seconds_per_goal: Positive = 8.0

    def sum(
        self,
        *,
        progress: Values,
        distance: Values,
        held: Values,
        reached: Values,
        dropped: Values,
        timed_out: Values,
        actions: Values,
        before: Values,
        offset: Values,
    ) -> Values:
        """The reward of one policy step, (n,).

        Args:
            progress: decrease of the angle to the goal [rad], (n,).
            distance: angle to the goal [rad], (n,).
            held: steps for which it has been within the tolerance, (n,).
            reached: whether the goal was reached, (n,).
            dropped: whether the object was dropped, (n,).
            timed_out: whether the goal took too long, (n,).
            actions: of this step, (n, n_actuators).
            before: of the step before, within the bounds, (n, n_actuators).
            offset: distance of the object from the workspace's centre [m], (n,).
        """
        xp = array_namespace(actions)
        bounded = xp.clip(actions, -1.0, 1.0)
        far = xp.maximum(offset - self.off_centre_free, xp.zeros_like(offset))
        total: Values = (
            self.progress * progress
            + self.distance * distance
            + self.reached * reached
            + self.held * held
            + self.dropped * dropped
            + self.timed_out * timed_out
            + self.action * _square(actions)
            + self.change * _square(bounded - before)
            + self.excess * _square(actions - bounded)
            + self.off_centre * far
        )
        return total


@dataclass(frozen=True)
class Step:
    """Results of one policy step, each (n,).

    Attributes:
        reward: sum of the weighted terms.
        reached: whether a goal was reached; a new one is drawn.
        dropped: whether the object left the workspace, which ends the episode.
        timed_out: whether the time for the goal is over, which ends the episode.
    """

    reward: Values
    reached: Values
    dropped: Values
    timed_out: Values


def _square(values: Values) -> Values:
    """Squared length of each row, (n, m) to (n,)."""
    squared: Values = array_namespace(values).einsum("ni,ni->n", values, values)
    return squared
