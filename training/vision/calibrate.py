"""Factors on a network's deviations, one for each camera, by fresh pictures in MuJoCo."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.perception.cameras import Camera
from inhand.perception.keypoints.network import VertexNetwork
from inhand.perception.objects import ObjectDescription
from inhand.training.vision.export import set_temperatures
from inhand.training.vision.measure import Measured, measure
from inhand.training.vision.states import States
from inhand.training.vision.studio import PictureStudio


def calibrate(
    path: Path,
    hand: Hand,
    target: ObjectDescription,
    cameras: Mapping[str, Camera],
    states: States,
    count: int,
    seed: int,
) -> tuple[Measured, dict[str, float]]:
    """Writes the factors into the network's file.

    How the cameras' deviations differ is by the vertices in their own pictures. How large all of
    them are is by the poses of all cameras together, whose errors are what the filter is told.

    Args:
        path: of the network.
        hand: the hand.
        target: the object.
        cameras: the rig.
        states: of trials that no picture of the training shows.
        count: number of instants, each drawn twice.
        seed: of their choice and looks.

    Returns:
        measured: with the deviations of the cameras, before all of them are scaled.
        factors: by the camera's name.

    Raises:
        InhandError: a camera finds nothing, or the file cannot be read or written.
    """

    with tempfile.TemporaryDirectory(prefix="inhand-calibrate-") as directory:
        # An interruption leaves the network as it was.
        copy = Path(directory) / path.name
        copy.write_bytes(path.read_bytes())

        def fresh(factors: Mapping[str, float]) -> Measured:
            set_temperatures(copy, [(cameras[name], one) for name, one in factors.items()])
            rng, network = np.random.default_rng(seed), VertexNetwork(copy, target)
            draw = partial(studio.photographed, cameras=cameras, rng=rng)
            return measure(network, cameras, target, states, count, seed, draw)

        with PictureStudio(hand, target) as studio:
            alone = fresh(dict.fromkeys(cameras, 1.0))
            factors = {name: alone.camera_factor(name) for name in cameras}
            together = fresh(factors)
    factors = {name: factor * together.temperature for name, factor in factors.items()}
    set_temperatures(path, [(cameras[name], factor) for name, factor in factors.items()])
    return together, factors
