"""The controller: what may be asked of it between ticks, on top of the tick itself.

The daemon and the lockstep evaluation run this same object. Between ticks it takes requests;
in a tick it takes what was measured and answers with targets. Everything that happens is left
in a list of events for whoever runs it.
"""

from collections.abc import Sequence

from inhand.controller.core.goals import Aim, FaceUp, RandomGoal
from inhand.controller.core.interfaces import PolicyRunner, require_rate
from inhand.controller.core.tick import Measurement, TickingCore
from inhand.controller.errors import PolicyError, RefusedError
from inhand.controller.safety.modes import Mode, Request, allowed, next_mode
from inhand.hardware.records import JointState


class Controller(TickingCore[Measurement]):
    """The controller; each request raises RefusedError if it is not allowed now."""

    def enable(self) -> None:
        """Pins the targets to where the hand is, then asks for torque."""
        self._permit(Request.ENABLE)
        if self.mode == Mode.OFF:
            joints = self._fresh_joints("enable")
            self._mover.pin(joints.position)
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
        self._mover.go(self.hand.rest)

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
        self._mover.stop()

    def cancel(self) -> int:
        """Forgets all goals; returns how many there were."""
        self._permit(Request.CANCEL)
        forgotten = self.goals.clear()
        self._take(Request.CANCEL, "goals cancelled")
        return forgotten

    def estop(self) -> None:
        """Stops, from every mode; stays stopped until cleared."""
        self._stop("emergency stop")

    def watch_line(self, problem: str) -> None:
        """Takes what the emergency stop line says; while there is a problem, nothing clears it."""
        self._line = problem
        if problem and self.mode != Mode.ESTOP:
            self._stop(problem)

    def _stop(self, reason: str) -> None:
        if self.settings.safety.estop == "relax":
            self.torque = False
        self._take(Request.ESTOP, reason)

    def clear(self) -> None:
        """Ends a fault or an emergency stop whose cause is gone; torque is off afterwards."""
        self._permit(Request.CLEAR)
        if self._line:
            raise RefusedError("not_ready", f"clear: {self._line}; close it first")
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
                    "invalid",
                    f"goal: {self.target.name} has no face {aim.face!r:.40}; it has {faces}",
                )
        waiting = 0 if replace else self.goals.waiting
        if waiting + len(aims) > defaults.queue:
            raise RefusedError(
                "queue_full",
                f"goal: {waiting} goals wait and {len(aims)} more would pass the limit "
                f"of {defaults.queue}; wait or cancel",
            )
        if replace:
            self.goals.clear()
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
        try:
            require_rate(policy, self.settings.tick_rate)
        except PolicyError as error:
            raise RefusedError("policy", str(error)) from error
        policy.reset()
        self.policy = policy
        self._event("policy_loaded", name=policy.name, sha256=policy.sha256)

    def _fresh_joints(self, what: str) -> JointState:
        stale = self._joints is None or self._t - self._joints.t > self._joints_limit
        if stale and self._flaw:
            raise RefusedError("not_ready", f"{what}: {self._flaw}")
        if self._joints is None or stale:
            raise RefusedError(
                "not_ready", f"{what}: the joints cannot be read; check power and the servo bus"
            )
        if overdue := self._health.overdue(self._t, self._joints_limit):
            raise RefusedError("not_ready", f"{what}: {overdue}; check its servo's cable and power")
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
