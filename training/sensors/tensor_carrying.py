"""`inhand.training.sensors.carrying.Carrying` for tensors: all points of all worlds at once."""

import numpy as np
import torch
from torch import Tensor

from inhand.controller.estimation.hand_motion import FADE, LEVER, REACH, SOFTNESS, STIFFNESS
from inhand.hardware.model.hand import Hand
from inhand.perception.objects import ObjectDescription
from inhand.training.mujoco_worlds import tensor_rotations as rotations
from inhand.training.mujoco_worlds.tensor_hand import TensorHand
from inhand.training.sensors.carrying import Carrying


class TensorCarrying:
    """Shapes of hand and object on a device.

    Args:
        hand: the hand.
        target: the object.
        here: the same hand on the device.
    """

    def __init__(self, hand: Hand, target: ObjectDescription, here: TensorHand) -> None:
        self._hand, made = here, Carrying(hand, target)
        like, shapes = here.rest, made.shapes
        counts = [len(shape.radii) for shape in shapes]
        self._points = like.new_tensor(np.concatenate([shape.points for shape in shapes]))
        self._radii = like.new_tensor(np.concatenate([shape.radii for shape in shapes]))
        self._links = torch.tensor([shape.link for shape in shapes], device=like.device)
        self._shape = torch.tensor(np.repeat(np.arange(len(shapes)), counts), device=like.device)
        self._link = self._links[self._shape]
        self._centres = like.new_tensor(np.array([shape.centre for shape in shapes]))
        self._far = (like.new_tensor([shape.bound for shape in shapes]) + made.reach) ** 2
        self._axes, self._moved_by = like.new_tensor(made.axes), like.new_tensor(made.moved_by)
        self._palm = like.new_tensor(made.palm)
        self._normals, self._offsets = like.new_tensor(made.normals), like.new_tensor(made.offsets)
        stiffness = np.diag(np.repeat(STIFFNESS, 6))
        self._stiffness = like.new_tensor(stiffness)

    def motion(self, before: Tensor, after: Tensor, position: Tensor, quaternion: Tensor) -> Tensor:
        """Shift [m] and world rotation [rad] of the objects, (n, 6).

        Args:
            before: servo angles [rad], (n, n_actuators).
            after: the same a policy step later.
            position: of the objects at first, world frame [m], (n, 3).
            quaternion: of the objects at first, world from object, (n, 4) wxyz.
        """
        hand, cross = self._hand, torch.linalg.cross
        angles = hand.joint_angles(before)
        turned = hand.joint_angles(after) - angles
        poses = hand.link_poses(angles)
        turns, origins = poses[..., :3, :3], poses[..., :3, 3]
        # Twist that each joint adds: rotation, and the shift of the world's origin.
        spin = (turns @ self._axes[..., None]).squeeze(-1) * turned[..., None]
        shift = -cross(spin, origins)
        whole = (self._palm @ spin)[:, None]
        carried = (self._palm @ shift)[:, None] + cross(whole, position[:, None])
        points, weight, gap = self._contacts(turns, origins, position, quaternion)
        fade = (-(((gap - REACH).clamp(min=0.0) / FADE) ** 2)).exp()[:, None, None]
        whole, carried = whole * fade, carried * fade
        # Velocities of the touching points, less what the palm's motion gives them.
        spin, shift = (self._moved_by @ part for part in (spin, shift))
        arms = points - position[:, None]
        against = shift[:, self._link] + cross(spin[:, self._link], points)
        against = against - carried - cross(whole.expand_as(arms), arms)
        # Rotations are solved for in units in which they weigh as much as shifts.
        arms = arms / LEVER
        x, y, z = arms.unbind(-1)
        none, one = torch.zeros_like(x), torch.ones_like(x)
        body = torch.stack(
            [
                *(one, none, none, none, z, -y),
                *(none, one, none, -z, none, x),
                *(none, none, one, y, -x, none),
            ],
            -1,
        ).reshape(*arms.shape, 6)
        weighted = (body * weight[..., None, None]).flatten(1, 2).mT
        normal = weighted @ body.flatten(1, 2) + self._stiffness
        right = weighted @ against.flatten(1, 2)[..., None]
        # Positive definite in every world; to ask whether it is would make the host wait.
        found = torch.linalg.solve_ex(normal, right)[0].squeeze(-1)
        palm = torch.cat([carried, whole], -1).squeeze(1)
        return palm + torch.cat([found[:, :3], found[:, 3:] / LEVER], -1)

    def _contacts(
        self, turns: Tensor, origins: Tensor, position: Tensor, quaternion: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Points of the hands' surfaces, (n, points, 3) [m], and their weights, (n, points).

        Points that do not touch have none. The last tensor is each world's smallest gap [m], (n,);
        infinite where it does not matter.
        """
        centres = (turns[:, self._links] @ self._centres[..., None]).squeeze(-1)
        away = centres + origins[:, self._links] - position[:, None]
        near = away.square().sum(-1) < self._far
        points = (turns[:, self._link] @ self._points[..., None]).squeeze(-1)
        points = points + origins[:, self._link]
        local = (points - position[:, None]) @ rotations.to_matrix(quaternion)
        gap = (local @ self._normals.mT - self._offsets).amax(-1) - self._radii
        gap = torch.where(near[:, self._shape], gap, torch.inf)
        soft = (-((gap.clamp(min=0.0) / SOFTNESS) ** 2)).exp()
        return points, torch.where(gap < REACH, soft, 0.0), gap.amin(-1)
