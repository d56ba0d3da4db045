"""Errors of the pose filter beside those of the newest raw pose: `python -m benchmarks.fusion`.

Motions: the shipped policy turns the block in MuJoCo, and a wrist sways with the block at rest on
the palm. Frames come at 14.3 Hz with latency and noise; errors are evaluated at every tick, at
100 Hz. Writes the results into docs/perception.md.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from benchmarks.measure import write_section
from inhand.controller.core.controller import Controller
from inhand.controller.core.goals import Orientation
from inhand.controller.errors import RefusedError
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.estimation.pose_measurements import PoseFeed, PoseReading
from inhand.controller.policy.files import SHIPPED
from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import JointState, frozen_array
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array
from inhand.training.evaluation.lockstep import SETTLE, START_TIMEOUT, Lockstep, make_world
from inhand.training.evaluation.trials import Rules, Setup, plan_trial

HAND, BLOCK = load_hand("dactyl24"), load_object("block")
PALM = HAND.link_names.index("palm")

TICK, FRAME = 0.01, 7
"""Tick period [s], and ticks from frame to frame."""

NOISE = (5e-4, 5e-3)
"""Standard deviations of a measured pose, along and about each axis [m, rad]."""

SECONDS = 14.0

PAGE = Path(__file__).parent.parent / "docs" / "perception.md"


@dataclass(frozen=True)
class Motion:
    """True object pose and encoder readings at every tick.

    Attributes:
        position: of the object, world frame [m], (n, 3).
        quaternion: world from object, wxyz, (n, 4).
        joints: servo angles [rad], (n, n_actuators).
    """

    position: Array
    quaternion: Array
    joints: Array


def turned(trial: int, scale: float | None) -> Motion | None:
    """The block turned by the shipped policy; None if it was dropped within three seconds.

    Args:
        trial: its number.
        scale: of the universe; None for the nominal one.
    """
    path = SHIPPED / "block.onnx"
    policy = load_policy(path, HAND, BLOCK, allowed=None)
    rules = Rules(cap=200, timeout=30.0)
    setup = Setup(
        path, policy.sha256, "mujoco", "dactyl24", "block", None, scale, False, rules, 101, False
    )
    plan = plan_trial(setup, trial)
    controller = Controller[PoseReading](HAND, BLOCK, PoseFeed(BLOCK), policy=policy)
    world = make_world("mujoco", plan)
    rows = []
    try:
        world.reset(plan.start)
        lockstep = Lockstep(world, plan, controller)
        while lockstep.t < SETTLE:
            lockstep.advance()
        controller.enable()
        asked = False
        while lockstep.t < SECONDS and not world.dropped():
            if not asked and lockstep.t < START_TIMEOUT:
                asked = _ask(controller, [Orientation(goal) for goal in plan.goals])
            lockstep.advance()
            joints = controller.snapshot().joints
            if asked and joints is not None:
                rows.append(np.concatenate([*world.object_pose(), joints.position]))
    finally:
        world.close()
    if len(rows) * TICK < 3.0:
        return None
    motion = np.array(rows)
    return Motion(motion[:, :3], motion[:, 3:7], motion[:, 7:])


def swayed() -> Motion:
    """The block at rest on a palm whose wrist sways to and fro."""
    t = np.arange(0.0, SECONDS, TICK)
    joints = np.tile(HAND.rest, (len(t), 1))
    joints[:, 0] += 0.12 * np.sin(4 * t) - 0.15
    joints[:, 1] += 0.25 * np.sin(5 * t + 1)
    turns, places = link_poses(HAND, HAND.joint_angles(joints))
    turn = turns[:, PALM] @ turns[0, PALM].T
    arm = np.array(HAND.workspace.object_start) - places[0, PALM]
    position = turn @ arm + places[:, PALM]
    quaternion = rotations.multiply(
        rotations.from_matrix(turn), rotations.exp(np.array([0.3, -0.2, 0.5]))
    )
    return Motion(position, quaternion, joints)


def follow(motion: Motion, latency: float, follow_hand: bool) -> tuple[Array, Array]:
    """Runs the filter over a motion.

    Args:
        motion: the true motion.
        latency: from capture to arrival [s].
        follow_hand: whether the filter uses the joint readings.

    Returns:
        fused: distance [m] and angle [rad] to the truth at every tick, (m, 2).
        held: the same of the newest raw pose, (m, 2).
    """
    rng = np.random.default_rng(21)
    pose_filter = PoseFilter(BLOCK, {}, hand=HAND if follow_hand else None)
    zero = frozen_array(np.zeros(HAND.n_actuators))
    waiting: list[tuple[float, Array, Array]] = []
    newest: tuple[float, Array, Array] | None = None
    fused, held = [], []
    for k, (place, turn) in enumerate(zip(motion.position, motion.quaternion, strict=True)):
        t = k * TICK
        pose_filter.note_joints(JointState(t, frozen_array(motion.joints[k]), zero, zero))
        if k % FRAME == 0:
            seen = rotations.multiply(rotations.exp(rng.normal(0.0, NOISE[1], 3)), turn)
            waiting.append((t, place + rng.normal(0.0, NOISE[0], 3), seen))
        while waiting and waiting[0][0] <= t - latency + 1e-9:
            newest = waiting.pop(0)
            pose_filter.update_pose(*newest, sigma_position=1e-3, sigma_rotation=1e-2)
        pose = pose_filter.predict(t)
        if newest is not None and pose is not None and k >= 30:
            fused.append(_apart(pose.position, pose.quaternion, place, turn))
            held.append(_apart(newest[1], newest[2], place, turn))
    return np.array(fused), np.array(held)


def ratios(motions: Sequence[Motion], latency: float, follow_hand: bool) -> Array:
    """Filter errors over those of the newest pose: median and 95 % of angle, of distance, (4,)."""
    pairs = [follow(motion, latency, follow_hand) for motion in motions]
    fused, held = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    one, other = (np.percentile(errors, [50, 95], axis=0) for errors in (fused, held))
    return np.asarray((one / other).T[::-1].ravel(), dtype=np.float64)


def foreseeable(motions: Sequence[Motion], latency: float) -> Array:
    """The same for the best linear predictor from the last two velocities.

    Coefficients are fitted for each age of the frame to the least sum of distances, on the motions
    that are evaluated: no filter that is linear in the last three poses has a smaller error.
    """
    late = round(latency / TICK)
    rows: list[list[tuple[Array, Array, Array]]] = [[] for _ in range(FRAME)]
    rng = np.random.default_rng(22)
    for motion in motions:
        for k in range(3 * FRAME, len(motion.position) - late - FRAME, FRAME):
            seen = []
            for at in (k, k - FRAME, k - 2 * FRAME):
                noise = rotations.exp(rng.normal(0.0, NOISE[1], 3))
                place = motion.position[at] + rng.normal(0.0, NOISE[0], 3)
                seen.append((place, rotations.multiply(noise, motion.quaternion[at])))
            for age in range(FRAME):
                now = k + late + age
                truth = (motion.position[now], motion.quaternion[now])
                rows[age].append(
                    (
                        _change(seen[0], truth),
                        _change(seen[1], seen[0]),
                        _change(seen[2], seen[1]),
                    )
                )
    fused, held = [], []
    for group in rows:
        gone, last, before = (np.array([row[i] for row in group]) for i in range(3))
        for part in (slice(0, 3), slice(3, 6)):
            features = np.stack([last[:, part].ravel(), before[:, part].ravel()], axis=1)
            left = gone[:, part] - (features @ _fit(features, gone[:, part])).reshape(-1, 3)
            fused.append((part.start, np.linalg.norm(left, axis=1)))
            held.append((part.start, np.linalg.norm(gone[:, part], axis=1)))
    found = []
    for start in (3, 0):
        one, other = (
            np.percentile(np.concatenate([e for s, e in errors if s == start]), [50, 95])
            for errors in (fused, held)
        )
        found.append(one / other)
    return np.concatenate(found)


def _fit(features: Array, target: Array) -> Array:
    """Coefficients with the least sum of absolute residuals, by iterative reweighting."""
    weight = np.ones(len(features))
    for _ in range(12):
        found = np.linalg.lstsq(features * weight[:, None], target.ravel() * weight, rcond=None)[0]
        size = np.abs(target.ravel() - features @ found)
        weight = 1 / np.sqrt(size + np.median(size))
    return np.asarray(found, dtype=np.float64)


def _change(one: tuple[Array, Array], other: tuple[Array, Array]) -> Array:
    """From one pose to another: shift [m] and world turn [rad], (6,)."""
    turn = rotations.multiply(other[1], rotations.conjugate(one[1]))
    return np.concatenate([other[0] - one[0], rotations.log(turn)])


def _apart(place: Array, turn: Array, true_place: Array, true_turn: Array) -> tuple[float, float]:
    angle = float(rotations.angle_between(turn, true_turn))
    return float(np.linalg.norm(place - true_place)), angle


def _ask(controller: Controller[PoseReading], goals: list[Orientation]) -> bool:
    try:
        controller.arm()
        controller.ask(goals, tolerance=0.4, hold=0.0, timeout=30.0)
    except RefusedError:
        return False
    return True


def table(sets: dict[str, list[Motion]], latencies: Sequence[float]) -> str:
    """All predictors on all motions, as Markdown."""
    lines = [
        "| motion, latency | way | angle: median, 95 % | distance: median, 95 % |",
        "|---|---|---|---|",
    ]
    for name, motions in sets.items():
        for latency in latencies:
            ways = {
                "by its velocity": ratios(motions, latency, follow_hand=False),
                "`follow_hand` (default)": ratios(motions, latency, follow_hand=True),
                "best straight line": foreseeable(motions, latency),
            }
            for way, found in ways.items():
                a, a95, d, d95 = found
                lines.append(
                    f"| {name}, {1000 * latency:.0f} ms | {way} | {a:.2f}, {a95:.2f} | "
                    f"{d:.2f}, {d95:.2f} |"
                )
    return "\n".join(lines) + "\n"


def main(
    trials: Annotated[int, tyro.conf.arg(help="In each kind of world.")] = 6, write: bool = True
) -> int:
    """Compares the filter with holding the newest pose, and writes it into docs/perception.md."""
    sets = {"wrist sways": [swayed()]}
    for name, scale in (("turned, nominal", None), ("turned, universe of scale 1", 1.0)):
        found = (turned(trial, scale) for trial in range(1, trials + 1))
        sets[name] = [motion for motion in found if motion is not None]
    text = table(sets, (0.03, 0.06))
    print(text, end="")
    if write:
        write_section(PAGE, "fusion", text)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
