"""A batch of hands, each with an object, stepped together: the environment of training."""

from dataclasses import replace

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from inhand.controller.policy.action import ActionPath, ActionState
from inhand.controller.policy.observation import observe
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.model.universe import Vary
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.training.mujoco_worlds.adversary import Adversary
from inhand.training.mujoco_worlds.automatic_ranges import AutomaticRanges, Precision
from inhand.training.mujoco_worlds.delayed_targets import DelayedTargets
from inhand.training.mujoco_worlds.draws import scaled_strengths
from inhand.training.mujoco_worlds.model import OBJECT, build_spec, model_digest, refine_steps
from inhand.training.mujoco_worlds.physics import MakePhysics, Physics
from inhand.training.mujoco_worlds.protection import Protection
from inhand.training.mujoco_worlds.rewards import Rewards, Step
from inhand.training.mujoco_worlds.start_states import StartStates
from inhand.training.mujoco_worlds.variation import MAX_DELAY, MESH_SIZES, Variation


class BatchEnvironment:
    """`BatchOfWorlds` in MuJoCo, with the action path of the robot.

    Args:
        hand: the hand.
        target: the object.
        size: number of worlds.
        threads: of the physics; 0 for all cores.
        seed: of all random draws.
        rewards: weights.
        make_physics: makes the physics; on the cores of this machine if not given.
        protected: whether servos are derated as by the daemon, and a joint that stays blocked ends
            an episode as a drop does.
        finer: by which MuJoCo's time step, and the time constant of its contacts, are divided.

    Attributes:
        digests: SHA-256 of hand file, object and model, on which learned weights depend.
        policy_rate: policy steps a second [Hz].
        vary: the kind of fields that draws of universes change.
        universes: one for each world.
        strengths: with which the universes were drawn, (size, len(AXES)).
        ranges: automatic ranges of the universes; None: ranges scaled by `universe_scale`.
        precision: curriculum of the tolerance; None: the same tolerance everywhere.
        settle_seconds: time from the start in which episodes do not count for either [s].
        tolerance: of each world's goals [rad], (size,).
    """

    def __init__(
        self,
        hand: Hand,
        target: ObjectDescription,
        size: int,
        threads: int = 0,
        seed: int = 0,
        rewards: Rewards | None = None,
        make_physics: MakePhysics | None = None,
        protected: bool = False,
        finer: int = 1,
    ) -> None:
        self.hand, self.target, self.size = hand, target, size
        self.rewards = rewards or Rewards()
        self.rng = np.random.default_rng(seed)
        self.path = ActionPath(hand)
        self.policy_rate = self.path.policy_rate
        self.vary: Vary = "everything"
        self.goal_distance = 0.8
        self.universe_scale = 0.0
        self.ranges: AutomaticRanges | None = None
        self.precision: Precision | None = None
        self.starts: StartStates | None = None
        self.tolerance = np.full(size, self.rewards.tolerance)
        self.settle_seconds = 0.0
        self._steps = 0
        self._adversary = Adversary(hand, size, seed)
        tick = 1.0 / self.path.tick_rate
        model = build_spec(hand, target).compile()
        self.digests = {
            "hand file": hand.digest,
            "object": target.digest,
            "model": model_digest(model),
        }
        # A universe may have another object size; meshes need a copy for each size.
        varied = build_spec(hand, target, MESH_SIZES).compile()
        for one in (model, varied):
            refine_steps(one, finer)
        physics = make_physics(varied, size) if make_physics else Batch(varied, size, threads)
        self._batch: Physics = physics
        self._qpos = self._batch.bind("qpos")
        self._qvel = self._batch.bind("qvel")
        self._ctrl = self._batch.bind("ctrl")
        self._object = model.body(OBJECT).id
        self._force = self._batch.bind("xfrc_applied")[:, self._object, :3]
        self._steps_per_tick = round(tick / model.opt.timestep)
        self.variation = Variation(self._batch, model, hand, tick, finer)
        self.universes, self.strengths = self.variation.universes, self.variation.strengths
        self._sent = DelayedTargets(hand.rest, size, MAX_DELAY)
        self._driven = list(hand.driven_joint)
        self.goal = np.tile(rotations.IDENTITY, (size, 1))
        self._distance = np.zeros(size)
        self._goal_limit = round(self.rewards.seconds_per_goal * self.path.policy_rate)
        self._goal_steps = np.zeros(size, dtype=np.int64)
        self._held = np.zeros(size, dtype=np.int64)
        self._action = np.zeros((size, hand.n_actuators))
        self.goals_reached = np.zeros(size, dtype=np.int64)
        self._protection = Protection(hand, size, self.path.limits, tick) if protected else None
        self.state: ActionState = self.path.start(np.tile(hand.rest, (size, 1)))
        self.reset(np.arange(size))

    @property
    def sent_target(self) -> Array:
        """Targets last sent to the servos [rad], (size, n_actuators)."""
        return self.state.motion.position

    @property
    def joint_position(self) -> Array:
        """Encoder readings [rad], (size, n_actuators).

        A servo moves freely within its backlash: it is at its target if that is within the
        backlash.
        """
        targets = self._delayed_targets()
        tight = self._tight(targets, self._qpos[:, self._driven])
        read: Array = tight + self.variation.stretch(targets, tight)
        return read

    def _tight(self, targets: Array, angles: Array) -> Array:
        """Encoder readings without the stretch of tendons [rad], (size, n_actuators)."""
        slack = self.variation.backlash
        bounded: Array = np.clip(targets, angles - slack, angles + slack)
        return bounded

    def _delayed_targets(self) -> Array:
        """Targets that have reached the servos, after their delays [rad], (size, n_actuators)."""
        arrived: Array = self._sent.arrived(self.variation.delay + self.variation.late[:, None])
        return arrived

    @property
    def positions(self) -> Array:
        """Generalized positions of the model, (size, nq)."""
        positions: Array = self._qpos
        return positions

    @property
    def velocities(self) -> Array:
        """Generalized velocities of the model, (size, nv)."""
        velocities: Array = self._qvel
        return velocities

    @property
    def object_size(self) -> Array:
        """Sizes of the objects, as factors of the nominal one, (size,)."""
        return np.array([universe.object_size for universe in self.universes])

    @property
    def object_position(self) -> Array:
        """Centres of the objects, world frame [m], (size, 3)."""
        at = self.hand.n_joints
        position: Array = self._qpos[:, at : at + 3]
        return position

    @property
    def object_quaternion(self) -> Array:
        """World from object, (size, 4) wxyz."""
        at = self.hand.n_joints + 3
        quaternion: Array = self._qpos[:, at : at + 4]
        return quaternion

    @property
    def angular_velocity(self) -> Array:
        """Of the objects, world frame [rad/s], (size, 3)."""
        at = self.hand.n_joints + 3
        quaternion = rotations.normalize(self.object_quaternion)
        return rotations.rotate(quaternion, self._qvel[:, at : at + 3])

    @property
    def joint_velocity(self) -> Array:
        """Velocities of the driven joints [rad/s], (size, n_actuators)."""
        velocity: Array = self._qvel[:, self._driven]
        return velocity

    def harden(self, goal_distance: float, universe_scale: float) -> None:
        """Sets the distance of goals [rad] and the scale of universes, and resets all worlds."""
        self.goal_distance, self.universe_scale = goal_distance, universe_scale
        self.reset(np.arange(self.size))

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Resets these worlds: hands in their rest pose, objects in random orientations."""
        self._batch.reset(ids, stage=mujoco.mjtStage.mjSTAGE_NONE)
        hand, n = self.hand, len(ids)
        if self.ranges:
            strengths = self.ranges.draw(ids, self.rng)
        else:
            strengths = scaled_strengths(self.rng, n, self.universe_scale)
        self.variation.draw(ids, self.rng, strengths, self.vary)
        if self.precision:
            # Where an axis is tried at its end, goals are coarse, so that ends can be compared.
            coarse = self.ranges.tried(ids) if self.ranges else np.zeros(n, dtype=np.bool_)
            self.tolerance[ids] = self.precision.draw(ids, coarse, self.rng)
        self._sent.reset(ids)
        self._qpos[ids, : hand.n_joints] = hand.joint_angles(hand.rest)
        at = hand.n_joints
        self._qpos[ids, at : at + 3] = hand.workspace.object_start
        self._qpos[ids, at + 3 : at + 7] = rotations.random_quaternion(self.rng, (n,))
        self._qvel[ids] = 0.0
        if self.starts:
            self.starts.place(ids, self.object_size[ids], self._qpos, self._qvel, self.rng)
        for array in (self.state.previous, self.state.goal, self.state.motion.position):
            array[ids] = hand.rest
        self.state.motion.velocity[ids] = 0.0
        if self._protection:
            self._protection.reset(ids)
        self.goals_reached[ids] = 0
        self._action[ids] = 0.0
        self._new_goals(ids)

    def count(self, ids: NDArray[np.int64]) -> None:
        """Counts the goals of the episodes that ended in these worlds; call it before `reset`."""
        if self._steps < self.settle_seconds * self.path.policy_rate:
            return
        goals = self.goals_reached[ids].tolist()
        if self.precision:
            self.precision.record(ids, goals)
        if self.ranges:
            self.ranges.record(ids, goals)

    def _new_goals(self, ids: NDArray[np.int64]) -> None:
        """Draws goals up to `goal_distance` [rad] away, but none that is already reached."""
        axis = self.rng.standard_normal((len(ids), 3))
        axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
        low = min(self.rewards.tolerance + 0.1, self.goal_distance)
        angle = self.rng.uniform(low, self.goal_distance, (len(ids), 1))
        now = self.object_quaternion[ids]
        self.goal[ids] = rotations.multiply(rotations.exp(angle * axis), now)
        self._distance[ids] = rotations.angle_between(self.goal[ids], now)
        self._goal_steps[ids] = self._held[ids] = 0

    def step(self, actions: Array) -> Step:
        """Advances every world by one policy step; the caller resets worlds with ended episodes.

        Args:
            actions: in [-1, 1], (size, n_actuators).
        """
        disturbed = self._adversary.disturb(actions, self.variation.adversary, self._qpos)
        self.state = self.variation.unless_paused(self.state, self.path.act(self.state, disturbed))
        self._force[:] = self.variation.pushes(self.rng, self.target.mass, self.policy_rate)
        for _ in range(self.path.ticks_per_action):
            self.variation.tick(self.rng)
            moved = self.path.tick(self.state)
            if self._protection:
                arrived, angles = self._delayed_targets(), self.joint_position
                motion = self._protection.apply(self.state.motion, moved.motion, arrived, angles)
                moved = replace(moved, motion=motion)
            self.state = self.variation.unless_paused(self.state, moved)
            self._sent.send(self.state.motion.position)
            self.variation.stick(self._qvel[:, : self.hand.n_joints])
            # The spring acts from the encoder's angle; its offset from the joint is the backlash.
            targets, angles = self._delayed_targets(), self._qpos[:, self._driven]
            self._ctrl[:] = targets + angles - self._tight(targets, angles)
            self._batch.step(nstep=self._steps_per_tick)
        self._steps += 1
        return self._judge(actions)

    def _judge(self, actions: Array) -> Step:
        weights, space = self.rewards, self.hand.workspace
        distance = rotations.angle_between(self.goal, rotations.normalize(self.object_quaternion))
        within = distance < self.tolerance
        self._held = np.where(within, self._held + 1, 0)
        reached = self._held >= weights.hold_steps
        offset = np.linalg.norm(self.object_position - np.array(space.center), axis=-1)
        dropped = (offset > space.radius) | (self.object_position[:, 2] < space.drop_height)
        if self._protection:
            dropped |= self._protection.stopped
        self._goal_steps += 1
        timed_out = (self._goal_steps >= self._goal_limit) & ~reached & ~dropped
        reward = weights.sum(
            progress=self._distance - distance,
            distance=distance,
            held=self._held,
            reached=reached & ~dropped,
            dropped=dropped,
            timed_out=timed_out,
            actions=actions,
            before=self._action,
            offset=offset,
        )
        if self._protection:
            reward = reward + weights.blocked * self._protection.backed_off
        self._distance = distance
        self._action = np.clip(actions, -1.0, 1.0)
        reached &= ~dropped
        self.goals_reached += reached
        self._new_goals(np.flatnonzero(reached))
        return Step(reward, reached, dropped, timed_out)

    def observe(self) -> NDArray[np.float32]:
        """Observations without measurement errors, (size, observation_size)."""
        joints = self.joint_position
        return observe(
            self.hand,
            self.target,
            joint_position=joints,
            sent_target=self.state.motion.position,
            fingertips=fingertip_positions(self.hand, joints),
            object_position=self.object_position,
            object_quaternion=rotations.normalize(self.object_quaternion),
            goal_quaternion=self.goal,
            pose_age=np.zeros(self.size),
            object_angular_velocity=self.angular_velocity,
            goal_tolerance=self.tolerance,
        )

    def privileged(self) -> NDArray[np.float32]:
        """What only a simulation can measure, (size, n).

        Velocities, the universe, the elapsed share of the time for the goal, angular velocity and
        centre of mass in the world frame, targets that are on their way to the servos, and the
        rule of success. Newer parts are last, so that the network of an older teacher can be
        widened. The attitude in the observation is reduced by the object's symmetry, so that only
        vectors in the world frame can be combined with it.
        """
        clock = self._goal_steps[:, None] / self._goal_limit
        quaternion = rotations.normalize(self.object_quaternion)
        parts = [
            self._qvel,
            self.variation.privileged,
            clock,
            self.variation.reality,
            self.angular_velocity,
            rotations.rotate(quaternion, self.variation.center_of_mass) / 0.002,
            self._delayed_targets() - self.state.motion.position,
            self.tolerance[:, None] / self.rewards.tolerance,
            self._held[:, None] / self.rewards.hold_steps,
        ]
        return np.concatenate(parts, -1, dtype=np.float32)
