"""Action path and forward kinematics of a hand, for tensors of a batch on one device.

The same as `inhand.controller.policy.action.ActionPath`, `inhand.controller.safety.safety.limit`
and `inhand.hardware.model.kinematics.fingertip_positions`, with which a test compares them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inhand.controller.policy.action import ActionPath
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import chain, levels


@dataclass
class PathState:
    """State of the action path in each world, (size, n_actuators) each.

    Attributes:
        previous: smoothed target of the policy step before [rad].
        goal: smoothed target of this policy step [rad].
        position: targets last sent [rad].
        velocity: their velocity in the tick that led there [rad/s].
    """

    previous: Tensor
    goal: Tensor
    position: Tensor
    velocity: Tensor

    def reset(self, rows: Tensor, rest: Tensor) -> None:
        """Puts these worlds to rest at these targets [rad], (n_actuators,)."""
        for part in (self.previous, self.goal, self.position):
            part[rows] = rest
        self.velocity[rows] = 0.0

    def unless(self, paused: Tensor, new: "PathState") -> "PathState":
        """The new state; this one where `paused`, (size,), is true."""
        keep = paused[:, None]
        return PathState(
            torch.where(keep, self.previous, new.previous),
            torch.where(keep, self.goal, new.goal),
            torch.where(keep, self.position, new.position),
            torch.where(keep, self.velocity, new.velocity),
        )


class TensorHand:
    """A hand whose constants are on a device.

    Args:
        hand: the hand.
        like: a tensor of the type and on the device that the constants shall have.
    """

    def __init__(self, hand: Hand, like: Tensor) -> None:
        def here(values: Any) -> Tensor:
            return torch.tensor(np.array(values), dtype=like.dtype, device=like.device)

        self.path = ActionPath(hand)
        self.rest, self.lower, self.upper = here(hand.rest), here(hand.lower), here(hand.upper)
        self.action_zero = here(hand.action_zero)
        limits = self.path.limits
        self._lower, self._upper = here(limits.lower), here(limits.upper)
        self._velocity, self._acceleration = here(limits.velocity), here(limits.acceleration)
        self.driven = torch.tensor(hand.driven_joint, device=like.device)
        self._actuators = torch.tensor(hand.actuator_of_joint, device=like.device)
        self._ratios, self._offsets = here(hand.joint_ratios), here(hand.joint_offsets)
        self._chain = [here(term) for term in chain(hand)]
        self._levels = [
            (torch.from_numpy(links).to(like.device), torch.from_numpy(parents).to(like.device))
            for links, parents in levels(hand)
        ]
        self._tips = torch.tensor(hand.fingertips, device=like.device)
        self._ends = here([hand.links[i].tip for i in hand.fingertips])

    def start(self, size: int) -> PathState:
        """All worlds at rest in the hand's rest pose."""
        rest = self.rest.repeat(size, 1)
        return PathState(rest, rest.clone(), rest.clone(), torch.zeros_like(rest))

    def act(self, state: PathState, action: Tensor) -> PathState:
        """Takes a new action, (size, n_actuators), smoothing its target."""
        bounded = action.clamp(-1.0, 1.0)
        middle = self.action_zero
        span = torch.where(bounded >= 0, self.upper - middle, middle - self.lower)
        target = middle + bounded * span
        target = torch.where(target.isfinite(), target, state.goal)
        smoothed = state.goal + self.path.smoothing * (target - state.goal)
        return PathState(state.goal, smoothed, state.position, state.velocity)

    def tick(self, state: PathState, number: int) -> PathState:
        """Advances one tick.

        Args:
            state: the path's state; the targets to send are the result's `position`.
            number: of the tick since the last action, from 1.
        """
        share = min(number, self.path.ticks_per_action) / self.path.ticks_per_action
        wanted = state.previous + share * (state.goal - state.previous)
        position, velocity = self.limit(state.position, state.velocity, wanted)
        return PathState(state.previous, state.goal, position, velocity)

    def limit(self, position: Tensor, velocity: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Moves targets towards the wanted ones for one tick, inside all limits.

        Args:
            position: targets of the tick before [rad], (size, n_actuators).
            velocity: their velocity [rad/s], (size, n_actuators).
            wanted: targets asked for [rad], (size, n_actuators).

        Returns:
            The targets to send, and their velocity in this tick.
        """
        dt, acceleration = 1.0 / self.path.tick_rate, self._acceleration
        finite = torch.where(wanted.isfinite(), wanted, position)
        distance = finite.maximum(self._lower).minimum(self._upper) - position
        step = acceleration * dt
        double = 2 * distance.abs()
        speed = acceleration * double / ((step * step + acceleration * double).sqrt() + step)
        speed = speed.minimum(self._velocity).copysign(distance)
        moved = speed.maximum(velocity - step).minimum(velocity + step)
        lower, upper = position.minimum(self._lower), position.maximum(self._upper)
        new = (position + moved * dt).maximum(lower).minimum(upper)
        return new, (new - position) / dt

    def joint_angles(self, actuator_angles: Tensor) -> Tensor:
        """Joint angles [rad], (..., n_joints), from those of actuators, (..., n_actuators)."""
        return actuator_angles[..., self._actuators] * self._ratios + self._offsets

    def fingertips(self, actuator_angles: Tensor) -> Tensor:
        """Fingertips as the encoders imply them, world frame [m], (size, n_fingertips, 3)."""
        tips = self.link_poses(self.joint_angles(actuator_angles))[:, self._tips]
        return tips[..., :3, 3] + (tips[..., :3, :3] @ self._ends[..., None]).squeeze(-1)

    def link_poses(self, joint_angles: Tensor) -> Tensor:
        """Transforms of all links, world from link, (size, n_links, 4, 4).

        Args:
            joint_angles: [rad], (size, n_joints).
        """
        angles = joint_angles[..., None, None]
        constant, cosine, sine = self._chain
        poses = constant + angles.cos() * cosine + angles.sin() * sine
        for links, parents in self._levels:
            poses[:, links] = poses[:, parents] @ poses[:, links]
        return poses
