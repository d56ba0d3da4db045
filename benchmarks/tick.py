"""Processor time of the daemon's tick, beside its period of 10 ms."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.lone_daemon import PERIOD as TICK
from benchmarks.lone_daemon import PRIORITY, lone_daemon
from benchmarks.measure import Row, median_time, row, side_by_side
from inhand.controller.core.goals import RandomGoal
from inhand.controller.policy.action import ActionPath
from inhand.controller.policy.observation import observe
from inhand.controller.policy.runtime import load_policy
from inhand.controller.runtime.loop import TickLoop
from inhand.controller.system.clock import VirtualClock
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.perception import rotations
from inhand.perception.objects import load_object
from tests.controller import tiny_policy

PERIOD = 10.0
"""Tick period [ms]."""


MEDIAN_LIMIT, MEAN_LIMIT = 0.6, 1.5
"""Limits for a tick without ONNX Runtime and the wire, as ratios to a bare `session.run` in one
run: times in microseconds say more about the machine than about the tick."""

TICKS = 1000

_WARM = 100


def measure() -> list[Row]:
    """The parts of a tick, each as a share of the period, and the policy beside ONNX Runtime."""
    hand, block = load_hand("dactyl24"), load_object("block")
    path = ActionPath(hand)
    state = path.start(hand.rest)
    action = np.zeros(hand.n_actuators)
    tips = fingertip_positions(hand, hand.rest)
    parts = {
        "limits and interpolation": lambda: path.tick(state),
        "smoothing of an action": lambda: path.act(state, action),
        "fingertips": lambda: fingertip_positions(hand, hand.rest),
        "observation": lambda: observe(
            hand,
            block,
            joint_position=hand.rest,
            sent_target=hand.rest,
            fingertips=tips,
            object_position=np.zeros(3),
            object_quaternion=rotations.IDENTITY,
            goal_quaternion=rotations.IDENTITY,
            pose_age=np.zeros(()),
            object_angular_velocity=np.zeros(3),
            goal_tolerance=np.zeros(()),
        ),
    }
    rows = [
        row(name, 1e3 * median_time(part, 2000), "ms", "tick's period", PERIOD, 0.1)
        for name, part in parts.items()
    ]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "tiny.onnx"
        tiny_policy.write_policy(file, hand)
        policy = load_policy(file, hand, block, allowed=None)
        session = ort.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
        inputs = {one.name: np.zeros(one.shape, np.float32) for one in session.get_inputs()}
        ours, bare = side_by_side(
            lambda: policy.act(inputs["obs"][0]), lambda: session.run(None, inputs), calls=100
        )
    rows += whole_tick()
    rows.append(row("policy step, tiny", 1e3 * ours, "ms", "bare session", 1e3 * bare, 2.0))
    return rows


def whole_tick() -> list[Row]:
    """Processor time of a running tick with telemetry and recording, in virtual time.

    The time of the emulated servos and cameras, and ONNX Runtime's own time, are subtracted.
    """
    spent, steps, _ = _run_ticks()
    bare = 1e6 * float(np.median(steps))
    median, mean, late = (
        float(np.median(spent)),
        float(np.mean(spent)),
        float(np.quantile(spent, 0.99)),
    )
    peer = "bare session.run"
    rows = [
        row("tick without ONNX Runtime and wire, median", median, "µs", peer, bare, MEDIAN_LIMIT),
        row("the same, mean (with frames)", mean, "µs", peer, bare, MEAN_LIMIT),
        row("the same, p99", late, "µs", "tick's period", 1e4),
    ]
    # Once more, as to measure the sections takes time itself.
    spent, _, sections = _run_ticks(by_section=True)
    mean = float(np.mean(spent))
    sections["everything else"] = mean - sum(sections.values())
    for name, part in sections.items():
        rows.append(row(f"of its mean: {name}", part, "µs", "whole", mean))
    return rows


def _run_ticks(*, by_section: bool = False) -> tuple[list[float], list[float], dict[str, float]]:
    """Runs ticks of a hand that turns its object.

    Returns:
        Processor time of each tick [µs], of each step of ONNX Runtime [s], and the mean of each
        section of a tick [µs], if these are asked for.
    """
    spent: list[float] = []
    clock = VirtualClock(100.0)
    with (
        tempfile.TemporaryDirectory() as directory,
        lone_daemon(Path(directory), clock) as lone,
        as_in_service(),
    ):
        loop, controller, session = lone.loop, lone.loop.controller, lone.policy._session
        runtime = _Timed(session)
        lone.policy._session = runtime

        def aside() -> float:
            return lone.hand.spent + runtime.spent

        sections = _Sections(loop, aside) if by_section else None
        for number in range(TICKS):
            clock.advance(TICK)
            if number == 50:
                controller.enable()
            if number == 60:
                controller.arm()
                controller.ask([RandomGoal()], endless=True)
            if number == _WARM and sections is not None:
                sections.spent = dict.fromkeys(sections.spent, 0.0)
            before, began = aside(), time.thread_time()
            loop._tick(clock.now())
            taken = time.thread_time() - began - (aside() - before)
            if number >= _WARM:
                spent.append(1e6 * taken)
    means = {} if sections is None else sections.spent
    return spent, runtime.steps, {k: 1e6 * v / len(spent) for k, v in means.items()}


class _Sections:
    """Measures the sections of each tick, by functions around those that the tick calls.

    Args:
        loop: whose ticks are measured.
        aside: returns the time that does not count [s].

    Attributes:
        spent: processor time of each section until now [s].
    """

    def __init__(self, loop: TickLoop, aside: Callable[[], float]) -> None:
        self.spent: dict[str, float] = {}
        self._aside = aside
        controller = loop.controller
        for name, whole, part in (
            ("requests of clients", loop.requests, "carry_out"),
            ("joint readings: plausible, in time", controller._joint_watch, "take"),
            ("derating", controller, "_derate"),
            ("frames to poses, pose filter", controller._object_watch, "take"),
            ("faults, drops, expiry of modes", controller, "_watch"),
            ("goals, observation, action, limits", controller.operation, "move"),
            ("snapshot", loop, "_publish_snapshot"),
            ("answers and events", loop.requests, "answer"),
            ("recorder", loop, "_record"),
            ("statistics", loop, "_count"),
        ):
            setattr(whole, part, self._timed(name, getattr(whole, part)))

    def _timed(self, name: str, part: Callable[..., Any]) -> Callable[..., Any]:
        self.spent[name] = 0.0

        def timed(*arguments: Any, **named: Any) -> Any:
            before, began = self._aside(), time.thread_time()
            result = part(*arguments, **named)
            self.spent[name] += time.thread_time() - began - (self._aside() - before)
            return result

        return timed


@contextmanager
def as_in_service() -> Iterator[None]:
    """Runs at the tick's priority, if allowed: other processes evict less of the cache."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    yield
    os.sched_setscheduler(0, *before)


class _Timed:
    """An inference session that notes the processor time of its steps."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.spent = 0.0
        self.steps: list[float] = []
        self._session = session

    def run(self, *arguments: Any) -> Any:
        began = time.thread_time()
        result = self._session.run(*arguments)
        self.steps.append(time.thread_time() - began)
        self.spent += self.steps[-1]
        return result
