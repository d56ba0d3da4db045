"""The controller: requests between ticks, and the tick. Pure of clocks, sockets and files.

The daemon and the lockstep evaluation run this same object. A tick takes what was measured and
returns targets. Everything that happens is left in a list of events for whoever runs it.
"""

from collections.abc import Mapping, Sequence
from typing import Generic

from inhand.controller.config.settings import ControlSettings
from inhand.controller.core import admission
from inhand.controller.core.goals import Aim, GoalKeeper, RandomGoal
from inhand.controller.core.interfaces import PolicyRunner, PoseSource
from inhand.controller.core.joint_watch import JointWatch
from inhand.controller.core.object_watch import Measurement, ObjectWatch, moved_camera
from inhand.controller.core.operation import Operation
from inhand.controller.core.records import Event, Snapshot
from inhand.controller.core.snapshot import take_snapshot
from inhand.controller.safety.modes import STOPPED, Happening, Mode, Request
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState, Targets, frozen_array
from inhand.perception.objects import ObjectDescription


class Controller(Generic[Measurement]):
    """The controller; each request raises RefusedError if it is not allowed now.

    Attributes:
        hand: the hand it controls.
        target: the object it turns.
        settings: what may be configured.
        operation: what the hand does.
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
        self.hand, self.target = hand, target
        self.settings = settings or ControlSettings()
        self.operation = Operation(hand, target, self.settings, policy, seed)
        self._joint_watch = JointWatch(hand, self.settings)
        self._object_watch = ObjectWatch(pose_source, hand, self.settings)
        self._line = ""

    @property
    def mode(self) -> Mode:
        """The present mode."""
        return self.operation.mode

    @property
    def torque(self) -> bool:
        """Whether the servos are to have torque."""
        return self.operation.torque

    @property
    def goals(self) -> GoalKeeper:
        """The goals and their queue."""
        return self.operation.goals

    @property
    def policy(self) -> PolicyRunner | None:
        """Turns observations into actions; None if there is none."""
        return self.operation.policy

    @property
    def events(self) -> list[Event]:
        """What happened since somebody last took it."""
        return self.operation.events

    def take_events(self) -> list[Event]:
        """What happened since the last call."""
        events, self.operation.events = self.operation.events, []
        return events

    def enable(self) -> None:
        """Pins the targets to where the hand is, then asks for torque."""
        admission.require_mode(self.mode, Request.ENABLE)
        if self.mode == Mode.OFF:
            joints = self._joint_watch.require(Request.ENABLE, self.operation.t)
            self.operation.mover.pin(joints.position)
            self.operation.torque = True
        self.operation.take(Request.ENABLE, "enabled")

    def disable(self) -> None:
        """Switches torque off."""
        admission.require_mode(self.mode, Request.DISABLE)
        self.operation.torque = False
        self.operation.take(Request.DISABLE, "disabled")

    def home(self) -> None:
        """Moves slowly to the rest pose, and stays."""
        admission.require_mode(self.mode, Request.HOME)
        self.operation.take(Request.HOME, "homing")
        self.operation.mover.go(self.hand.rest)

    def arm(self) -> None:
        """Gets ready for goals: needs fresh joints, the object in the hand, a policy."""
        admission.require_mode(self.mode, Request.ARM)
        admission.require_all(
            Request.ARM,
            lambda: self._joint_watch.require(Request.ARM, self.operation.t),
            lambda: admission.require_policy(self.policy),
            lambda: self._object_watch.require(Request.ARM),
        )
        if self.mode == Mode.HOLDING:
            admission.require_policy(self.policy).reset()
        self.operation.stay_armed()
        self.operation.take(Request.ARM, "armed")

    def disarm(self) -> None:
        """Leaves the armed modes; the hand holds where it is."""
        admission.require_mode(self.mode, Request.DISARM)
        self.operation.take(Request.DISARM, "disarmed")

    def hold(self) -> None:
        """Stops where it is."""
        admission.require_mode(self.mode, Request.HOLD)
        self.operation.take(Request.HOLD, "hold was asked for")
        self.operation.mover.stop()

    def manual(self) -> None:
        """Gets ready for joint commands: needs fresh joints; ends without further commands."""
        admission.require_mode(self.mode, Request.MANUAL)
        self._joint_watch.require(Request.MANUAL, self.operation.t)
        self.operation.take(Request.MANUAL, "joint commands were announced")
        self.operation.stay_manual()

    def joints(
        self, positions: Mapping[str, float] | Sequence[float], speed: float | None = None
    ) -> dict[str, float]:
        """Moves joints straight to targets; without positions, it is a heartbeat only.

        Args:
            positions: by actuator, or all in actuator order [rad]; joints not named stay.
            speed: of the joint with the longest way [rad/s]; None takes `home_speed`. The hand's
                limits hold below it.

        Returns:
            `left`, how far the targets have to go [rad], and `seconds`, until a trajectory ends.
        """
        admission.require_mode(self.mode, Request.JOINTS)
        if positions:
            self.operation.aim_joints(positions, speed)
        return self.operation.manual_progress()

    def follow(
        self,
        times: Sequence[float],
        positions: Sequence[Sequence[float]],
        joints: Sequence[str] = (),
    ) -> dict[str, float]:
        """Follows targets with times; see `joint_commands.timed`. Returns what `joints` does."""
        admission.require_mode(self.mode, Request.TRAJECTORY)
        self.operation.follow_times(times, positions, joints)
        return self.operation.manual_progress()

    def cancel(self) -> int:
        """Forgets all goals; returns how many there were."""
        admission.require_mode(self.mode, Request.CANCEL)
        forgotten = self.goals.clear()
        self.operation.take(Request.CANCEL, "goals cancelled")
        return forgotten

    def estop(self) -> None:
        """Stops, from every mode; stays stopped until cleared."""
        self._stop("emergency stop")

    def watch_line(self, problem: str) -> None:
        """Takes the problem of the emergency stop line; `clear` is refused while there is one."""
        self._line = problem
        if problem and self.mode != Mode.ESTOP:
            self._stop(problem)

    def _stop(self, reason: str) -> None:
        if self.settings.safety.estop == "relax":
            self.operation.torque = False
        self.operation.take(Request.ESTOP, reason)

    def clear(self) -> None:
        """Ends a fault or an emergency stop whose cause is gone; torque is off afterwards."""
        admission.require_mode(self.mode, Request.CLEAR)
        admission.require_ready(Request.CLEAR, self._line and f"{self._line}; close it first")
        self._joint_watch.require(Request.CLEAR, self.operation.t)
        self.operation.torque = False
        self.operation.take(Request.CLEAR, "cleared")

    def ask(
        self,
        aims: Sequence[Aim],
        *,
        tolerance: float | None = None,
        hold: float | None = None,
        timeout: float | None = None,
        symmetry: bool = False,
        replace: bool = False,
        endless: bool = False,
    ) -> tuple[int, ...]:
        """Queues goals, and begins with the first one.

        Args:
            aims: what is asked for; one random goal if `endless`.
            tolerance: largest error that counts as reached [rad]; None takes the setting.
            hold: how long the error must stay below it [s]; None takes the setting.
            timeout: when to go on to the next goal [s]; None takes the setting.
            symmetry: whether all orientations that look the same but for the tags are the goal.
            replace: whether to forget the goals that are active or waiting.
            endless: whether to draw goals without end.

        Returns:
            The goals' numbers.
        """
        admission.require_mode(self.mode, Request.GOAL)
        self._object_watch.require(Request.GOAL)
        defaults = self.settings.goals
        waiting = 0 if replace else self.goals.waiting
        admission.require_goals(aims, self.target, waiting=waiting, limit=defaults.queue)
        if replace:
            self.goals.clear()
        terms = defaults.terms(tolerance, hold, timeout)
        if endless and isinstance(aims[0], RandomGoal):
            first = self.goals.add_endless(aims[0], **terms, symmetry=symmetry)
            numbers: tuple[int, ...] = (first,)
        else:
            numbers = self.goals.add(aims, **terms, symmetry=symmetry)
        self.operation.take(Request.GOAL, "goal")
        return numbers

    def set_policy(self, policy: PolicyRunner) -> None:
        """Takes a policy that was loaded and checked elsewhere."""
        admission.require_replaceable(self.mode, policy, self.settings.tick_rate)
        policy.reset()
        self.operation.policy = policy
        self.operation.emit("policy_loaded", name=policy.name, sha256=policy.sha256)

    def report(self, happening: Happening, reason: str) -> None:
        """Takes an event that the core does not detect itself, like a lost bus."""
        self.operation.take(happening, reason)

    def note_sent(self, sent: Targets) -> None:
        """Takes the targets that were really sent."""
        self.operation.sent = sent.position

    def tick(
        self, t: float, joints: JointState | None, measurements: Sequence[Measurement] = ()
    ) -> Targets | None:
        """One tick: take what was measured, react to it, move the targets.

        Args:
            t: the present [s].
            joints: what was read in this tick; None if the read failed.
            measurements: what perception delivered since the last tick.

        Returns:
            What to send if `torque` is on; None before the joints were ever read.
        """
        operation, seen = self.operation, self._object_watch
        dt = operation.begin_tick(t)
        if joints is not None:
            plausible = self._joint_watch.take(joints, dt)
            if plausible is not None:
                seen.note_joints(plausible)
        self._derate(dt)
        seen.take(t, measurements)
        for fit in seen.moved():
            operation.emit("camera_moved", **moved_camera(fit))
        self._watch(t)
        known, mover = self._joint_watch.joints, operation.mover
        if known is None:
            return None
        if operation.torque:
            before = mover.state.motion
            operation.move(dt, known, seen.pose, seen.frames, certain=seen.certain, old=seen.old)
            effort, share = self._joint_watch.effort, self._joint_watch.share
            mover.derate(before, effort, share, known.position, dt)
        else:
            mover.pin(known.position)
        targets = Targets(t, frozen_array(mover.position))
        operation.sent = targets.position
        return targets

    def snapshot(self) -> Snapshot:
        """The state after the last tick, and after the requests since."""
        return take_snapshot(self.operation, self._joint_watch, self._object_watch)

    def _derate(self, dt: float) -> None:
        """Decides how much torque each servo may use in this tick."""
        operation = self.operation
        followed = operation.sent if operation.torque and operation.mode not in STOPPED else None
        for kind, servos in self._joint_watch.derate(operation.torque_share, followed, dt):
            operation.emit(kind, servos=servos)

    def _watch(self, t: float) -> None:
        """Reacts to joints that cannot be trusted, a dropped object, and a mode that expires."""
        operation = self.operation
        if operation.mode not in STOPPED:
            fault = self._joint_watch.fault(t, operation.sent if operation.torque else None)
            if fault is not None:
                operation.take(*fault)
        change = self._object_watch.change(t)
        if change == "dropped":
            operation.lose_object()
        elif change == "returned":
            operation.regain_object()
        operation.expire(unseen=self._object_watch.unseen_for(self.settings.safety.pose_lost))
