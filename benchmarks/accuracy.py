"""Pose errors and their declared covariance: `python -m benchmarks.accuracy`.

Renders images once, estimates poses with several methods, prints a table, and writes table and
plot into docs/perception.md.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro

from benchmarks import peers
from benchmarks.measure import write_section
from benchmarks.renders import BLOCK, Shot, static_shots, true_rig
from inhand.files import whole_file
from inhand.hardware.model.universe import Universe
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.detection.detection import TagDetector
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.readout import Readout
from inhand.perception.records import TagCorners
from inhand.sim_backend.rig import declared_rig, shifted_rig

DOCS = Path(__file__).parent.parent / "docs"

CALIBRATED = Universe(camera_shift=(1e-4, 4e-4))
"""Errors of a good calibration: 0.1 mm and 0.023 degrees along and about each axis."""

SCALE_1 = Universe(camera_shift=(0.0015, 0.025), camera_focal=0.01)
"""Camera errors of a universe of scale 1: 1.5 mm, 1.4 degrees, 1 % of the focal length."""

BOUND = 12.59
"""95 % quantile of the chi-square distribution with 6 degrees of freedom."""

PUBLISHED = (
    ("Dactyl's vision network, on renders (arXiv:1808.00177)", 3.1, 2.7),
    ("the same, on a real hand", 9.3, 5.0),
    ("DodecaPen: a tagged dodecahedron, real (UIST 2017)", 0.4, None),
)
"""Published mean errors [mm, degrees]."""


@dataclass
class Case:
    """One method to estimate poses from the renders, and its results.

    Attributes:
        name: for the table.
        size: of the images [px].
        cameras: those that are used.
        universe: distribution of the calibration errors, which is also declared to the estimator.
        peer: detector of a peer, which poses its largest tag alone; None for our pipeline.
        errors: distance [m] and angle [rad] of each pose.
        squares: squared normalised error of each pose; empty for a peer without covariance.
        missed: number of renders without a pose.
    """

    name: str
    size: tuple[int, int] = (640, 480)
    cameras: tuple[str, ...] = ("left", "right", "wrist")
    universe: Universe = CALIBRATED
    peer: peers.Finder | None = None
    errors: list[tuple[float, float]] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    missed: int = 0

    def percentiles(self) -> tuple[float, float, float, float]:
        """Median and 95 % of the distance [mm], of the angle [degrees]."""
        distance, angle = np.array(self.errors).T
        d, a = np.percentile(1e3 * distance, [50, 95]), np.percentile(np.degrees(angle), [50, 95])
        return float(d[0]), float(d[1]), float(a[0]), float(a[1])

    @property
    def within(self) -> float:
        """Share of poses whose truth lies within the 95 % bound that they declare."""
        return float(np.mean(np.array(self.squares) < BOUND))


def cases() -> list[Case]:
    """The methods to compare."""
    found = [
        Case("3 cameras, 640×480"),
        Case("1 camera, 640×480", cameras=("wrist",)),
        Case("3 cameras, 320×240", size=(320, 240)),
        Case("3 cameras, 640×480, off by a universe of scale 1", universe=SCALE_1),
        Case("plain ArucoDetector + solvePnP, largest tag", peer=peers.stock_aruco()),
    ]
    april = peers.april_robotics()
    if april is not None:
        found.append(Case("AprilRobotics apriltag + solvePnP, largest tag", peer=april))
    return found


def study(compared: list[Case], count: int) -> list[Case]:
    """Estimates poses from `count` renders with every method; fills and returns the cases."""
    rng = np.random.default_rng(23)
    threads = cv2.getNumThreads()
    # One thread as in a camera process: on a busy machine, several threads that wait for each other
    # take many times as long.
    cv2.setNumThreads(1)
    try:
        for size in sorted({case.size for case in compared}):
            rig = true_rig(*size)
            detectors = {name: TagDetector(camera, BLOCK) for name, camera in rig.items()}
            for k, shot in enumerate(_counted(static_shots(count, *size), count, size)):
                # Times far apart, so that the whole of each frame is searched.
                seen = [
                    detectors[name].detect(image, 10.0 * k) for name, image in shot.images.items()
                ]
                for case in compared:
                    if case.size == size:
                        _judge(case, rig, shot, seen, rng)
    finally:
        cv2.setNumThreads(threads)
    return compared


def _judge(
    case: Case,
    rig: dict[str, Camera],
    shot: Shot,
    seen: list[TagCorners],
    rng: np.random.Generator,
) -> None:
    """Estimates the pose of one render with one method."""
    declared = declared_rig(shifted_rig(rig, case.universe, rng), case.universe)
    if case.peer is not None:
        find = case.peer
        pose = peers.pose_by_largest_tag(
            declared, {name: find(shot.images[name]) for name in case.cameras}
        )
        if pose is None:
            case.missed += 1
        else:
            case.errors.append(peers.error_of(pose, shot.position, shot.quaternion))
        return
    found = estimate_poses(BLOCK, declared, [one for one in seen if one.camera in case.cameras])
    if not found:
        case.missed += 1
        return
    best = found[0]
    turn = rotations.multiply(shot.quaternion, rotations.conjugate(best.quaternion))
    error = np.concatenate([shot.position - best.position, rotations.log(turn)])
    case.errors.append((float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))))
    case.squares.append(float(error @ np.linalg.solve(best.covariance, error)))


def table(compared: list[Case], count: int) -> str:
    """All cases and the published errors as Markdown."""
    lines = [
        f"{count} renders; distance and angle between estimate and truth:\n",
        "| | median | 95 % | truth within the declared 95 % bound | no pose |",
        "|---|---|---|---|---|",
    ]
    for case in compared:
        d, d95, a, a95 = case.percentiles()
        declared = "–"
        if case.squares:
            declared = f"{100 * case.within:.1f} % (mean square {np.mean(case.squares):.2f})"
        lines.append(
            f"| {case.name} | {d:.2f} mm, {a:.2f}° | {d95:.2f} mm, {a95:.2f}° | {declared} | "
            f"{case.missed} |"
        )
    for name, distance, angle in PUBLISHED:
        degrees = "" if angle is None else f", {angle}°"
        lines.append(f"| published: {name} | mean {distance} mm{degrees} | | | |")
    return "\n".join(lines) + "\n"


def plot(compared: list[Case], path: Path) -> None:
    """Plots the cumulative distributions of the errors."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for column, (axis, unit, scale, published) in enumerate(
        zip(axes, ("mm", "degrees"), (1e3, 180 / np.pi), (1, 2), strict=True)
    ):
        for case in compared:
            errors = np.sort(scale * np.array(case.errors)[:, column])
            share = np.arange(1, len(errors) + 1) / (len(errors) + case.missed)
            axis.semilogx(errors, share, label=case.name, linewidth=1.5)
        for name, *figures in PUBLISHED:
            if figures[published - 1] is not None:
                axis.axvline(figures[published - 1], color="grey", linestyle=":", linewidth=1)
                axis.text(
                    figures[published - 1],
                    0.02,
                    name.split(" ")[0].strip(":,'s"),
                    rotation=90,
                    fontsize=7,
                    ha="right",
                    va="bottom",
                )
        axis.set_xlabel(f"error [{unit}]")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of renders")
    axes[1].legend(fontsize=7, loc="lower right")
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=110)
    plt.close(figure)


def main(
    count: Annotated[int, tyro.conf.arg(help="Number of renders.")] = 1000, write: bool = True
) -> int:
    """Measures accuracy over renders, and writes table and plot into docs/perception.md."""
    compared = study(cases(), count)
    text = table(compared, count)
    print(text, end="")
    if write:
        plot(compared, DOCS / "images" / "perception-accuracy.png")
        write_section(DOCS / "perception.md", "accuracy", text)
    return 0


def _counted(shots: Iterator[Shot], count: int, size: tuple[int, int]) -> Iterator[Shot]:
    readout = Readout()
    for k, shot in enumerate(shots, 1):
        readout.show(f"{size[0]}x{size[1]}: {k} of {count}")
        yield shot
    readout.clear()


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
