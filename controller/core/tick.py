"""The tick: fuse, watch, decide, limit. Pure of clocks, sockets and files."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from inhand.controller.config.settings import ControlSettings
from inhand.controller.core.goals import GoalKeeper
from inhand.controller.core.interfaces import PolicyRunner, PoseSource, require_rate
from inhand.controller.core.records import Event, EventKind, GoalState, Snapshot
from inhand.controller.core.setpoints import Mover
from inhand.controller.errors import PolicyError
from inhand.controller.policy.exploration_noise import Unstick
from inhand.controller.policy.observation import observe
from inhand.controller.safety.derating import Effort, allowance, warm
from inhand.controller.safety.drop_detector import Presence
from inhand.controller.safety.joint_health import JointHealth
from inhand.controller.safety.modes import STOPPED, Happening, Mode, Trigger, next_mode
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.records import Array, JointState, Targets, frozen_array
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ObjectPose

MAX_TICKS_LONG = 3
"""The measured length of a tick is bounded to this many nominal ones."""

Measurement = TypeVar("Measurement")


class TickingCore(Generic[Measurement]):
    """The part of the controller that a tick needs; `core.controller` adds the requests.

    Attributes:
        hand: the hand it controls.
        target: the object it turns.
        settings: what may be configured.
        mode: the present mode.
        torque: whether the servos are to have torque.
        events: what happened since somebody last emptied the list.
        goals: the goals and their queue.
        policy: turns observations into actions; None if there is none.
        temperature: of the servos [°C], (n_actuators,); None if it was never read.
    """

    def __init__(
        self,
        hand: Hand,
        target: ObjectDescription,
        pose_source: PoseSource[Measurement],
        settings: ControlSettings | None = None,
        *,
        policy: PolicyRunner | None = None,
        seed: int | None = None,
    ) -> None:
        """Takes its parts.

        Raises:
            PolicyError: the policy was made for another tick rate.
        """
        self.hand = hand
        self.target = target
        self.settings = settings or ControlSettings()
        if policy is not None:
            require_rate(policy, self.settings.tick_rate)
        self.mode = Mode.OFF
        self.torque = False
        self.events: list[Event] = []
        self.goals = GoalKeeper(target, np.random.default_rng(seed))
        goals = self.settings.goals
        self._unstick = Unstick(hand.n_actuators, goals.unstick_after, goals.unstick)
        self.policy = policy
        safety = self.settings.safety
        self.temperature: Array | None = None
        self._health = JointHealth(hand)
        self._flaw = ""
        self._effort = Effort.of(hand, Units(hand).torque_per_ampere)
        self._share = np.ones(hand.n_actuators)
        self._derated = False
        self._pose_source = pose_source
        self._presence = Presence(hand.workspace, safety.predict)
        self._mover = Mover(hand, self.settings.tick_rate, safety.home_speed)
        self._t = 0.0
        self._ticked = False
        self._joints: JointState | None = None
        self._pose: ObjectPose | None = None
        self._sent: Array | None = None
        self._action: Array | None = None
        self._ticks_to_action = 0
        self._paused = False
        self._entered = self._t
        self._armed_until = self._t
        self._reason = "started"
        self._line = ""
        self._dropped = 0

    def report(self, happening: Happening, reason: str) -> None:
        """Takes note of something that the core cannot see itself, like a lost bus."""
        self._take(happening, reason)

    def note_sent(self, sent: Targets) -> None:
        """Takes note of what the servos were really told."""
        self._sent = sent.position

    def tick(
        self, t: float, joints: JointState | None, measurements: Sequence[Measurement] = ()
    ) -> Targets | None:
        """One tick.

        Args:
            t: the present [s].
            joints: what was read in this tick; None if the read failed.
            measurements: what perception delivered since the last tick.

        Returns:
            What to send if `torque` is on; None before the joints were ever read.
        """
        nominal = 1.0 / self.settings.tick_rate
        dt = nominal
        if self._ticked:
            dt = min(max(t - self._t, 0.1 * nominal), MAX_TICKS_LONG * nominal)
        self._t, self._ticked, self._action = t, True, None
        if joints is not None:
            if joints.temperature is not None:
                self.temperature = joints.temperature
            self._flaw = self._health.flaw(joints)
            if not self._flaw:
                self._joints = self._health.joints
                if self._joints is not None:
                    self._pose_source.note_joints(self._joints)
                self._effort = warm(self._effort, joints.current, dt)
        self._derate()
        if measurements:
            self._pose_source.update(*measurements)
        self._pose = self._pose_source.predict(t)
        self._watch(t)
        if self._joints is None:
            return None
        if self.torque:
            before = self._mover.state.motion
            self._decide(t, dt, self._joints)
            self._mover.derate(before, self._effort, self._share, self._joints.position, dt)
        else:
            self._mover.pin(self._joints.position)
        targets = Targets(t, frozen_array(self._mover.position))
        self._sent = targets.position
        return targets

    def snapshot(self) -> Snapshot:
        """What the core knows now."""
        goal = self.goals.active
        return Snapshot(
            t=self._t,
            mode=self.mode,
            reason=self._reason,
            torque=self.torque,
            joints=self._joints,
            joint_times=self._health.heard,
            pose=self._pose,
            in_hand=self._presence.in_hand,
            paused=self._paused,
            goal=GoalState.of(goal) if goal else None,
            order=goal.order if goal else None,
            waiting=self.goals.waiting,
            reached=self.goals.reached,
            missed=self.goals.missed,
            dropped=self._dropped,
            targets=self._sent,
            effort=self._share,
            action=self._action,
            policy=self.policy.name if self.policy else "",
            policy_sha256=self.policy.sha256 if self.policy else "",
        )

    @property
    def _joints_limit(self) -> float:
        """Age at which the joints are stale [s]; half a tick lets ticks come late."""
        return (self.settings.safety.joint_ticks + 0.5) / self.settings.tick_rate

    def _watch(self, t: float) -> None:
        """Turns ages and the object's whereabouts into happenings."""
        safety = self.settings.safety
        if self._joints is not None and self.mode not in (Mode.FAULT, Mode.ESTOP):
            overdue = self._health.overdue(t, self._joints_limit)
            stuck = self._health.stuck(self._sent if self.torque else None, t)
            if overdue:
                why = f": {self._flaw}" if self._flaw else ""
                self._take(Happening.JOINTS_STALE, overdue + why)
            elif stuck:
                self._take(Happening.SERVO_ERROR, stuck)
        verdict = self._presence.update(t, self._pose)
        if verdict == "dropped":
            self._dropped += 1
            self._event("object_dropped")
            was_running = self.mode == Mode.RUNNING
            self._take(Happening.OBJECT_DROPPED, "the object left the hand")
            if was_running and safety.dropped == "home":
                self._mover.go(self.hand.rest)
        elif verdict == "returned":
            self._event("object_in_hand")
            if self.policy:
                self.policy.reset()
        if self.mode == Mode.RUNNING:
            if self._pose is None or self._pose.age > safety.pose_lost:
                self._take(Happening.POSE_LOST, f"the object was not seen for {safety.pose_lost} s")
        elif self.mode == Mode.READY and t > self._armed_until:
            self._take(Happening.IDLE, f"no goal for {safety.idle} s")
        elif self.mode == Mode.FAULT and self._weak and not safety.fault_share:
            self.torque = False

    @property
    def _weak(self) -> bool:
        """Whether a fault has lasted long enough to leave the servos less torque."""
        held = self._t - self._entered
        return self.mode == Mode.FAULT and held > self.settings.safety.fault_hold

    def _derate(self) -> None:
        """Decides how much torque each servo may use in this tick."""
        share = allowance(self._effort, self.temperature)
        derated = share < 1.0
        if derated.any() != self._derated:
            self._derated = not self._derated
            names = [n for n, one in zip(self.hand.actuator_names, derated, strict=True) if one]
            self._event("derated", servos=names)
        self._share = share
        if self._weak:
            self._share = np.minimum(share, self.settings.safety.fault_share)

    def _decide(self, t: float, dt: float, joints: JointState) -> None:
        """Moves the targets on by one tick, by mode."""
        if self._mover.outside and self.mode not in STOPPED:
            # Whatever is asked for waits until every joint is in its range.
            self._mover.come_back(dt)
            return
        policy, pose = self.policy, self._pose
        if self.mode == Mode.RUNNING and policy is not None and pose is not None:
            self._set_paused(pose.age > self.settings.safety.predict)
            if self._paused:
                self._mover.brake(policy.path, dt)
                return
            self._work_on_goals(t, pose)
            if self.mode == Mode.RUNNING and self._ticks_to_action == 0:
                self._act(t, policy, joints, pose)
                self._ticks_to_action = policy.path.ticks_per_action
            # The goals may have come to their end, and the policy may have failed.
            if self.mode == Mode.RUNNING:
                self._ticks_to_action -= 1
                self._mover.follow(policy.path, dt)
                return
        self._mover.hold(dt)

    def _work_on_goals(self, t: float, pose: ObjectPose) -> None:
        kinds: dict[str, EventKind] = {
            "started": "goal_started",
            "reached": "goal_reached",
            "missed": "goal_missed",
        }
        for outcome in self.goals.update(t, pose, in_hand=self._presence.certain):
            goal = outcome.goal
            self._event(
                kinds[outcome.kind],
                goal=goal.order.number,
                quaternion=goal.quaternion.tolist(),
                error=goal.error,
                seconds=t - goal.started,
            )
        if self.goals.empty:
            self._take(Happening.QUEUE_EMPTY, "all goals are done")

    def _act(self, t: float, policy: PolicyRunner, joints: JointState, pose: ObjectPose) -> None:
        """One policy step."""
        goal = self.goals.active
        assert goal is not None
        sent = self._mover.position if self._sent is None else self._sent
        observation = observe(
            self.hand,
            self.target,
            joint_position=joints.position,
            sent_target=sent,
            fingertips=fingertip_positions(self.hand, joints.position),
            object_position=pose.position,
            object_quaternion=pose.quaternion,
            goal_quaternion=goal.quaternion,
            pose_age=np.array(pose.age),
        )
        try:
            self._action = self._unstick.shake(policy.act(observation), t - goal.started)
            self._mover.act(policy.path, self._action)
        except PolicyError as error:
            self._take(Happening.POLICY_FAILED, str(error))

    def _set_paused(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        self._ticks_to_action = 0
        self._event("pose_old" if paused else "pose_fresh")

    def _take(self, trigger: Trigger, reason: str) -> None:
        """Follows the mode table and does what belongs to leaving and entering a mode."""
        after = next_mode(self.mode, trigger)
        if after is None or after == self.mode:
            return
        before, self.mode, self._reason, self._entered = self.mode, after, reason, self._t
        self._mover.stop()
        if after in STOPPED and self.torque:
            self._mover.stay()
        self._paused = False
        if before == Mode.RUNNING:
            self.goals.clear()
        if after == Mode.READY:
            self._mover.go(self.hand.rest)
            self._armed_until = self._t + self.settings.safety.idle
        elif after == Mode.RUNNING:
            self._ticks_to_action = 0
        elif after == Mode.FAULT and self.policy is not None:
            self.policy.reset()
        self._event(
            "mode", before=before.value, after=after.value, reason=reason, cause=trigger.value
        )

    def _event(self, kind: EventKind, **data: object) -> None:
        self.events.append(Event(self._t, kind, data))
