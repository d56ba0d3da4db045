"""How well a network sees in PyBullet's renderer, in which no network may be trained or chosen."""

import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.perception import rotations
from inhand.perception.keypoints.network import VertexNetwork
from inhand.perception.keypoints.pose import Sight, pose_of
from inhand.perception.keypoints.window import Window, window_around
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import rig_around
from inhand.training.evaluation.acceptance import ROOT, commit
from inhand.training.vision.states import States

LOG = ROOT / "docs" / "vision-log.md"
PRESENT = 0.5
"""Least probability that the object is in the window."""
FROM = np.array([0.005, 0.2])
"""Deviations of the prediction from which each view begins [m, rad]."""
CHI_95 = 12.592
"""Squared Mahalanobis distance within which 95 % of six normal numbers are."""


@dataclass(frozen=True)
class Judgement:
    """Errors over n instants, all cameras fused.

    Attributes:
        position: [m], of the poses found, (m,).
        rotation: [rad], (m,).
        inside: whether the error lies in the ellipsoid of 95 % of its covariance, (m,).
        refused: instants in which no pose was found.
        crop_time: median time of the network for one window [s].
    """

    position: Array
    rotation: Array
    inside: Array
    refused: int
    crop_time: float

    @property
    def text(self) -> str:
        """One line."""
        if not len(self.position):
            return f"no pose in {self.refused} instants"
        place, turn = 1e3 * self.position, np.degrees(self.rotation)
        return (
            f"{len(place)} poses, {self.refused} refused; median {np.median(place):.2f} mm "
            f"{np.median(turn):.2f}°, 95 % {np.quantile(place, 0.95):.2f} mm "
            f"{np.quantile(turn, 0.95):.2f}°; {100 * self.inside.mean():.0f} % within the "
            f"covariance's 95 %; {1e3 * self.crop_time:.2f} ms a window"
        )


def judge(
    network: VertexNetwork,
    hand: Hand,
    target: ObjectDescription,
    states: States,
    count: int,
    seed: int,
) -> Judgement:
    """Judges a network on random states, from predictions that are some millimetres off.

    Args:
        network: of the object.
        hand: the hand.
        target: the object.
        states: of trials that no picture of the training shows.
        count: number of instants.
        seed: of the choice.
    """
    from inhand.sim_backend.scene import Scene

    rng, rig = np.random.default_rng(seed), list(rig_around(hand).values())
    rows: list[tuple[float, float, float]] = []
    times, refused = list[float](), 0
    with tempfile.TemporaryDirectory(prefix="inhand-judge-") as directory:
        scene = Scene(hand, target, Path(directory), tagged=False)
    try:
        for _ in range(count):
            i = rng.integers(len(states.positions))
            true, quaternion = states.positions[i], states.quaternions[i]
            scene.place(states.joints[i], true, quaternion)
            position = true + rng.normal(0.0, FROM[0], 3)
            off = rotations.exp(rng.normal(0.0, FROM[1] / 3**0.5, 3))
            turn = rotations.to_matrix(rotations.multiply(off, quaternion))
            sights = []
            for camera in rig:
                window = window_around(camera, target, position)
                cut = window.cut(scene.render(camera))
                begin = perf_counter()
                seen = network.look([cut])[0]
                times.append(perf_counter() - begin)
                if seen.presence >= PRESENT:
                    sights.append(_sight(camera, window, seen.points, seen.deviations))
            found = pose_of(target, sights, (position, turn)) if sights else None
            if found is None:
                refused += 1
                continue
            away = rotations.multiply(found.quaternion, rotations.conjugate(quaternion))
            error = np.concatenate([found.position - true, rotations.log(away)])
            square = float(error @ np.linalg.solve(found.covariance, error))
            place, angle = np.linalg.norm(error[:3]), np.linalg.norm(error[3:])
            rows.append((float(place), float(angle), float(square < CHI_95)))
    finally:
        scene.close()
    table = np.array(rows).reshape(-1, 3)
    return Judgement(table[:, 0], table[:, 1], table[:, 2], refused, float(np.median(times)))


def _sight(camera: object, window: Window, points: Array, deviations: Array) -> Sight:
    from inhand.perception.cameras import Camera

    assert isinstance(camera, Camera)
    return Sight(camera, window.to_picture(points), deviations * window.side / 2)


def log_judgement(result: Judgement, network: str, seed: int, log: Path = LOG) -> str:
    """Appends a judgement to the log, whatever the result; returns where, or why not."""
    if not log.exists():
        return f"nothing was logged: there is no {log} (an installed program has none)"
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
    with log.open("a") as file:
        file.write(f"| {date} | {commit()} | {network} | {seed} | {result.text} |\n")
    return f"logged in {log}: commit it, whatever the result"
