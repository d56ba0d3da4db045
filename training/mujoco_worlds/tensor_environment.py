"""The worlds of `BatchEnvironment` with all that happens in a step as tensors on one device."""

from collections.abc import Callable, Mapping
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe, Vary
from inhand.perception.objects import ObjectDescription
from inhand.training.mujoco_worlds import tensor_rotations as rotations
from inhand.training.mujoco_worlds.adversary import Adversary
from inhand.training.mujoco_worlds.automatic_ranges import AutomaticRanges, Precision
from inhand.training.mujoco_worlds.delayed_targets import DelayedTargets
from inhand.training.mujoco_worlds.draws import scaled_strengths
from inhand.training.mujoco_worlds.model import OBJECT, build_spec, model_digest
from inhand.training.mujoco_worlds.rewards import Rewards, Step
from inhand.training.mujoco_worlds.tensor_hand import TensorHand
from inhand.training.mujoco_worlds.tensor_observation import observe
from inhand.training.mujoco_worlds.tensor_universes import TensorUniverses
from inhand.training.mujoco_worlds.variation import MAX_DELAY, MESH_SIZES, Variation
from inhand.training.mujoco_worlds.warp_on_device import TensorPhysics

Tensors = Any
"""A tensor, where `BatchOfWorlds` names an array."""


class TensorEnvironment:
    """`BatchOfWorlds` whose arrays are tensors; a test compares it with `BatchEnvironment`.

    Universes are drawn on the host, in those worlds alone whose episode ends. Nominal ones are
    not drawn again.

    Args:
        hand: the hand.
        target: the object.
        size: number of worlds.
        make_physics: makes the physics.
        seed: of all random draws.
        rewards: weights.

    Attributes:
        digests: SHA-256 of hand file, object and model, on which learned weights depend.
        goal: orientations to reach, world from object, (size, 4) wxyz.
        tolerance: of each world's goals [rad], (size,).
        goals_reached: in the present episode of each world, (size,).
        physics: of all worlds.
        variation: draws the universes.
        Others are those of `BatchOfWorlds`.
    """

    def __init__(
        self,
        hand: Hand,
        target: ObjectDescription,
        size: int,
        make_physics: Callable[[mujoco.MjModel, int], TensorPhysics],
        seed: int = 0,
        rewards: Rewards | None = None,
    ) -> None:
        self.hand, self.target, self.size = hand, target, size
        self.rewards = rewards or Rewards()
        self.goal_distance, self.universe_scale = 0.8, 0.0
        self.vary: Vary = "everything"
        self.ranges: AutomaticRanges | None = None
        self.precision: Precision | None = None
        self.settle_seconds = 0.0
        self._steps = 0
        model = build_spec(hand, target).compile()
        self.digests: Mapping[str, str] = {
            "hand file": hand.digest,
            "object": target.digest,
            "model": model_digest(model),
        }
        physics = make_physics(build_spec(hand, target, MESH_SIZES).compile(), size)
        self.physics = physics
        self._like = like = self.physics.bind("qpos")
        self._object = model.body(OBJECT).id
        self._hand = TensorHand(hand, like)
        self.policy_rate: float = self._hand.path.policy_rate
        tick = 1.0 / self._hand.path.tick_rate
        self._steps_per_tick = round(tick / model.opt.timestep)
        self.variation = Variation(physics, model, hand, tick)
        self._rng = torch.Generator(device=like.device).manual_seed(seed)
        self._host_rng = np.random.default_rng(seed)
        self._universes = TensorUniverses(self.variation, tick, like, self._rng)
        self._adversary = Adversary(hand, size, seed)
        self._sent = DelayedTargets(self._hand.rest, size, MAX_DELAY)
        self._path = self._hand.start(size)
        self._rest_angles = self._hand.joint_angles(self._hand.rest)
        self._start = like.new_tensor(hand.workspace.object_start)
        self._center = like.new_tensor(hand.workspace.center)
        self._symmetry = like.new_tensor(target.symmetry.tolist())
        self._goal_limit = round(self.rewards.seconds_per_goal * self.policy_rate)
        self.tolerance: Tensors = like.new_full((size,), self.rewards.tolerance)
        self.goal: Tensors = like.new_zeros((size, 4))
        self._distance = like.new_zeros(size)
        self._action = like.new_zeros((size, hand.n_actuators))
        counters = torch.zeros((3, size), dtype=torch.int64, device=like.device)
        self.goals_reached: Tensors = counters[0]
        self._goal_steps, self._held = counters[1], counters[2]
        self.reset(np.arange(size))

    @property
    def universes(self) -> list[Universe]:
        """The universe of each world."""
        return self.variation.universes

    @property
    def strengths(self) -> Tensors:
        """With which the universes were drawn, (size, axes of `draws.AXES`)."""
        return self._universes["strengths"]

    @property
    def sent_target(self) -> Tensors:
        """Targets last sent to the servos [rad], (size, n_actuators)."""
        return self._path.position

    @property
    def joint_position(self) -> Tensors:
        """Encoder readings [rad], (size, n_actuators); see `BatchEnvironment.joint_position`."""
        targets = self._delayed_targets()
        tight = self._universes.tight(targets, self._angles())
        return tight + self._universes.stretch(targets, tight)

    @property
    def joint_velocity(self) -> Tensors:
        """Velocities of the driven joints [rad/s], (size, n_actuators)."""
        return self.physics.bind("qvel")[:, self._hand.driven]

    @property
    def object_position(self) -> Tensors:
        """Centres of the objects, world frame [m], (size, 3)."""
        at = self.hand.n_joints
        return self.physics.bind("qpos")[:, at : at + 3]

    @property
    def object_quaternion(self) -> Tensors:
        """World from object, (size, 4) wxyz."""
        at = self.hand.n_joints + 3
        return self.physics.bind("qpos")[:, at : at + 4]

    @property
    def angular_velocity(self) -> Tensors:
        """Of the objects, world frame [rad/s], (size, 3)."""
        at = self.hand.n_joints + 3
        quaternion = rotations.normalize(self.object_quaternion)
        return rotations.rotate(quaternion, self.physics.bind("qvel")[:, at : at + 3])

    def _angles(self) -> Tensor:
        angles: Tensor = self.physics.bind("qpos")[:, self._hand.driven]
        return angles

    def _delayed_targets(self) -> Tensor:
        late = self._universes["delay"] + self._universes.late[:, None]
        arrived: Tensor = self._sent.arrived(late)
        return arrived

    def harden(self, goal_distance: float, universe_scale: float) -> None:
        """Sets the distance of goals [rad] and the scale of universes, and resets all worlds."""
        self.goal_distance, self.universe_scale = goal_distance, universe_scale
        self.reset(np.arange(self.size))

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Resets these worlds: hands in their rest pose, objects in random orientations."""
        if not len(ids):
            return
        self.physics.reset(ids)
        self._draw_universes(ids)
        rows = torch.from_numpy(ids).to(self._like.device)
        self._universes.begin(rows)
        self._sent.reset(rows)
        self._path.reset(rows, self._hand.rest)
        at, qpos = self.hand.n_joints, self.physics.bind("qpos")
        start = self._start.repeat(len(ids), 1)
        turned = rotations.normalize(self._normal(len(ids), 4))
        qpos[rows] = torch.cat([self._rest_angles.repeat(len(ids), 1), start, turned], -1)
        assert qpos.shape[1] == at + 7
        self._action[rows] = 0.0
        self.goals_reached[rows] = 0
        self.goal[rows] = goal = self._new_goals(turned)
        self._distance[rows] = rotations.angle_between(goal, turned)
        self._goal_steps[rows] = self._held[rows] = 0

    def _draw_universes(self, ids: NDArray[np.int64]) -> None:
        rng, n = self._host_rng, len(ids)
        if self.ranges:
            strengths = self.ranges.draw(ids, rng)
        else:
            strengths = scaled_strengths(rng, n, self.universe_scale)
        self._universes.send(self.variation.draw(ids, rng, strengths, self.vary, True))
        self.physics.send()
        if self.precision:
            coarse = self.ranges.tried(ids) if self.ranges else np.zeros(n, dtype=np.bool_)
            drawn = torch.from_numpy(self.precision.draw(ids, coarse, rng))
            self.tolerance[torch.from_numpy(ids)] = drawn.to(self._like)

    def count(self, ids: NDArray[np.int64]) -> None:
        """Counts the goals of the episodes that ended in these worlds; call it before `reset`."""
        if not len(ids) or self._steps < self.settle_seconds * self.policy_rate:
            return
        goals = self.goals_reached[torch.from_numpy(ids)].tolist()
        if self.precision:
            self.precision.record(ids, goals)
        if self.ranges:
            self.ranges.record(ids, goals)

    def _new_goals(self, now: Tensor) -> Tensor:
        """Draws goals up to `goal_distance` [rad] away, but none that is already reached."""
        axis = self._normal(len(now), 3)
        low = min(self.rewards.tolerance + 0.1, self.goal_distance)
        angle = torch.rand(
            (len(now), 1), generator=self._rng, dtype=now.dtype, device=now.device
        ) * (self.goal_distance - low)
        turn = (low + angle) * axis / axis.square().sum(-1, keepdim=True).sqrt()
        return rotations.multiply(rotations.exp(turn), now)

    def _normal(self, *shape: int) -> Tensor:
        like = self._like
        return torch.randn(shape, generator=self._rng, dtype=like.dtype, device=like.device)

    def step(self, actions: Tensors) -> Step:
        """Advances every world by one policy step; the caller resets worlds with ended episodes.

        Args:
            actions: in [-1, 1], (size, n_actuators), a tensor on the device of the worlds.
        """
        physics, universes, hand = self.physics, self._universes, self._hand
        actions = actions.to(self._like.dtype)
        taken = actions
        if universes.disturbs:
            share = universes["adversary"]
            taken = self._adversary.disturb(actions, share, physics.bind("qpos"))
        self._path = self._path.unless(universes.paused, hand.act(self._path, taken))
        forces = universes.pushes(self.target.mass, self.policy_rate)
        physics.bind("xfrc_applied")[:, self._object, :3] = forces
        joints = slice(0, self.hand.n_joints)
        for number in range(hand.path.ticks_per_action):
            universes.tick()
            self._path = self._path.unless(universes.paused, hand.tick(self._path, number + 1))
            self._sent.send(self._path.position)
            physics.friction[:, joints] = universes.friction(physics.bind("qvel")[:, joints])
            # The spring acts from the encoder's angle; its offset from the joint is the backlash.
            targets, angles = self._delayed_targets(), self._angles()
            physics.bind("ctrl")[:] = targets + angles - universes.tight(targets, angles)
            physics.step(nstep=self._steps_per_tick)
        self._steps += 1
        return self._judge(actions)

    def _judge(self, actions: Tensor) -> Step:
        weights, space = self.rewards, self.hand.workspace
        now = rotations.normalize(self.object_quaternion)
        distance = rotations.angle_between(self.goal, now)
        self._held = torch.where(distance < self.tolerance, self._held + 1, 0)
        offset = (self.object_position - self._center).square().sum(-1).sqrt()
        dropped = (offset > space.radius) | (self.object_position[:, 2] < space.drop_height)
        reached = (self._held >= weights.hold_steps) & ~dropped
        self._goal_steps += 1
        timed_out = (self._goal_steps >= self._goal_limit) & ~reached & ~dropped
        reward = weights.sum(
            progress=self._distance - distance,
            distance=distance,
            held=self._held,
            reached=reached,
            dropped=dropped,
            timed_out=timed_out,
            actions=actions,
            before=self._action,
            offset=offset,
        )
        self._action = actions.clamp(-1.0, 1.0)
        self.goals_reached += reached
        # A draw for all worlds costs less than to ask the device which ones need it.
        goal = self._new_goals(now)
        self.goal = torch.where(reached[:, None], goal, self.goal)
        self._distance = torch.where(reached, rotations.angle_between(goal, now), distance)
        self._held = torch.where(reached, 0, self._held)
        self._goal_steps = torch.where(reached, 0, self._goal_steps)
        return Step(reward, reached, dropped, timed_out)

    def observe(self) -> Tensors:
        """Observations without measurement errors, (size, observation_size)."""
        joints = self.joint_position
        return observe(
            symmetry=self._symmetry,
            center=self._center,
            joint_position=joints,
            sent_target=self._path.position,
            fingertips=self._hand.fingertips(joints),
            object_position=self.object_position,
            object_quaternion=rotations.normalize(self.object_quaternion),
            goal_quaternion=self.goal,
            pose_age=torch.zeros_like(self.tolerance),
            object_angular_velocity=self.angular_velocity,
            goal_tolerance=self.tolerance,
        )

    def privileged(self) -> Tensors:
        """What only a simulation can measure, (size, n); see `BatchEnvironment.privileged`."""
        universes, quaternion = self._universes, rotations.normalize(self.object_quaternion)
        parts = [
            self.physics.bind("qvel"),
            universes["privileged"],
            self._goal_steps[:, None] / self._goal_limit,
            universes["reality"],
            self.angular_velocity,
            rotations.rotate(quaternion, universes["center_of_mass"]) / 0.002,
            self._delayed_targets() - self._path.position,
            self.tolerance[:, None] / self.rewards.tolerance,
            self._held[:, None] / self.rewards.hold_steps,
        ]
        return torch.cat([part.float() for part in parts], -1)
