"""A trial of a policy: its rules, its random draws, and how it is judged.

The same for both engines, in lockstep and with the real-time daemon.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from inhand.controller.config.settings import GoalSettings
from inhand.controller.core.goals import RandomGoal, resolve
from inhand.errors import InhandError
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.universe import MujocoSettings, Universe, load_universe, sample
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription, load_object

EngineName = Literal["pybullet", "mujoco", "drake"]
End = Literal["cap", "drop", "timeout", "over", "stopped"]

UNSTICK = GoalSettings().unstick
"""The daemon's own."""

VALIDATION = MujocoSettings(timestep=0.005, iterations=20, contact_time=0.012, elliptic_cone=True)
"""MuJoCo with another time step, solver budget, contact and friction cone than in training."""


class EvaluationError(InhandError):
    """The arguments or inputs of an evaluation are invalid."""


@dataclass(frozen=True)
class Rules:
    """When a goal is reached, and when a trial ends.

    Attributes:
        goals: all orientations, or one face up with any heading.
        tolerance: largest error that counts as reached [rad].
        hold: how long the error must stay below it [s].
        timeout: time limit of a goal; when it is over, the trial ends [s].
        cap: number of goals after which the trial ends.
        seconds: length of a trial, from its first goal on [s]; 0 for no limit.
    """

    goals: Literal["so3", "face-up"] = "so3"
    tolerance: float = 0.4
    hold: float = 0.0
    timeout: float = 80.0
    cap: int = 50
    seconds: float = 0.0


@dataclass(frozen=True)
class Setup:
    """What all trials of one evaluation share; it is sent to worker processes.

    Attributes:
        policy: the ONNX file.
        sha256: the file's digest, checked again in each trial.
        engine: the physics.
        hand: name or file of the hand.
        object: name or file of the object.
        universe: file of the universe of all trials; None for the nominal one, or `scale`.
        scale: of the universe that every trial draws; None if universes are not drawn.
        validation: whether MuJoCo's settings are `VALIDATION`.
        rules: when a trial ends.
        seed: of everything random.
        wires: whether the daemon runs each trial as a process, in real time.
        eyes: what finds the object: `tags` or `network`.
        errors: file of the network's errors, for `network` in lockstep; None otherwise.
        unstick: noise on actions while a goal takes long, as `[goals] unstick`.
        monitor: file of the policy's monitor, whose alarms are counted; None without one.
    """

    policy: Path
    sha256: str
    engine: EngineName
    hand: str
    object: str
    universe: Path | None
    scale: float | None
    validation: bool
    rules: Rules
    seed: int
    wires: bool
    eyes: str = "tags"
    errors: Path | None = None
    unstick: float = UNSTICK
    monitor: Path | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that is drawn for one trial before it starts, for both engines and routes.

    Attributes:
        universe: the world's.
        start: the object's first orientation, world from object, wxyz, (4,).
        goals: as many as the cap, world from object, wxyz, (4,) each.
        world_seed: of pushes.
        sensor_seed: of noise and drop-outs.
    """

    hand: Hand
    target: ObjectDescription
    universe: Universe
    start: Array
    goals: tuple[Array, ...]
    world_seed: int
    sensor_seed: int


def plan_trial(setup: Setup, trial: int) -> Plan:
    """Draws one trial; the result depends on the seed and the trial's number alone.

    Raises:
        InhandError: hand, object or universe cannot be read.
    """
    hand, target = with_servos(load_hand(setup.hand)), load_object(setup.object)
    streams = np.random.SeedSequence(setup.seed, spawn_key=(trial,)).spawn(5)
    worlds, starts, goals = (np.random.default_rng(stream) for stream in streams[:3])
    universe = load_universe(setup.universe, hand) if setup.universe else Universe()
    if setup.scale is not None:
        universe = sample(hand, worlds, setup.scale)
        if setup.engine == "drake":
            # There it comes of the contact's patch.
            universe = msgspec.structs.replace(universe, torsional_friction=0.0)
    if setup.validation:
        universe = msgspec.structs.replace(universe, mujoco=VALIDATION)
    aim = RandomGoal(setup.rules.goals)
    return Plan(
        hand=hand,
        target=target,
        universe=universe,
        start=rotations.random_quaternion(starts),
        goals=tuple(
            resolve(aim, rotations.IDENTITY, target, goals) for _ in range(setup.rules.cap)
        ),
        world_seed=int(streams[3].generate_state(1)[0]),
        sensor_seed=int(streams[4].generate_state(1)[0]),
    )


class PassedGoal(msgspec.Struct, frozen=True):
    """A goal that the controller reported reached.

    Attributes:
        seconds: time since the goal's start [s].
        believed_error: error by the controller's pose estimate [rad].
        true_error: largest true error in the hold time up to the capture of the frame that
            confirmed the goal [rad]; without a hold time, the true error at that capture.
        least_true_error: smallest true error while it was the goal [rad].
        reported_error: true error when the goal was reported reached, some frames later [rad].
    """

    seconds: float
    believed_error: float
    true_error: float
    least_true_error: float
    reported_error: float


class Trial(msgspec.Struct, frozen=True):
    """The result of one trial.

    Attributes:
        trial: its number, from 1.
        score: goals reached by the true pose.
        false_successes: goals reported reached whose true error exceeded the tolerance.
        missed_successes: 1 if the last goal was reached and never reported reached.
        end: why the trial ended; `over` if its length was limited, `stopped` if the controller
            stopped for another reason than a drop.
        reason: the end in words.
        seconds: simulated time from the first goal to the end [s].
        goals: the goals reported reached, in order.
        alarms: how often the policy's monitor began to say that the world is unlike training.
    """

    trial: int
    score: int
    false_successes: int
    missed_successes: int
    end: End
    reason: str
    seconds: float
    goals: tuple[PassedGoal, ...]
    alarms: int = 0


@dataclass
class _Active:
    """The active goal: its orientation, the smallest true error, and all true errors so far."""

    quaternion: Array
    past: list[tuple[float, float]] = field(default_factory=list)
    least_error: float = np.inf
    within_since: float | None = None
    was_reached: bool = False

    def largest_error(self, start: float, end: float) -> float:
        """The largest true error between two instants [s]; at least the nearest to the end."""
        nearest = min(self.past, key=lambda sample: abs(sample[0] - end))[1]
        inside = [error for t, error in self.past if start - 1e-6 <= t <= end + 1e-6]
        return max([nearest, *inside])


@dataclass
class Judge:
    """Scores a trial: compares the controller's events with the true pose.

    Attributes:
        rules: when a goal is reached.
        passed: goals reported reached so far.
        end: why the trial ended; None while it runs.
        reason: the end in words.
        alarms: of the policy's monitor so far.
    """

    rules: Rules
    passed: list[PassedGoal] = field(default_factory=list)
    end: End | None = None
    reason: str = ""
    alarms: int = 0
    _began: float | None = None
    _ended: float = 0.0
    _active: _Active | None = None

    def add_pose(self, t: float, quaternion: Array, dropped: bool) -> None:
        """Processes the true pose at one instant, before the events of that instant.

        Args:
            t: [s].
            quaternion: world from object, wxyz, (4,).
            dropped: whether the object has left the hand.
        """
        if dropped:
            self._finish(t, "drop", "the object left the hand")
        elif self._active is not None:
            self._follow(t, self._active, quaternion)
        limit = self.rules.seconds
        if limit and self._began is not None and t - self._began >= limit - 1e-6:
            self._finish(t, "over", f"its {limit:g} s are over")

    def add_event(self, t: float, kind: str, data: Mapping[str, object], quaternion: Array) -> None:
        """Processes an event of the controller.

        Args:
            t: time of the event [s].
            kind: of the event.
            data: fields of the event.
            quaternion: true orientation at that instant, world from object, wxyz, (4,).
        """
        match kind:
            case "goal_started" if self.end is None:
                self._began = t if self._began is None else self._began
                self._active = _Active(np.array(data["quaternion"]))
                self._follow(t, self._active, quaternion)
            case "goal_reached" if self._active is not None and self.end is None:
                seconds, believed = (msgspec.convert(data[k], float) for k in ("seconds", "error"))
                captured = msgspec.convert(data.get("captured", t), float)
                reported = self._follow(t, self._active, quaternion)
                held = self._active.largest_error(captured - self.rules.hold, captured)
                least = self._active.least_error
                self.passed.append(PassedGoal(seconds, believed, held, least, reported))
                self._active = None
                if len(self.passed) == self.rules.cap:
                    self._finish(t, "cap", "every goal was passed")
            case "unlike_training" if self.end is None:
                self.alarms += bool(data["unlike"])
            case "goal_missed":
                self._finish(t, "timeout", f"no success for {self.rules.timeout:g} s")
            case "mode" if data["before"] == "running":
                end: End = "drop" if data["cause"] == "object_dropped" else "stopped"
                self._finish(t, end, str(data["reason"]))

    def stop(self, t: float, reason: str) -> None:
        """Ends a trial that cannot continue."""
        self._finish(t, "stopped", reason)

    def result(self, trial: int) -> Trial:
        """The result, once the trial has ended."""
        assert self.end is not None
        score = sum(goal.true_error <= self.rules.tolerance for goal in self.passed)
        return Trial(
            trial=trial,
            score=score,
            false_successes=len(self.passed) - score,
            missed_successes=int(self._active is not None and self._active.was_reached),
            end=self.end,
            reason=self.reason,
            seconds=0.0 if self._began is None else self._ended - self._began,
            goals=tuple(self.passed),
            alarms=self.alarms,
        )

    def _follow(self, t: float, active: _Active, quaternion: Array) -> float:
        """Updates the goal with the true orientation; returns the error [rad]."""
        error = float(rotations.angle_between(active.quaternion, quaternion))
        active.past.append((t, error))
        active.least_error = min(active.least_error, error)
        if error > self.rules.tolerance:
            active.within_since = None
            return error
        if active.within_since is None:
            active.within_since = t
        active.was_reached |= t - active.within_since >= self.rules.hold - 1e-6
        return error

    def _finish(self, t: float, end: End, reason: str) -> None:
        """Ends the trial; only the first call has an effect."""
        if self.end is None:
            self.end, self.reason, self._ended = end, reason, t
