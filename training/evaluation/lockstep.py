"""One trial in lockstep: world and controller under a virtual clock, faster than real time.

The controller is the class that the daemon runs, commanded with its public requests.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inhand.controller.config.settings import ControlSettings, GoalSettings
from inhand.controller.core.controller import Controller
from inhand.controller.core.goals import Orientation
from inhand.controller.errors import RefusedError
from inhand.controller.estimation.pose_measurements import PoseFeed, PoseReading
from inhand.controller.policy.monitor_file import load_monitor
from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.training.evaluation.trials import (
    EngineName,
    EvaluationError,
    Judge,
    Plan,
    Setup,
    Trial,
    plan_trial,
)
from inhand.training.sensors.lockstep_sensors import JointSensor, Pauses, PoseSensor
from inhand.training.sensors.measured_errors import MeasuredPoses, load_errors

SETTLE = 0.5
"""Time in which the object settles in the resting hand before the controller starts [s]."""

START_TIMEOUT = 5.0
"""Time limit for arming: the controller refuses while poses are frozen, for instance [s]."""

MakeSensor = Callable[[Universe, np.random.Generator], PoseSensor]
"""Makes the model of the object's pose sensor in a universe."""

Progress = Callable[[int, int, float], None]
"""Called with the trial's number, goals passed, and simulated time [s]."""


class AnyWorld(Protocol):
    """Interface of the worlds of all engines."""

    timestep: float

    @property
    def time(self) -> float: ...

    def reset(self, object_quaternion: Array | None = None) -> None: ...

    def step(self, targets: Array, torque_on: NDArray[np.bool_]) -> None: ...

    def encoders(self) -> tuple[Array, Array, Array]: ...

    def joint_angles(self) -> Array: ...

    def object_pose(self) -> tuple[Array, Array]: ...

    def dropped(self) -> bool: ...

    def close(self) -> None: ...


Watch = Callable[[float, AnyWorld, Controller[PoseReading]], None]
"""Called after each tick from the first goal on: time [s], world, controller."""


def make_world(engine: EngineName, plan: Plan) -> AnyWorld:
    """A world of the plan's universe; only the engine that is used is imported."""
    arguments = (plan.hand, plan.target, plan.universe, plan.world_seed)
    if engine == "mujoco":
        from inhand.training.mujoco_worlds.world import MujocoWorld

        return MujocoWorld(*arguments)
    if engine == "drake":
        from inhand.sim_backend.drake.world import DrakeWorld

        return DrakeWorld(*arguments)
    from inhand.sim_backend.world import World

    return World(*arguments)


class Lockstep:
    """A world, its sensors and a controller, advanced in turn; the controller may pause.

    Args:
        world: the physics, at time 0.
        plan: of the trial.
        controller: runs the policy.
        sensor: model of the object's pose sensor.

    Attributes:
        t: virtual time [s].
    """

    def __init__(
        self,
        world: AnyWorld,
        plan: Plan,
        controller: Controller[PoseReading],
        sensor: MakeSensor = PoseSensor,
    ) -> None:
        self.t = 0.0
        self._world, self._controller = world, controller
        self._tick = 1.0 / controller.settings.tick_rate
        share = max(self._tick, world.timestep) / min(self._tick, world.timestep)
        if abs(share - round(share)) > 1e-6:
            raise EvaluationError(
                f"universe: one of time step {world.timestep} s and tick {self._tick} s must be a "
                "multiple of the other; choose another timestep"
            )
        rng = np.random.default_rng(plan.sensor_seed)
        self._joints = JointSensor(plan.universe, plan.hand.n_actuators, rng)
        self._poses = sensor(plan.universe, rng)
        self._pauses = Pauses(plan.universe, rng.spawn(1)[0])
        self._waiting: list[PoseReading] = []
        self._ticks = 0
        # Until the controller sends targets, the servos hold the rest pose.
        self._targets = plan.hand.rest
        self._torque = np.ones(plan.hand.n_actuators, dtype=np.bool_)

    def advance(self) -> None:
        """One tick: the world follows the last targets, then the controller runs its tick."""
        self._ticks += 1
        self.t = self._ticks * self._tick
        while self._world.time < self.t - 1e-9:
            self._world.step(self._targets, self._torque)
        self._waiting += self._poses.read(self.t, *self._world.object_pose())
        if self._pauses.pausing(self.t, self._tick):
            return
        joints = self._joints.read(self.t, self._world.encoders())
        poses, self._waiting = self._waiting, []
        targets = self._controller.tick(self.t, joints, poses)
        if targets is not None and self._controller.torque:
            self._targets = targets.position


def run_trial(
    setup: Setup,
    trial: int,
    progress: Progress | None = None,
    sensor: MakeSensor | None = None,
    watch: Watch | None = None,
) -> Trial:
    """Runs one trial in lockstep.

    Args:
        setup: what all trials share.
        trial: number of this one.
        progress: called once a simulated second.
        sensor: model of the object's pose sensor; that of the setup's eyes if not given.
        watch: called after each tick.

    Raises:
        InhandError: an input of the setup does not fit the others.
    """
    plan = plan_trial(setup, trial)
    policy = load_policy(setup.policy, plan.hand, plan.target, allowed={setup.sha256})
    if setup.monitor:
        policy.monitor = load_monitor(setup.monitor, policy, plan.hand)
    # With the hand: the default of `[cameras] follow_hand`.
    feed = PoseFeed(plan.target, hand=plan.hand)
    settings = ControlSettings(goals=GoalSettings(unstick=setup.unstick))
    controller = Controller[PoseReading](plan.hand, plan.target, feed, settings=settings)
    controller.set_policy(policy)
    world = make_world(setup.engine, plan)
    try:
        world.reset(plan.start)
        lockstep = Lockstep(world, plan, controller, sensor or _sensor(setup))
        judge = Judge(setup.rules)
        _begin(lockstep, controller, world, plan, judge)
        ticks_to_report = controller.settings.tick_rate
        while judge.end is None:
            lockstep.advance()
            if watch:
                watch(lockstep.t, world, controller)
            _judge(judge, lockstep.t, world, controller)
            ticks_to_report -= 1
            if progress and not ticks_to_report:
                progress(trial, len(judge.passed), lockstep.t)
                ticks_to_report = controller.settings.tick_rate
    finally:
        world.close()
    return judge.result(trial)


def _sensor(setup: Setup) -> MakeSensor:
    return partial(MeasuredPoses, load_errors(setup.errors)) if setup.errors else PoseSensor


def _begin(
    lockstep: Lockstep,
    controller: Controller[PoseReading],
    world: AnyWorld,
    plan: Plan,
    judge: Judge,
) -> None:
    """Lets the object settle, then enables, arms and requests all goals."""
    while lockstep.t < SETTLE:
        lockstep.advance()
    controller.enable()
    rules, aims = judge.rules, [Orientation(goal) for goal in plan.goals]
    while judge.end is None:
        try:
            controller.arm()
            controller.ask(aims, tolerance=rules.tolerance, hold=rules.hold, timeout=rules.timeout)
            return
        except RefusedError as error:
            if lockstep.t > START_TIMEOUT:
                judge.stop(lockstep.t, str(error))
        lockstep.advance()
        _judge(judge, lockstep.t, world, controller)


def _judge(judge: Judge, t: float, world: AnyWorld, controller: Controller[PoseReading]) -> None:
    """Passes the true pose and the controller's events to the judge."""
    _, quaternion = world.object_pose()
    judge.add_pose(t, quaternion, world.dropped())
    for event in controller.take_events():
        judge.add_event(event.t, event.kind, event.data, quaternion)
