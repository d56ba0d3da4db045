"""Judgement of a network in PyBullet's renderer, in which no network may be trained or chosen."""

import datetime
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.perception.cameras import Camera
from inhand.perception.keypoints.network import VertexNetwork
from inhand.perception.objects import ObjectDescription
from inhand.perception.pictures import write_picture
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.training.evaluation.acceptance import ROOT, commit
from inhand.training.vision.measure import Measured, View, measure
from inhand.training.vision.states import States

LOG = ROOT / "docs" / "vision-log.md"
SHOWN = 6
"""Instants on each sheet of pictures."""


def judge(
    network: VertexNetwork,
    hand: Hand,
    cameras: Mapping[str, Camera],
    target: ObjectDescription,
    states: States,
    count: int,
    seed: int,
) -> Measured:
    """Measures a network in PyBullet's renderer; the arguments are those of `measure`."""
    from inhand.sim_backend.scene import Scene

    with tempfile.TemporaryDirectory(prefix="inhand-judge-") as directory:
        scene = Scene(hand, target, Path(directory), tagged=False)

    def draw(joints: Array, position: Array, quaternion: Array) -> Mapping[str, Image]:
        scene.place(joints, position, quaternion)
        return {name: scene.render(camera) for name, camera in cameras.items()}

    try:
        return measure(network, cameras, target, states, count, seed, draw)
    finally:
        scene.close()


def log_judgement(result: Measured, network: str, seed: int, log: Path = LOG) -> str:
    """Appends a judgement to the log, whatever the result; returns where, or why not."""
    if not log.exists():
        return f"nothing was logged: there is no {log} (an installed program has none)"
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
    with log.open("a") as file:
        file.write(f"| {date} | {commit()} | {network} | {seed} | {result.text} |\n")
    return f"logged in {log}: commit it, whatever the result"


def save_sheets(result: Measured, directory: Path) -> list[Path]:
    """Writes pictures of good, bad and refused views, a row for each instant.

    Raises:
        WriteError: a file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ordered = sorted(result.found, key=lambda view: float(np.linalg.norm(view.error[3:])))
    refused = [view for view in result.views if view.refused]
    kinds = {"good": ordered[:SHOWN], "bad": ordered[::-1][:SHOWN], "refused": refused[:SHOWN]}
    written = []
    for kind, views in kinds.items():
        if views:
            path = directory / f"{kind}.png"
            write_picture(path, np.vstack([_row(view) for view in views])[..., ::-1])
            written.append(path)
    return written


def _row(view: View) -> Image:
    row = np.hstack(view.cuts)
    return np.asarray(cv2.resize(row, None, fx=1.5, fy=1.5), dtype=np.uint8)
