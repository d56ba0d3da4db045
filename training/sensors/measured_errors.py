"""Errors of a network's poses, measured in sequences of pictures, and a pose sensor that has them.

Stretches of the sequences are repeated as they were (block bootstrap; Künsch, "The jackknife and
the bootstrap for general stationary observations", 1989). So bias, correlation in time, outliers,
pictures without a pose and declared covariances are those of the pictures, and each goes with the
others. A stretch begins where the object was seen from about the same side.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.errors import InhandError
from inhand.files import write_whole
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.sensors.lockstep_sensors import PoseSensor

STRETCH = 15
"""Pictures that are repeated in a row: about a second."""
NEAREST = 8
"""A stretch begins at one of so many pictures, whose views are the nearest ones."""


class ErrorFileError(InhandError):
    """A file of measured errors cannot be used."""


@dataclass(frozen=True)
class MeasuredErrors:
    """What a network made of pictures in sequence, n of them.

    Attributes:
        sequence: number of the sequence that a picture belongs to, (n,).
        views: true orientations of the object, world from object, wxyz, (n, 4).
        seen: whether there was a pose, (n,).
        errors: of its position [m] and rotation, world frame [rad], (n, 6); 0 without a pose.
        covariances: as declared, (n, 6, 6) [m, rad]; 0 without a pose.
        source: of which network, and by which command.
    """

    sequence: NDArray[np.int_]
    views: Array
    seen: NDArray[np.bool_]
    errors: Array
    covariances: Array
    source: str

    @property
    def text(self) -> str:
        """One line."""
        place = 1e3 * np.linalg.norm(self.errors[self.seen, :3], axis=1)
        turn = np.degrees(np.linalg.norm(self.errors[self.seen, 3:], axis=1))
        if not len(place):
            return f"no pose in {len(self.seen)} instants"
        return (
            f"{len(place)} poses in {len(self.seen)} instants; median {np.median(place):.2f} mm "
            f"{np.median(turn):.2f}°, 95 % {np.quantile(place, 0.95):.2f} mm "
            f"{np.quantile(turn, 0.95):.2f}°, largest {place.max():.0f} mm {turn.max():.0f}°"
        )

    def save(self, path: Path) -> None:
        """Writes them whole or not at all (NPZ).

        Raises:
            WriteError: the file cannot be written.
        """
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            sequence=self.sequence.astype(np.int16),
            views=self.views.astype(np.float32),
            seen=self.seen,
            errors=self.errors.astype(np.float32),
            covariances=self.covariances.astype(np.float32),
            source=np.array(self.source),
        )
        write_whole(path, buffer.getvalue())


def errors_file(network: Path) -> Path:
    """Where the errors of a network are kept."""
    return network.with_suffix(".errors.npz")


def load_errors(path: Path) -> MeasuredErrors:
    """Reads a file of `MeasuredErrors.save`.

    Raises:
        ErrorFileError: it is missing or damaged, or has no pose.
    """
    try:
        with np.load(path) as data:
            views = data["views"].astype(np.float64)
            found = MeasuredErrors(
                data["sequence"].astype(np.int_),
                views / np.linalg.norm(views, axis=1, keepdims=True),
                data["seen"].astype(np.bool_),
                data["errors"].astype(np.float64),
                data["covariances"].astype(np.float64),
                str(data["source"]),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ErrorFileError(
            f"errors {path}: {error}; measure them with inhand vision errors"
        ) from error
    count = len(found.sequence)
    shapes = [(count, 4), (count,), (count, 6), (count, 6, 6)]
    parts = [found.views, found.seen, found.errors, found.covariances]
    whole = all(part.shape == shape for part, shape in zip(parts, shapes, strict=True))
    if not whole or not found.seen.any() or not all(np.isfinite(part).all() for part in parts):
        raise ErrorFileError(
            f"errors {path}: damaged, or without a pose; measure them with inhand vision errors"
        )
    return found


class MeasuredPoses(PoseSensor):
    """Object poses with the errors of a network, in place of those of tags.

    What else the universe has, such as noise, latency and drop-outs, is added to them.

    Args:
        errors: of the network.
        universe: see `PoseSensor`.
        rng: source of randomness.
    """

    def __init__(
        self, errors: MeasuredErrors, universe: Universe, rng: np.random.Generator
    ) -> None:
        super().__init__(universe, rng)
        self._errors = errors
        self._next = self._end = 0

    def _measure(self, t: float, position: Array, quaternion: Array) -> PoseReading | None:
        errors, number = self._errors, self._instant(quaternion)
        if not errors.seen[number]:
            return None
        error = errors.errors[number]
        turned = rotations.multiply(rotations.exp(error[3:]), quaternion)
        noisy = super()._measure(t, position + error[:3], turned)
        assert noisy is not None
        noise = self._universe.position_noise[0], self._universe.rotation_noise[0]
        covariance = errors.covariances[number] + np.diag(np.repeat(np.square(noise), 3))
        return PoseReading(t, noisy.position, noisy.quaternion, covariance=covariance)

    def _instant(self, quaternion: Array) -> int:
        """Number of the picture whose error is repeated now."""
        if self._next >= self._end:
            alike = np.abs(self._errors.views @ quaternion)
            begins = np.argpartition(-alike, min(NEAREST, len(alike)) - 1)[:NEAREST]
            self._next = int(self._rng.choice(begins))
            same = self._errors.sequence == self._errors.sequence[self._next]
            self._end = min(self._next + STRETCH, int(np.flatnonzero(same)[-1]) + 1)
        self._next += 1
        return self._next - 1
