"""What the hand does: its mode, its goals, its policy, and how its targets move."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from inhand.controller.config.settings import ControlSettings
from inhand.controller.core.goals import ActiveGoal, GoalKeeper
from inhand.controller.core.interfaces import PolicyRunner, require_rate
from inhand.controller.core.joint_commands import JointCommands, complete, timed
from inhand.controller.core.policy_step import PolicyStep
from inhand.controller.core.records import Event, EventKind
from inhand.controller.core.setpoints import Mover
from inhand.controller.errors import PolicyError
from inhand.controller.policy.monitor import Verdict
from inhand.controller.safety.modes import STOPPED, Happening, Mode, Request, Trigger, next_mode
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array, JointState
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ConfirmedPose, ObjectPose

MAX_TICKS_LONG = 3
"""The measured length of a tick is bounded to this many nominal ones."""

_EVENT_KINDS: dict[str, EventKind] = {
    "started": "goal_started",
    "reached": "goal_reached",
    "missed": "goal_missed",
    "overdue": "goal_overdue",
}


class Operation:
    """Follows the table of modes, and moves the targets as the mode demands.

    Attributes:
        t: time of the last tick [s].
        mode: the present mode.
        reason: why it was entered.
        torque: whether the servos are to have torque.
        events: what happened since somebody last emptied the list.
        goals: the goals and their queue.
        policy: turns observations into actions; None if there is none.
        policy_step: when the policy acts.
        mover: the targets.
        commands: what clients ask of single joints.
        sent: targets that were sent last [rad], (n_actuators,); None if none were.
    """

    def __init__(
        self,
        hand: Hand,
        target: ObjectDescription,
        settings: ControlSettings,
        policy: PolicyRunner | None,
        seed: int | None,
    ) -> None:
        """Takes its parts.

        Raises:
            PolicyError: the policy was made for another tick rate.
        """
        if policy is not None:
            require_rate(policy, settings.tick_rate)
        self.t = 0.0
        self.mode = Mode.OFF
        self.reason = "started"
        self.torque = False
        self.events: list[Event] = []
        self.goals = GoalKeeper(target, np.random.default_rng(seed), settings.goals.overdue)
        self.policy = policy
        self.policy_step = PolicyStep(hand, target, settings.goals)
        self.mover = Mover(hand, settings.tick_rate, settings.safety.home_speed)
        self.commands = JointCommands()
        self.sent: Array | None = None
        self._hand, self._settings = hand, settings
        self._ticked, self._share_moving = False, 1.0
        self._entered = self._armed_until = self.t
        self._stays_weak = False

    @property
    def weak(self) -> bool:
        """Whether a fault has lasted long enough to leave the servos less torque.

        An emergency stop after it does not give them more.
        """
        held = self.t - self._entered
        faulty = self.mode == Mode.FAULT and held > self._settings.safety.fault_hold
        return faulty or self._stays_weak

    @property
    def torque_share(self) -> float:
        """Largest share of its torque limit that any servo may use now."""
        safety = self._settings.safety
        if self.weak:
            return safety.fault_share
        return safety.contact_share if self.mover.gentle else 1.0

    def begin_tick(self, t: float) -> float:
        """Begins a tick at `t` [s]; returns its length [s]."""
        dt = nominal = 1.0 / self._settings.tick_rate
        # Targets move by no more than the bounded length allows. So in a longer tick they moved
        # more slowly than the limiter's velocity says.
        self.mover.slow_down(self._share_moving)
        self._share_moving = 1.0
        if self._ticked:
            dt = min(max(t - self.t, 0.1 * nominal), MAX_TICKS_LONG * nominal)
            self._share_moving = min(1.0, dt / max(t - self.t, 1e-9))
        self.t, self._ticked, self.policy_step.action = t, True, None
        return dt

    def take(self, trigger: Trigger, reason: str) -> None:
        """Follows the mode table and does what belongs to leaving and entering a mode."""
        after = next_mode(self.mode, trigger)
        if after is None or after == self.mode:
            return
        self._stays_weak = after == Mode.ESTOP and self.weak
        before, self.mode, self.reason, self._entered = self.mode, after, reason, self.t
        self.mover.stop()
        if after in STOPPED and self.torque:
            self.mover.stay()
        self.policy_step.paused = False
        if before == Mode.RUNNING:
            self.goals.clear()
        if after == Mode.READY:
            self.mover.go(self._hand.rest)
            self.stay_armed()
        elif after == Mode.RUNNING:
            self.policy_step.restart()
        elif after == Mode.MANUAL:
            self.commands.begin(self.mover.resting_point)
            self.stay_manual()
        elif after == Mode.FAULT and self.policy is not None:
            self.policy.reset()
        self.emit(
            "mode", before=before.value, after=after.value, reason=reason, cause=trigger.value
        )

    def lose_object(self) -> None:
        """Reacts to the object having left the hand."""
        was_running = self.mode == Mode.RUNNING
        self.emit("object_dropped")
        self.take(Happening.OBJECT_DROPPED, "the object left the hand")
        if was_running and self._settings.safety.dropped == "home":
            self.mover.go(self._hand.rest)

    def regain_object(self) -> None:
        """Reacts to the object being back in the hand: the policy starts anew."""
        self.emit("object_in_hand")
        if self.policy is not None:
            self.policy.reset()

    def stay_armed(self) -> None:
        """From now on, the hand stays armed for the idle time."""
        self._armed_until = self.t + self._settings.safety.idle

    def stay_manual(self) -> None:
        """From now on, the hand stays in mode `manual` until its clients are silent."""
        self.commands.deadline = self.t + self._settings.safety.manual_silence

    def aim_joints(
        self, positions: Mapping[str, float] | Sequence[float], speed: float | None
    ) -> None:
        """Sends the joints straight to targets [rad] at a speed [rad/s]; None: `home_speed`."""
        before = self.commands.lasting(self.mover.resting_point)
        targets = complete(self._hand, positions, before, Request.JOINTS.value)
        self.commands.aim(targets, self._settings.safety.home_speed if speed is None else speed)

    def follow_times(
        self, times: Sequence[float], positions: Sequence[Sequence[float]], joints: Sequence[str]
    ) -> None:
        """Begins a trajectory of the targets; see `joint_commands.timed`."""
        start = self.mover.resting_point
        self.commands.follow(self.t, timed(self._hand, times, positions, joints, start))

    def manual_progress(self) -> dict[str, float]:
        """Prolongs mode `manual`; returns how far the targets have to go [rad] and how long [s]."""
        self.stay_manual()
        return {
            "left": self.mover.distance(self.commands.destination),
            "seconds": self.commands.seconds_left(self.t),
        }

    def expire(self, *, unseen: bool) -> None:
        """Ends what has lasted too long.

        Args:
            unseen: whether the object was not seen for as long as a running hand may go on.
        """
        safety = self._settings.safety
        if self.mode == Mode.RUNNING:
            if unseen:
                self.take(Happening.POSE_LOST, f"the object was not seen for {safety.pose_lost} s")
        elif self.mode == Mode.READY and self.t > self._armed_until:
            self.take(Happening.IDLE, f"no goal for {safety.idle} s")
        elif self.mode == Mode.MANUAL and self.t > self.commands.deadline:
            self.take(Happening.IDLE, f"no joint command for {safety.manual_silence} s")
        elif self.weak and not safety.fault_share:
            self.torque = False

    def move(
        self,
        dt: float,
        joints: JointState,
        pose: ObjectPose | None,
        frames: Sequence[ConfirmedPose],
        *,
        certain: bool,
        old: bool,
    ) -> None:
        """Moves the targets on by one tick, by mode.

        Args:
            dt: length of the tick [s].
            joints: where the joints are.
            pose: where the object is; None if it was never seen.
            frames: estimates at the capture times of the frames of this tick.
            certain: whether it is in the hand beyond doubt.
            old: whether the pose is too old to go on.
        """
        if self.mover.outside and self.mode not in STOPPED:
            # Whatever is asked for waits until every joint is in its range.
            self.mover.come_back(dt)
        elif self.mode == Mode.MANUAL:
            self.mover.steer(self.commands.advance(self.t, dt), dt)
        elif self.mode != Mode.RUNNING or self.policy is None or pose is None:
            self._hold(dt)
        elif self._paused(old):
            self.mover.brake(self.policy.path, dt)
        elif not self._follow(self.policy, dt, joints, pose, frames, certain):
            self._hold(dt)

    def emit(self, kind: EventKind, **data: object) -> None:
        """Adds an event."""
        self.events.append(Event(self.t, kind, data))

    def _hold(self, dt: float) -> None:
        """One tick of holding, or of the way to a destination."""
        before = self.mover.gentle
        self.mover.hold(dt)
        if self.mover.gentle and not before:
            self.emit("path_not_free")

    def _paused(self, paused: bool) -> bool:
        """Pauses while the pose is old, and goes on when it is fresh."""
        if paused:
            self.goals.interrupt()
        if self.policy_step.pause(paused):
            self.emit("pose_old" if paused else "pose_fresh")
        return paused

    def _follow(
        self,
        policy: PolicyRunner,
        dt: float,
        joints: JointState,
        pose: ObjectPose,
        frames: Sequence[ConfirmedPose],
        certain: bool,
    ) -> bool:
        """One tick of working on the goals; returns whether the hand still runs."""
        goal = self._present_goal(pose, frames, certain)
        if goal is None:
            self.take(Happening.QUEUE_EMPTY, "all goals are done")
            return False
        sent = self.mover.position if self.sent is None else self.sent
        try:
            action = self.policy_step.tick(self.t, dt, policy, goal, joints, sent, pose)
        except PolicyError as error:
            self.take(Happening.POLICY_FAILED, str(error))
            return False
        if self.policy_step.news and policy.monitor is not None:
            self._judge(policy.monitor.verdict)
            if self.mode != Mode.RUNNING:
                return False
        if action is not None:
            self.mover.act(policy.path, action)
        self.mover.follow(policy.path, dt, self._speed(policy))
        return True

    def _judge(self, verdict: Verdict) -> None:
        """Reacts to the beginning or the end of an alarm of the monitor."""
        self.emit("unlike_training", **asdict(verdict))
        if verdict.unlike and self._settings.monitor.action == "hold":
            likely = ", ".join(verdict.likely[:3])
            reason = f"hand or object behave unlike anything in training ({likely})"
            self.take(Happening.UNLIKE_TRAINING, reason)

    def _speed(self, policy: PolicyRunner) -> float:
        """Largest speed of the targets [rad/s]."""
        settings, monitor = self._settings.monitor, policy.monitor
        slow = settings.action == "slow" and monitor is not None and monitor.verdict.unlike
        return settings.speed if slow else np.inf

    def _present_goal(
        self, pose: ObjectPose, frames: Sequence[ConfirmedPose], certain: bool
    ) -> ActiveGoal | None:
        """The goal to work on in this tick; None if all are done."""
        for outcome in self.goals.update(self.t, pose, frames, in_hand=certain):
            goal = outcome.goal
            frame = {"captured": goal.captured} if outcome.kind == "reached" else {}
            self.emit(
                _EVENT_KINDS[outcome.kind],
                goal=goal.order.number,
                quaternion=goal.quaternion.tolist(),
                error=goal.error,
                seconds=self.t - goal.started,
                **frame,
            )
        return self.goals.active
