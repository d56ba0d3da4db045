"""What rubber does to a contact, measured the same way in every engine."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import Array
from inhand.perception import rotations
from tests.training.effects import (
    BLOCK,
    FLAT,
    HAND,
    ON_PALM,
    STIFF_WRIST,
    STRONG_WRIST,
    UPRIGHT,
    AnyWorld,
    Engine,
    in_palm,
    run,
    spin,
)

TIP = HAND.link_names.index("ff_distal")
CAPSULE = HAND.links[TIP].shapes[0]
POINTING = np.array([1.5707 if name == "FFJ3" else 0.0 for name in HAND.actuator_names])
"""Targets of an open hand whose first finger points up."""
RIGID = tuple(20.0 if name[:2] in ("WR", "FF") else 1.0 for name in HAND.actuator_names)
"""Gains and torque limits of a finger that does not give."""
INERTIA = BLOCK.mass / 6 * BLOCK.size[0] ** 2
"""Of the block about any axis [kg·m²]."""


def apex(world: AnyWorld) -> Array:
    """The topmost point of the finger that points up, world frame [m], (3,)."""
    radius, half = CAPSULE.size
    matrices, positions = link_poses(HAND, world.joint_angles())
    center = positions[TIP] + matrices[TIP] @ np.array(CAPSULE.position)
    ends = [center + sign * half * matrices[TIP][:, 2] for sign in (-1.0, 1.0)]
    top = max(ends, key=lambda end: float(end[2]))
    return np.asarray(top + [0.0, 0.0, radius])


def on_fingertip(engine: Engine, weight: float, lift: float = 0.0, **fields: Any) -> AnyWorld:
    """A block of this weight [N] whose lower face just touches the tip of a finger.

    Args:
        engine: how the world is made.
        weight: of the block [N].
        lift: how much higher the tip is than that of the nominal hand [m].
        fields: of the universe.
    """
    world = engine.world(
        gravity=(0.0, 0.0, -weight / BLOCK.mass),
        actuator_gain=RIGID,
        torque_limit=RIGID,
        **fields,
    )
    run(world, 1.0, POINTING)
    place(world, apex(world) + [0.0, 0.0, BLOCK.size[2] / 2 + lift])
    return world


def place(world: AnyWorld, center: Array) -> None:
    """Puts the block upright and at rest to a place [m], (3,)."""
    start = (float(center[0]), float(center[1]), float(center[2]))
    space = msgspec.structs.replace(world.hand.workspace, object_start=start)
    world.hand = replace(world.hand, workspace=space)
    world.place_object(UPRIGHT)


def indentation(engine: Engine, weight: float = 1.0, **fields: Any) -> float:
    """How deep the tip stands in the block after 0.3 s [m]."""
    world = on_fingertip(engine, weight, **fields)
    run(world, 0.3, POINTING)
    position, quaternion = world.object_pose()
    down = rotations.rotate(quaternion, np.array([0.0, 0.0, -1.0]))
    center = apex(world) - [0.0, 0.0, CAPSULE.size[0]]
    depth = CAPSULE.size[0] - ((position - center) @ -down - BLOCK.size[2] / 2)
    world.close()
    return float(depth)


def bounce(engine: Engine, seconds: float = 0.4, **fields: Any) -> tuple[Array, Array]:
    """The block falls flat on the palm from 1 cm.

    Returns:
        Times [s] and heights over where it comes to rest [m], (n,).
    """
    x, y, z = ON_PALM
    world = engine.world(
        (x, y, z + 0.01), actuator_gain=STIFF_WRIST, torque_limit=STRONG_WRIST, **fields
    )
    heights = []
    for _ in range(round(seconds / world.timestep)):
        run(world, world.timestep, FLAT)
        heights.append(-float(in_palm(world)[0][1]))
    world.close()
    path: Array = np.array(heights)
    rest = float(path[-round(0.05 / world.timestep) :].mean())
    times: Array = world.timestep * np.arange(1, len(path) + 1)
    over: Array = path - rest
    return times, over


def rebound(engine: Engine, **fields: Any) -> float:
    """Height to which the block bounces off the palm, over the 1 cm that it fell from."""
    _, heights = bounce(engine, **fields)
    first = int(np.argmax(heights < 0.0))
    return float(heights[first:].max()) / 0.01


def spinning(engine: Engine, seconds: float, **fields: Any) -> tuple[Array, Array]:
    """A block of 1 N spins on a fingertip, at 40 rad/s at first.

    Returns:
        Middles of spans of 20 ms [s] and its mean speed in each [rad/s], (n,).
    """
    world = on_fingertip(engine, 1.0, **fields)
    run(world, 0.1, POINTING)
    spin(world, 40.0)
    _, before = world.object_pose()
    speeds = []
    for _ in range(round(seconds / 0.02)):
        run(world, 0.02, POINTING)
        _, after = world.object_pose()
        turn = rotations.log(rotations.multiply(after, rotations.conjugate(before)))
        speeds.append(turn[2] / 0.02)
        before = after
    world.close()
    times: Array = 0.02 * np.arange(len(speeds), dtype=np.float64) + 0.01
    return times, np.array(speeds)


def spin_down(engine: Engine, **fields: Any) -> float:
    """How fast a spinning block on a fingertip loses speed [rad/s²]."""
    times, speeds = spinning(engine, 0.08, **fields)
    return float((speeds[0] - speeds[-1]) / (times[-1] - times[0]))
