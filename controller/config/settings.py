"""Settings of the controller core: goals and safety."""

from typing import Literal

import msgspec

from inhand.controller.errors import ConfigError


class GoalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a goal counts as reached, unless the goal says otherwise.

    Attributes:
        tolerance: largest error [rad].
        hold: how long the error must stay below it [s].
        timeout: time after which a goal is missed and the next one begins [s]; 0 for never.
        overdue: after each such time an event says that a goal takes long [s]; 0 for never.
        queue: largest number of goals that may wait.
        unstick_after: time after which noise is added to the actions of a goal that is not within
            tolerance [s].
        unstick: standard deviation of that noise, in units of the action; 0 for none.
    """

    tolerance: float = 0.2
    hold: float = 0.25
    timeout: float = 120.0
    overdue: float = 30.0
    queue: int = 1000
    unstick_after: float = 5.0
    unstick: float = 0.3

    def terms(
        self, tolerance: float | None, hold: float | None, timeout: float | None
    ) -> dict[str, float]:
        """The terms of a goal; those that are None are the configured ones."""
        return {
            "tolerance": self.tolerance if tolerance is None else tolerance,
            "hold": self.hold if hold is None else hold,
            "timeout": self.timeout if timeout is None else timeout,
        }

    def check(self) -> None:
        """Raises ConfigError if a value is out of range."""
        if not 0 < self.tolerance <= 3.15:
            raise ConfigError(f"[goals] tolerance = {self.tolerance} rad must lie in (0, 3.15]")
        times = self.hold, self.timeout, self.overdue
        if not all(0 <= one < float("inf") for one in times):
            raise ConfigError("[goals] hold, timeout and overdue must be finite and not negative")
        if not 1 <= self.queue <= 100_000:
            raise ConfigError(f"[goals] queue = {self.queue} must lie in 1..100000")
        if not (0 <= self.unstick_after < float("inf") and 0 <= self.unstick <= 1):
            raise ConfigError(
                "[goals] unstick_after must be finite and not negative, unstick in 0..1"
            )


class SafetySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time limits and reactions of the safety functions.

    Attributes:
        estop: `relax` switches torque off, `hold` keeps it and freezes the targets.
        exit: the same choice for the end of the daemon.
        exit_hold: with `relax`, how long the daemon holds an object that is in the hand before an
            orderly end [s].
        predict: how long a pose is predicted before the hand pauses [s]; where new poses come
            seldom or late, 1.5 times the age that poses usually reach, at most twice as long.
        pose_lost: age of the pose at which a running hand goes to holding [s].
        idle: how long the hand stays armed without goal or heartbeat [s].
        manual_silence: how long a hand in mode `manual` waits for another joint command [s].
        operator: how long the hand runs while no program that may command is connected [s]; 0 for
            without end.
        joint_ticks: age of the joint readings that causes a fault [ticks].
        dropped: what the hand does when it has dropped the object: `home` goes slowly to the rest
            pose, where the object can be put back, `hold` stays as it is.
        fault_hold: how long the hand holds with full torque in a fault [s].
        fault_share: share of the torque with which it holds afterwards; 0 switches torque off.
        think: processor time of one tick's decision above which the policy has failed [s].
        home_speed: of the fastest joint on the way to the rest pose [rad/s].
        contact_share: share of the torque on a slow move on which fingers may touch.
        blocked_warn: how long a joint may push with all its torque, and not get nearer to its
            target, before it is reported [s].
        blocked_back_off: the same, before it must push less [s].
        blocked_share: share of its torque limit that it may use from then on.
        blocked_fault: the same, before that is a fault [s].
    """

    estop: Literal["relax", "hold"] = "relax"
    exit: Literal["relax", "hold"] = "relax"
    exit_hold: float = 3.0
    predict: float = 0.3
    pose_lost: float = 2.0
    idle: float = 60.0
    manual_silence: float = 0.5
    operator: float = 60.0
    joint_ticks: int = 3
    dropped: Literal["home", "hold"] = "home"
    fault_hold: float = 2.0
    fault_share: float = 0.3
    think: float = 0.05
    home_speed: float = 0.8
    contact_share: float = 0.3
    blocked_warn: float = 1.0
    blocked_back_off: float = 2.0
    blocked_share: float = 0.5
    blocked_fault: float = 10.0

    def check(self) -> None:
        """Raises ConfigError if a value is out of range."""
        if not 0 < self.predict < self.pose_lost <= 10:
            raise ConfigError(
                f"[safety] must have 0 < predict < pose_lost <= 10 s, got predict = "
                f"{self.predict}, pose_lost = {self.pose_lost}"
            )
        if not (1 <= self.idle <= 3600 and 0 <= self.fault_hold <= 60):
            raise ConfigError("[safety] idle must lie in 1..3600 s and fault_hold in 0..60 s")
        if not 0.2 <= self.manual_silence <= 60:
            raise ConfigError("[safety] manual_silence must lie in 0.2..60 s")
        if not 0 <= self.exit_hold <= 60:
            raise ConfigError("[safety] exit_hold must lie in 0..60 s")
        if not (self.operator == 0 or 1 <= self.operator <= 86_400):
            raise ConfigError("[safety] operator must lie in 1..86400 s, or be 0 for without end")
        if not (0 <= self.fault_share <= 1 and 0 < self.think <= 1):
            raise ConfigError("[safety] fault_share must lie in 0..1, think in (0, 1] s")
        if not (1 <= self.joint_ticks <= 20 and 0 < self.home_speed <= 3):
            raise ConfigError("[safety] joint_ticks must lie in 1..20, home_speed in (0, 3] rad/s")
        if not 0 < self.blocked_warn <= self.blocked_back_off <= self.blocked_fault <= 3600:
            raise ConfigError(
                "[safety] must have 0 < blocked_warn <= blocked_back_off <= blocked_fault <= 3600 s"
            )
        if not (0.2 <= self.blocked_share <= 1 and 0.2 <= self.contact_share <= 1):
            raise ConfigError("[safety] blocked_share and contact_share must lie in 0.2..1")


class MonitorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens when hand or object behave unlike anything in training.

    Attributes:
        action: `tell` only says so, `slow` also bounds the speed of the targets while it lasts,
            `hold` ends the policy's control.
        speed: that bound, of every joint [rad/s].
    """

    action: Literal["tell", "slow", "hold"] = "tell"
    speed: float = 1.0

    def check(self) -> None:
        """Raises ConfigError if a value is out of range."""
        if not 0 < self.speed <= 20:
            raise ConfigError(f"[monitor] speed = {self.speed} rad/s must lie in (0, 20]")


class ControlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that the core may be told.

    Attributes:
        tick_rate: of commands to the servos [Hz].
        goals: when a goal counts as reached.
        safety: when the hand is made safe.
        follow_hand: whether the object is taken to move with what touches it between frames, and
            not by its velocity alone.
        monitor: what happens when hand or object behave unlike anything in training.
    """

    tick_rate: int = 100
    goals: GoalSettings = GoalSettings()
    safety: SafetySettings = SafetySettings()
    follow_hand: bool = True
    monitor: MonitorSettings = MonitorSettings()
