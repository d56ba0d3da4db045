"""The pose filter's covariance and the delay to a drop: `python -m benchmarks.estimate`.

Real tag corners, by number of cameras: 15 frames a second of each, each camera with its own
trigger, 40 ms from capture to arrival. Writes the results into docs/perception.md.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from benchmarks.measure import write_section
from inhand.controller.estimation.fusion import PoseFilter
from inhand.hardware.records import JointState, frozen_array
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import default_rig
from tests.controller.falls import BLOCK, HAND, fall
from tests.controller.sighted import LATENCY, frames

PAGE = Path(__file__).parent.parent / "docs" / "perception.md"
MOTION = np.load(Path(__file__).parent.parent / "tests" / "controller" / "held_motion.npy").astype(
    np.float64
)
"""Position [m], quaternion, wxyz, and servo angles [rad] of a block that the shipped policy turns
in MuJoCo, every 10 ms for 7 s, (700, 27)."""

TICK = 0.01
BOUND = 12.59
"""Chi-square with 6 degrees of freedom is below it in 95 % of cases."""
SKIPPED = 50
"""Ticks at the start that are not counted."""

CALIBRATION = {
    "0.1 mm, 0.023°": (1e-4, 4e-4, 0.0),
    "universe of scale 1 (1.5 mm, 1.4°, 1 %)": (0.0015, 0.0245, 0.01),
}
"""Standard deviations of the calibration: place [m], direction [rad], relative focal length."""


def off(rig: Mapping[str, Camera], rng: np.random.Generator) -> dict[str, Camera]:
    """The rig as it really is: off by what it declares."""
    real = {}
    for name, camera in rig.items():
        error = rng.standard_normal(7)
        matrix = np.array(camera.matrix)
        matrix[[0, 1], [0, 1]] *= 1.0 + camera.focal_sigma * error[6]
        turn = rotations.exp(camera.rotation_sigma * error[3:6])
        real[name] = replace(
            camera,
            matrix=frozen_array(matrix),
            position=frozen_array(camera.position + camera.position_sigma * error[:3]),
            quaternion=frozen_array(rotations.multiply(turn, camera.quaternion)),
        )
    return real


def distances(cameras: int, sigmas: tuple[float, float, float], rng: np.random.Generator) -> Array:
    """Normalized squared error at every tick of a motion, (n,), with another calibration."""
    place, turn, focal = sigmas
    rig = {
        name: replace(camera, position_sigma=place, rotation_sigma=turn, focal_sigma=focal)
        for name, camera in list(default_rig().items())[:cameras]
    }

    def truth(t: float) -> tuple[Array, Array]:
        row = MOTION[min(round(t / TICK), len(MOTION) - 1)]
        return row[:3], rotations.normalize(row[3:7])

    pose_filter = PoseFilter(BLOCK, rig, hand=HAND)
    seen = frames(BLOCK, off(rig, rng), truth, rng, len(MOTION) * TICK)
    waiting = list(seen)
    zero = frozen_array(np.zeros(HAND.n_actuators))
    found = []
    for tick, row in enumerate(MOTION):
        t = tick * TICK
        pose_filter.note_joints(JointState(t, frozen_array(row[7:]), zero, zero))
        arrived = [one for one in waiting if one.t + LATENCY <= t]
        waiting = waiting[len(arrived) :]
        if arrived:
            pose_filter.update(*arrived)
        pose = pose_filter.predict(t)
        if pose is None or tick < SKIPPED:
            continue
        position, quaternion = truth(t)
        turned = rotations.multiply(quaternion, rotations.conjugate(pose.quaternion))
        error = np.concatenate([position - pose.position, rotations.log(turned)])
        found.append(error @ np.linalg.solve(pose.covariance[:6, :6], error))
    return np.array(found)


def covariance_table(trials: int) -> str:
    """Mean normalized squared error and share within the 95 % bound, as Markdown."""
    lines = [
        "| cameras | calibration | mean normalized squared error | within the 95 % bound |",
        "|---|---|---|---|",
    ]
    for name, sigmas in CALIBRATION.items():
        for cameras in (1, 2, 3):
            rng = np.random.default_rng(61)
            found = np.concatenate([distances(cameras, sigmas, rng) for _ in range(trials)])
            share = 100 * np.mean(found < BOUND)
            lines.append(f"| {cameras} | {name} | {found.mean():.1f} | {share:.1f} % |")
    return "\n".join(lines) + "\n"


def falls_table(trials: int) -> str:
    """Delay from leaving the workspace to the event, as Markdown."""
    kinds: dict[str, dict[str, float]] = {
        "straight down": {},
        "aside at 0.5 m/s": {"aside": 0.5},
        "hidden below the palm (0 m)": {"hidden_below": 0.0},
    }
    lines = [
        "| cameras | fall | noticed | median, longest delay | in the hand 2.5 s later |",
        "|---|---|---|---|---|",
    ]
    for cameras in (1, 2, 3):
        rig = dict(list(default_rig().items())[:cameras])
        for kind, terms in kinds.items():
            rng = np.random.default_rng(62)
            falls = [fall(rig, rng, **terms) for _ in range(trials)]
            delays = [one.dropped for one in falls if one.dropped is not None]
            shown = f"{np.median(delays):.2f} s, {max(delays):.2f} s" if delays else "–"
            believed = sum(one.in_hand for one in falls)
            lines.append(
                f"| {cameras} | {kind} | {len(delays)} of {trials} | {shown} | {believed} |"
            )
    return "\n".join(lines) + "\n"


def main(
    trials: Annotated[int, tyro.conf.arg(help="Of each kind.")] = 20, write: bool = True
) -> int:
    """Measures covariance and falls, and writes them into docs/perception.md."""
    for name, text in (
        ("covariance", covariance_table(max(trials // 4, 1))),
        ("falls", falls_table(trials)),
    ):
        print(text)
        if write:
            write_section(PAGE, name, text)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
