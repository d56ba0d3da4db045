"""Falls of an object from the hand, as cameras with latency see them, through the controller."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inhand.controller.core.controller import Controller
from inhand.controller.estimation.fusion import PoseFilter
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import JointState, frozen_array
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import load_object
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array
from tests.controller.sighted import LATENCY, RATE, frame

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
START = np.array(HAND.workspace.object_start)
GRAVITY, TICK = 9.81, 0.01
AT_REST = 1.0
"""Seconds at rest before the fall."""


@dataclass(frozen=True)
class Fall:
    """How a fall was noticed.

    Attributes:
        dropped: time of the event after the object left the workspace [s]; None if there is none.
        in_hand: whether the object still counted as in the hand two seconds later.
    """

    dropped: float | None
    in_hand: bool


def fall(
    rig: Mapping[str, Camera],
    rng: np.random.Generator,
    *,
    aside: float = 0.0,
    hidden_below: float = -np.inf,
    latency: float = LATENCY,
) -> Fall:
    """Lets the object rest, and fall at a random phase of the cameras.

    Args:
        rig: the cameras; each has its own trigger.
        rng: source of phases, orientation and noise.
        aside: horizontal velocity when it begins to fall [m/s].
        hidden_below: height below which no camera sees it [m].
        latency: from capture to arrival [s].
    """
    quaternion = rotations.random_quaternion(rng)
    spin = 3.0 * rng.standard_normal(3)
    release = AT_REST + rng.uniform(0.0, 1.0 / RATE)
    heading = rng.uniform(0.0, 2 * np.pi)
    sideways = aside * np.array([np.cos(heading), np.sin(heading), 0.0])

    def pose(t: float) -> tuple[Array, Array]:
        since = max(t - release, 0.0)
        position = START + since * sideways - [0.0, 0.0, 0.5 * GRAVITY * since**2]
        return position, rotations.multiply(rotations.exp(since * spin), quaternion)

    controller = Controller[TagCorners](HAND, BLOCK, PoseFilter(BLOCK, rig, hand=HAND))
    zero = frozen_array(np.zeros(HAND.n_actuators))
    waiting: list[TagCorners] = []
    due = {name: k / (RATE * len(rig)) for k, name in enumerate(rig)}
    left: float | None = None
    for tick in range(round((AT_REST + 3.0) / TICK)):
        t = tick * TICK
        if left is None and _outside(pose(t)[0]):
            left = t
        for name, camera in rig.items():
            if t >= due[name]:
                seen = frame(BLOCK, camera, due[name], pose(due[name]), rng)
                if pose(due[name])[0][2] < hidden_below:
                    seen = TagCorners(seen.t, name, (), frozen_array(np.empty((0, 4, 2))), 0.1)
                waiting.append(seen)
                due[name] += 1.0 / RATE
        arrived = [one for one in waiting if one.t + latency <= t]
        waiting = [one for one in waiting if one.t + latency > t]
        controller.tick(t, JointState(t, frozen_array(HAND.rest), zero, zero), arrived)
        for event in controller.take_events():
            if event.kind == "object_dropped" and left is not None:
                return Fall(t - left, controller.snapshot().in_hand)
    return Fall(None, controller.snapshot().in_hand)


def _outside(position: Array) -> bool:
    workspace = HAND.workspace
    far = np.linalg.norm(position - np.array(workspace.center)) > workspace.radius
    return bool(far or position[2] < workspace.drop_height)


def delays(falls: Sequence[Fall]) -> Array:
    """Delays of the falls that were noticed [s]."""
    return np.array([one.dropped for one in falls if one.dropped is not None])
