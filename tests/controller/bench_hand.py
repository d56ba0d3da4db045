"""A hand of first-order servos and an object that a test moves, around a real controller."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from inhand.controller.config.settings import (
    ControlSettings,
    GoalSettings,
    MonitorSettings,
    SafetySettings,
)
from inhand.controller.core.controller import Controller
from inhand.controller.core.goals import Orientation
from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.records import Event
from inhand.controller.errors import RefusedError
from inhand.controller.estimation.pose_measurements import PoseFeed, PoseReading
from inhand.controller.policy.action import ActionPath
from inhand.controller.policy.monitor import Monitor
from inhand.controller.policy.runtime import Policy, load_policy
from inhand.controller.safety.modes import Mode
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array, JointState, Targets, frozen_array
from inhand.perception import rotations
from inhand.perception.objects import load_object
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")
BLOCK = load_object("block")
TICK = 0.01
IN_HAND = np.array(HAND.workspace.object_start)
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


class ScriptedPolicy:
    """A policy that returns the test's actions one after another, and the last one for ever."""

    name, sha256 = "dictator.onnx", "0" * 64
    observation_version = 1
    world_names: tuple[str, ...] = ()
    world: Array | None = None
    monitor: Monitor | None = None

    def __init__(self, actions: Sequence[Array], tick_rate: int = 100) -> None:
        self.path = ActionPath(HAND, tick_rate=tick_rate)
        self.resets = 0
        self.steps = 0
        self._actions = actions

    def reset(self) -> None:
        self.resets += 1
        if self.monitor is not None:
            self.monitor.reset()

    def act(self, observation: Array) -> Array:
        self.steps += 1
        return self._actions[min(self.steps, len(self._actions)) - 1]


class Bench:
    """Hand, object and controller, moved on tick by tick.

    Attributes:
        controller: the real one.
        servos: servo angles [rad], (n_actuators,).
        position: of the object, world frame [m], (3,).
        quaternion: of the object, world from object, wxyz, (4,).
        seen: whether the cameras see the object.
        latency: how late poses arrive [s].
        frame_period: time between two poses [s].
        rotation_sigma: what the poses state [rad].
        answered: whether the servos answer.
        silent: numbers of servos that do not answer.
        temperature: what the servos report [°C], (n_actuators,), if they do.
        jammed: angles at which servos are read whatever they do [rad], by their numbers.
        targets: what the last tick returned.
        events: all that happened.
    """

    def __init__(
        self,
        policy: PolicyRunner | None = None,
        safety: SafetySettings | None = None,
        *,
        goals: GoalSettings | None = None,
        monitor: MonitorSettings | None = None,
    ) -> None:
        settings = ControlSettings(
            goals=goals or GoalSettings(),
            safety=safety or SafetySettings(),
            monitor=monitor or MonitorSettings(),
        )
        feed = PoseFeed(BLOCK)
        self.controller = Controller[PoseReading](
            HAND, BLOCK, feed, settings, policy=policy, seed=1
        )
        self.t = 100.0
        self.servos = HAND.rest.copy()
        self.position, self.quaternion = IN_HAND.copy(), UPRIGHT
        self.seen = self.answered = True
        self.latency, self.frame_period, self.rotation_sigma = 0.0, TICK, 0.01
        self._next_frame = self.t
        self._underway: list[PoseReading] = []
        self.silent: set[int] = set()
        self.temperature: Array | None = None
        self.jammed: dict[int, float] = {}
        self.targets: Targets | None = None
        self.events: list[Event] = []

    @property
    def mode(self) -> Mode:
        return self.controller.mode

    def tick(self, length: float = TICK) -> None:
        """One tick: the servos follow the last targets, then the controller reads and decides."""
        self.t += length
        if self.controller.torque and self.targets is not None:
            self.servos = self.servos + 0.4 * (self.targets.position - self.servos)
        for number, angle in self.jammed.items():
            self.servos[number] = angle
        joints = None
        if self.answered:
            read, zeros = self.servos.copy(), np.zeros(HAND.n_actuators)
            read[list(self.silent)] = zeros[list(self.silent)] = np.nan
            joints = JointState(
                self.t, *map(frozen_array, (read, zeros, zeros)), temperature=self.temperature
            )
        self.targets = self.controller.tick(self.t, joints, self._poses())
        self.events += self.controller.take_events()

    def _poses(self) -> list[PoseReading]:
        """Looks at the object if a frame is due; returns the poses that have arrived."""
        if self.t > self._next_frame - 1e-6:
            self._next_frame += self.frame_period
            if self.seen:
                sigma = self.rotation_sigma
                seen = PoseReading(self.t, self.position, self.quaternion, rotation_sigma=sigma)
                self._underway.append(seen)
        due = [pose for pose in self._underway if pose.t + self.latency <= self.t + 1e-6]
        self._underway = self._underway[len(due) :]
        return due

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.tick()

    def until(self, mode: Mode, patience: float) -> float:
        """Ticks until the mode is this one; returns how long that took [s]."""
        began = self.t
        while self.mode != mode:
            assert self.t - began < patience, f"still {self.mode} after {patience} s"
            self.tick()
        return self.t - began

    def start(self, upto: Mode) -> None:
        """From off to a mode on the straight way; a running hand has half a turn to go."""
        self.run(0.3)
        if upto != Mode.OFF:
            self.controller.enable()
        if upto in (Mode.READY, Mode.RUNNING):
            self.controller.arm()
        if upto == Mode.MANUAL:
            self.controller.manual()
        if upto == Mode.RUNNING:
            self.ask(np.pi)
        self.tick()
        assert self.mode == upto

    def ask(self, angle: float, **terms: float) -> tuple[int, ...]:
        """Asks for a rotation about the vertical from the upright orientation [rad]."""
        return self.controller.ask([Orientation(about_vertical(angle))], **terms)

    def turn(self, angle: float, speed: float = 2.0) -> None:
        """Turns the object about the vertical from where it is, tick by tick."""
        begin, ticks = self.quaternion, round(abs(angle) / speed / TICK)
        for i in range(1, ticks + 1):
            self.quaternion = rotations.multiply(about_vertical(angle * i / ticks), begin)
            self.tick()

    def fall(self) -> None:
        """Lets the object fall out of the hand, until it lies below."""
        begin, t = self.position.copy(), 0.0
        while self.position[2] > -0.1:
            t += TICK
            self.position = begin + [0.0, 0.5 * t, -9.81 / 2 * t * t]
            self.tick()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def refused(self, code: str, request: str, *arguments: object) -> str:
        """Makes a request that must be refused and change nothing; returns the message."""
        before = self.controller.snapshot()
        with pytest.raises(RefusedError) as caught:
            getattr(self.controller, request)(*arguments)
        assert caught.value.code == code
        assert "\n" not in str(caught.value)
        assert self.controller.snapshot() == before
        return str(caught.value)


def about_vertical(angle: float) -> Array:
    """A rotation about the vertical [rad], wxyz, (4,)."""
    return rotations.exp(np.array([0.0, 0.0, angle]))


def learned(directory: Path, name: str = "tiny.onnx") -> Policy:
    """A real ONNX policy with a memory, that moves the fingers a little."""
    (directory / name).write_bytes(_policy_file())
    return load_policy(directory / name, HAND, BLOCK, allowed=None)


@cache
def _policy_file() -> bytes:
    built = tiny_policy.model(HAND, scale=3.0)
    with TemporaryDirectory() as directory:
        path = Path(directory) / "p.onnx"
        tiny_policy.write(path, built, tiny_policy.metadata(HAND, built))
        return path.read_bytes()
