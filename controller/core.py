"""The tick: fuse, watch, decide, limit. Pure of clocks, sockets and files.

The daemon and the lockstep evaluation run this same object. Between ticks it takes requests;
in a tick it takes what was measured and answers with targets. Everything that happens is left
in a list of events for whoever runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from controller.action import ActionPath, ActionState
from controller.errors import PolicyError, RefusedError
from controller.goals import ActiveGoal, Aim, FaceUp, GoalKeeper, RandomGoal
from controller.modes import Happening, Mode, Request, Trigger, allowed, next_mode
from controller.observation import observe
from controller.presence import Presence
from controller.settings import ControlSettings
from hardware.hand import Hand
from hardware.kinematics import fingertip_positions
from hardware.records import Array, JointState, Targets, frozen_array
from perception.objects import ObjectDescription
from perception.records import ObjectPose

MAX_TICKS_LONG = 3
"""The measured length of a tick is bounded to this many nominal ones."""


Measurement = TypeVar("Measurement")
Consumed_contra = TypeVar("Consumed_contra", contravariant=True)


class PoseSource(Protocol[Consumed_contra]):
    """Fuses measurements into a pose; `controller.fusion.PoseFilter` is the real one."""

    def update(self, *measurements: Consumed_contra) -> object:
        """Takes what was measured since the last tick."""
        ...

    def predict(self, t: float) -> ObjectPose | None:
        """The pose at an instant [s]; None if none was ever measured."""
        ...

    def reset(self) -> None:
        """Forgets everything."""
        ...


class PolicyRunner(Protocol):
    """A policy that was checked against the hand; it carries its own recurrent state."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def path(self) -> ActionPath: ...

    def reset(self) -> None:
        """Forgets what it learned about this universe."""
        ...

    def act(self, observation: NDArray[np.float32]) -> Array:
        """One policy step; (n_actuators,) in [-1, 1].

        Raises:
            PolicyError: the result is no action.
        """
        ...


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        t: when [s].
        kind: what, in snake case.
        data: details, ready for JSON.
    """

    t: float
    kind: str
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the core believes after a tick; the arrays are never changed afterwards."""

    t: float
    mode: Mode
    reason: str
    torque: bool
    joints: JointState | None
    pose: ObjectPose | None
    in_hand: bool
    paused: bool
    goal: ActiveGoal | None
    waiting: int
    reached: int
    missed: int
    dropped: int
    targets: Array | None
    policy: str
    policy_sha256: str


class Controller(Generic[Measurement]):
    """The controller's state between ticks.

    Attributes:
        hand: the hand it controls.
        target: the object it turns.
        settings: what may be configured.
        mode: the present mode.
        torque: whether the servos are to have torque.
        events: what happened since somebody last emptied the list.
        goals: the goals and their queue.
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
        self.hand = hand
        self.target = target
        self.settings = settings or ControlSettings()
        self.mode = Mode.OFF
        self.torque = False
        self.events: list[Event] = []
        self.goals = GoalKeeper(target, np.random.default_rng(seed))
        self.policy = policy
        self._pose_source = pose_source
        self._presence = Presence(hand.workspace, self.settings.safety.predict)
        self._default_path = ActionPath(hand, tick_rate=self.settings.tick_rate)
        self._t = 0.0
        self._ticked = False
        self._joints: JointState | None = None
        self._pose: ObjectPose | None = None
        self._state: ActionState | None = None
        self._sent: Array | None = None
        self._anchor: Array | None = None
        self._destination: Array | None = None
        self._ticks_to_action = 0
        self._paused = False
        self._entered = self._t
        self._armed_until = self._t
        self._reason = "started"
        self._dropped = 0

    # Requests, taken between ticks.

    def enable(self) -> None:
        """Pins the targets to where the hand is, then asks for torque."""
        self._permit(Request.ENABLE)
        if self.mode == Mode.OFF:
            joints = self._fresh_joints("enable")
            self._pin(joints.position)
            self.torque = True
        self._take(Request.ENABLE, "enabled")

    def disable(self) -> None:
        """Switches torque off."""
        self._permit(Request.DISABLE)
        self.torque = False
        self._take(Request.DISABLE, "disabled")

    def home(self) -> None:
        """Moves slowly to the rest pose, and stays."""
        self._permit(Request.HOME)
        self._take(Request.HOME, "homing")
        self._destination = self.hand.rest

    def arm(self) -> None:
        """Gets ready for goals: needs fresh joints, the object in the hand, a policy."""
        self._permit(Request.ARM)
        self._fresh_joints("arm")
        if self.policy is None:
            raise RefusedError(
                "no_policy", "arm: no verified policy is loaded; load one with load_policy"
            )
        self._require_object("arm")
        if self.mode == Mode.HOLDING:
            self.policy.reset()
        self._armed_until = self._t + self.settings.safety.idle
        self._take(Request.ARM, "armed")

    def disarm(self) -> None:
        """Leaves the armed modes; the hand holds where it is."""
        self._permit(Request.DISARM)
        self._take(Request.DISARM, "disarmed")

    def hold(self) -> None:
        """Stops where it is."""
        self._permit(Request.HOLD)
        self._take(Request.HOLD, "hold was asked for")
        self._anchor = self._destination = None

    def cancel(self) -> int:
        """Forgets all goals; returns how many there were."""
        self._permit(Request.CANCEL)
        forgotten = self.goals.clear()
        self._take(Request.CANCEL, "goals cancelled")
        return forgotten

    def estop(self) -> None:
        """Stops, from every mode; stays stopped until cleared."""
        if self.settings.safety.estop == "relax":
            self.torque = False
        self._take(Request.ESTOP, "emergency stop")

    def clear(self) -> None:
        """Ends a fault or an emergency stop whose cause is gone; torque is off afterwards."""
        self._permit(Request.CLEAR)
        self._fresh_joints("clear")
        self.torque = False
        self._take(Request.CLEAR, "cleared")

    def ask(
        self,
        aims: Sequence[Aim],
        *,
        tolerance: float | None = None,
        hold: float | None = None,
        timeout: float | None = None,
        replace: bool = False,
        endless: bool = False,
    ) -> tuple[int, ...]:
        """Queues goals, and begins with the first one.

        Args:
            aims: what is asked for; one random goal if `endless`.
            tolerance: largest error that counts as reached [rad]; None takes the setting.
            hold: how long the error must stay below it [s]; None takes the setting.
            timeout: when to go on to the next goal [s]; None takes the setting.
            replace: whether to forget the goals that are active or waiting.
            endless: whether to draw goals without end.

        Returns:
            The goals' numbers.
        """
        self._permit(Request.GOAL)
        self._require_object("goal")
        defaults = self.settings.goals
        for aim in aims:
            if isinstance(aim, FaceUp) and aim.face not in self.target.faces:
                faces = ", ".join(self.target.faces)
                raise RefusedError(
                    "invalid", f"goal: {self.target.name} has no face {aim.face!r}; it has {faces}"
                )
        if replace:
            self.goals.clear()
        if self.goals.waiting + len(aims) > defaults.queue:
            raise RefusedError(
                "queue_full",
                f"goal: {self.goals.waiting} goals wait and {len(aims)} more would pass the limit "
                f"of {defaults.queue}; wait or cancel",
            )
        tolerance = defaults.tolerance if tolerance is None else tolerance
        hold = defaults.hold if hold is None else hold
        timeout = defaults.timeout if timeout is None else timeout
        if endless and isinstance(aims[0], RandomGoal):
            numbers: tuple[int, ...] = (
                self.goals.add_endless(aims[0], tolerance=tolerance, hold=hold, timeout=timeout),
            )
        else:
            numbers = self.goals.add(aims, tolerance=tolerance, hold=hold, timeout=timeout)
        self._take(Request.GOAL, "goal")
        return numbers

    def set_policy(self, policy: PolicyRunner) -> None:
        """Takes a policy that was loaded and checked elsewhere."""
        if self.mode in (Mode.READY, Mode.RUNNING):
            raise RefusedError(
                "refused", f"load_policy: not while {self.mode}; disarm the hand first"
            )
        if policy.path.tick_rate != self.settings.tick_rate:
            raise RefusedError(
                "policy",
                f"load_policy: made for {policy.path.tick_rate} ticks/s, this daemon runs "
                f"{self.settings.tick_rate}",
            )
        policy.reset()
        self.policy = policy
        self._event("policy_loaded", name=policy.name, sha256=policy.sha256)

    # What the shell reports.

    def report(self, happening: Happening, reason: str) -> None:
        """Takes note of something that the core cannot see itself, like a lost bus."""
        self._take(happening, reason)

    def note_sent(self, sent: Targets) -> None:
        """Takes note of what the servos were really told."""
        self._sent = sent.position

    # The tick.

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
        self._t, self._ticked = t, True
        if joints is not None:
            self._joints = joints
        if measurements:
            self._pose_source.update(*measurements)
        self._pose = self._pose_source.predict(t)
        self._watch(t)
        if self._joints is None:
            return None
        if not self.torque or self._state is None:
            self._pin(self._joints.position)
        else:
            self._state = self._decide(t, dt, self._state, self._joints)
        assert self._state is not None
        targets = Targets(t, frozen_array(self._state.motion.position))
        self._sent = targets.position
        return targets

    def snapshot(self) -> Snapshot:
        """What the core believes now."""
        return Snapshot(
            t=self._t,
            mode=self.mode,
            reason=self._reason,
            torque=self.torque,
            joints=self._joints,
            pose=self._pose,
            in_hand=self._presence.in_hand,
            paused=self._paused,
            goal=self.goals.active,
            waiting=self.goals.waiting,
            reached=self.goals.reached,
            missed=self.goals.missed,
            dropped=self._dropped,
            targets=self._sent,
            policy=self.policy.name if self.policy else "",
            policy_sha256=self.policy.sha256 if self.policy else "",
        )

    def _watch(self, t: float) -> None:
        """Turns ages and the object's whereabouts into happenings."""
        safety = self.settings.safety
        if self._joints is not None and self.mode not in (Mode.FAULT, Mode.ESTOP):
            age = t - self._joints.t
            if age > (safety.joint_ticks + 0.5) / self.settings.tick_rate:
                self._take(Happening.JOINTS_STALE, f"the joints were last read {age:.3f} s ago")
        verdict = self._presence.update(t, self._pose)
        if verdict == "dropped":
            self._dropped += 1
            self._event("object_dropped")
            self._take(Happening.OBJECT_DROPPED, "the object left the hand")
        elif verdict == "returned":
            self._event("object_in_hand")
            if self.policy:
                self.policy.reset()
        if self.mode == Mode.RUNNING:
            if self._pose is None or self._pose.age > safety.pose_lost:
                self._take(Happening.POSE_LOST, f"the object was not seen for {safety.pose_lost} s")
        elif self.mode == Mode.READY and t > self._armed_until:
            self._take(Happening.IDLE, f"no goal for {safety.idle} s")
        elif self.mode == Mode.FAULT and self.torque and t - self._entered > safety.fault_hold:
            self.torque = False

    def _decide(self, t: float, dt: float, state: ActionState, joints: JointState) -> ActionState:
        """The next targets, by mode."""
        if self.mode == Mode.RUNNING and self._pose is not None and self.policy is not None:
            self._set_paused(t, self._pose.age > self.settings.safety.predict)
            if not self._paused:
                self._work_on_goals(t, self._pose)
        # Working on goals may have ended the run.
        if self.mode == Mode.RUNNING and self.policy is not None and self._pose is not None:
            path = self.policy.path
            if self._paused:
                return path.hold(state, state.motion.position, dt)
            if self._ticks_to_action == 0:
                state = self._act(state, joints, self._pose)
                self._ticks_to_action = path.ticks_per_action
            if self.mode == Mode.RUNNING:
                self._ticks_to_action -= 1
                return path.tick(state, dt)
        if self._anchor is None:
            self._anchor = state.motion.position
        if self._destination is not None:
            step = self.settings.safety.home_speed * dt
            self._anchor = self._anchor + np.clip(self._destination - self._anchor, -step, step)
        return self._default_path.hold(state, self._anchor, dt)

    def _work_on_goals(self, t: float, pose: ObjectPose) -> None:
        for outcome in self.goals.update(t, pose):
            goal = outcome.goal
            self._event(
                f"goal_{outcome.kind}",
                goal=goal.order.number,
                quaternion=goal.quaternion.tolist(),
                error=goal.error,
                seconds=t - goal.started,
            )
        if self.goals.empty:
            self._take(Happening.QUEUE_EMPTY, "all goals are done")

    def _act(self, state: ActionState, joints: JointState, pose: ObjectPose) -> ActionState:
        """One policy step."""
        assert self.policy is not None and self.goals.active is not None
        sent = state.motion.position if self._sent is None else self._sent
        observation = observe(
            self.hand,
            self.target,
            joint_position=joints.position,
            sent_target=sent,
            fingertips=fingertip_positions(self.hand, joints.position),
            object_position=pose.position,
            object_quaternion=pose.quaternion,
            goal_quaternion=self.goals.active.quaternion,
            pose_age=np.array(pose.age),
        )
        try:
            return self.policy.path.act(state, self.policy.act(observation))
        except PolicyError as error:
            self._take(Happening.POLICY_FAILED, str(error))
            return state

    def _set_paused(self, t: float, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        self._ticks_to_action = 0
        self._event("pose_old" if paused else "pose_fresh")

    def _pin(self, position: Array) -> None:
        self._state = self._default_path.start(position)
        self._anchor = self._destination = None

    def _fresh_joints(self, what: str) -> JointState:
        limit = (self.settings.safety.joint_ticks + 0.5) / self.settings.tick_rate
        if self._joints is None or self._t - self._joints.t > limit:
            raise RefusedError(
                "not_ready", f"{what}: the joints cannot be read; check power and the servo bus"
            )
        return self._joints

    def _require_object(self, what: str) -> None:
        pose = self._pose
        if pose is None or pose.age > self.settings.safety.predict:
            age = "never" if pose is None else f"{pose.age:.1f} s ago"
            raise RefusedError(
                "not_ready",
                f"{what}: the object was last seen {age}; check the cameras and the light",
            )
        if not self._presence.in_hand:
            where = ", ".join(f"{x:.3f}" for x in pose.position)
            raise RefusedError(
                "not_ready", f"{what}: the object is not in the hand (seen at {where} m); put it in"
            )

    def _permit(self, request: Request) -> None:
        if next_mode(self.mode, request) is None:
            can = ", ".join(other.value for other in allowed(self.mode))
            raise RefusedError(
                "refused", f"{request.value}: not in mode {self.mode}; possible now: {can}"
            )

    def _take(self, trigger: Trigger, reason: str) -> None:
        """Follows the mode table and does what belongs to leaving and entering a mode."""
        after = next_mode(self.mode, trigger)
        if after is None or after == self.mode:
            return
        before, self.mode, self._reason, self._entered = self.mode, after, reason, self._t
        self._anchor = self._destination = None
        self._paused = False
        if before == Mode.RUNNING:
            self.goals.clear()
        if after == Mode.READY:
            self._destination = self.hand.rest
            self._armed_until = self._t + self.settings.safety.idle
        elif after == Mode.RUNNING:
            self._ticks_to_action = 0
        elif after == Mode.FAULT and self.policy is not None:
            self.policy.reset()
        self._event(
            "mode", before=before.value, after=after.value, reason=reason, cause=trigger.value
        )

    def _event(self, kind: str, **data: object) -> None:
        self.events.append(Event(self._t, kind, data))
