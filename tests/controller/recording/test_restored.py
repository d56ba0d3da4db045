"""A controller restored at any tick goes on equal to the bit, whatever the cameras deliver."""

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from inhand.controller.core.controller import Controller
from inhand.controller.core.requests import AnyRequest, Arm, Enable, RandomGoals
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.ipc.dispatch import perform
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.policy.runtime import Policy
from inhand.controller.recording.checkpoint import _FIXED, capture, restore
from inhand.controller.recording.tick_record import (
    CheckpointRecord,
    Inputs,
    decode,
    outputs,
    pack,
    recorded_requests,
)
from inhand.controller.safety.modes import Mode
from inhand.hardware.records import Targets, frozen_array
from inhand.perception import rotations
from inhand.perception.records import TagCorners
from tests.controller.bench_hand import BLOCK, HAND, TICK, learned
from tests.controller.kinematic_hand import KinematicHand
from tests.controller.recorded import RIG

TURN = rotations.exp(np.array([0.0, np.radians(3.0), 0.0]))
TURNED = RIG | {
    "left": replace(
        RIG["left"],
        quaternion=frozen_array(rotations.multiply(TURN, RIG["left"].quaternion)),
    )
}
"""The cameras as the controller has them: one is 3 degrees away from where it is."""

FED = 25
"""Number of ticks that each restored controller goes on for."""


class DisorderedHand:
    """A hand whose ticks vary, whose servos are silent at times, and whose frames come late.

    Frames are delayed by up to 0.2 s, so they arrive out of order, and some of them too late. The
    cameras do not see the block for 0.4 s, and later for 2.5 s.

    Args:
        policy: what acts.
        seed: of everything that is random.

    Attributes:
        controller: the real one.
        t: the present [s].
    """

    def __init__(self, policy: Policy, seed: int) -> None:
        self.controller = fresh(policy)
        self.t = 0.0
        self._world = KinematicHand(HAND, BLOCK, RIG, seed)
        self._random = Random(seed)
        self._underway: list[tuple[float, TagCorners]] = []
        self._targets: Targets | None = None

    def tick(self, *requests: AnyRequest) -> Inputs:
        """One tick; returns what the controller took in."""
        random = self._random
        t = self.t = self.t + TICK * random.choice((0.5, 1.0, 1.0, 1.0, 1.3, 2.0))
        self._world.move(t, self.controller.snapshot(), self._targets)
        for frame in self._world.corners():
            if not (1.0 < t < 1.4 or 2.5 < t < 5.0):
                self._underway.append((t + random.choice((0.0, 0.0, 0.02, 0.1, 0.2)), frame))
        due = [frame for when, frame in self._underway if when <= t]
        self._underway = [(when, frame) for when, frame in self._underway if when > t]
        random.shuffle(due)
        joints = None if random.random() < 0.02 else self._world.joints()
        pending = recorded_requests([PendingRequest([], request) for request in requests])
        inputs = Inputs(None, pending, t, joints, due)
        self._targets = fed(self.controller, inputs)
        return inputs


def fresh(policy: Policy) -> Controller[TagCorners]:
    pose_filter = PoseFilter(BLOCK, TURNED, hand=HAND)
    return Controller[TagCorners](HAND, BLOCK, pose_filter, policy=policy, seed=1)


def fed(controller: Controller[TagCorners], inputs: Inputs) -> Targets | None:
    """One tick with these inputs."""
    for recorded in inputs.requests:
        answer = perform(controller, PendingRequest([], recorded.request), readonly=False)
        assert answer.result is not None, answer.message
    targets = controller.tick(inputs.t, inputs.joints, inputs.corners)
    controller.take_events()
    return targets


def written_and_read(live: object) -> Any:
    """A captured state as it is after it was in a file."""
    return decode(pack(CheckpointRecord(0, 0.0, "", capture(live)))).state


@pytest.mark.parametrize("seed", [1, 2])
def test_a_controller_restored_at_any_tick_goes_on_equal_to_the_bit(
    tmp_path: Path, seed: int
) -> None:
    hand, chosen = DisorderedHand(learned(tmp_path), seed), Random(seed)
    restored: list[tuple[int, Controller[TagCorners]]] = []
    compared, running, oldest = 0, 0, 0.0
    requests: dict[int, list[AnyRequest]] = {
        40: [Enable(1, 1)],
        60: [Arm(1, 2), RandomGoals(1, 3, count=0, seed=5)],
    }
    for n in range(550):
        inputs = hand.tick(*requests.get(n, ()))
        snapshot = hand.controller.snapshot()
        expected = pack(outputs(snapshot))
        for at, other in restored:
            fed(other, inputs)
            age = snapshot.pose and snapshot.pose.age
            assert pack(outputs(other.snapshot())) == expected, f"{at} at {n}, pose {age} s old"
            if n == at + FED:
                assert pack(capture(other)) == pack(capture(hand.controller)), f"{at} at {n}"
                compared += 1
        restored = [(at, other) for at, other in restored if n < at + FED]
        if chosen.random() < 0.06 or n in (390, 420):
            other = fresh(learned(tmp_path))
            restore(other, written_and_read(hand.controller))
            differences = unequal("", hand.controller, other)
            assert not differences, f"after tick {n}: {differences}"
            restored.append((n, other))
        running += snapshot.mode is Mode.RUNNING
        oldest = max(oldest, snapshot.pose.age if snapshot.pose else 0.0)
    health = hand.controller.snapshot().fusion
    moved = {fit.camera for fit in health.cameras if fit.turn > 0.03}
    assert compared > 15 and oldest > 2.0
    assert health.late > 5 and moved == {"left"}
    assert running > 100


def unequal(path: str, one: Any, other: Any) -> list[str]:
    """Paths of all attributes, however deep, that differ in value, type or layout."""
    if one is other or isinstance(one, _FIXED):
        return []
    if type(one) is not type(other):
        return [f"{path}: {type(one).__name__}, {type(other).__name__}"]
    if isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and one.shape == other.shape
        # Products of matrices can depend on the order in memory.
        same = same and one.flags.c_contiguous == other.flags.c_contiguous
        same = same and one.flags.writeable == other.flags.writeable
        return [] if same and one.tobytes() == other.tobytes() else [path]
    if isinstance(one, np.random.Generator):
        return [] if one.bit_generator.state == other.bit_generator.state else [path]
    if isinstance(one, Enum | int | float | str | bytes | None):
        return [] if repr(one) == repr(other) else [path]
    if is_dataclass(one):
        names = [f.name for f in fields(one)]
    elif isinstance(one, msgspec.Struct):
        names = list(one.__struct_fields__)
    elif isinstance(one, dict):
        if list(one) != list(other):
            return [f"{path}: {list(one)}, {list(other)}"]
        return [x for key in one for x in unequal(f"{path}[{key}]", one[key], other[key])]
    elif hasattr(one, "__dict__"):
        names = sorted(vars(one))
        if names != sorted(vars(other)):
            return [f"{path}: {names}, {sorted(vars(other))}"]
    else:
        if len(one) != len(other):
            return [f"{path}: {len(one)}, {len(other)} items"]
        pairs = zip(one, other, strict=True)
        return [x for i, (a, b) in enumerate(pairs) for x in unequal(f"{path}[{i}]", a, b)]
    found = ((f"{path}.{name}", getattr(one, name), getattr(other, name)) for name in names)
    return [x for where, a, b in found for x in unequal(where, a, b)]
