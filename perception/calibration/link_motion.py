"""Model of an object that is fixed to a moving link, in the image of a camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.refine_pose import matrix
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array

POSITION_PRIOR, ROTATION_PRIOR = 0.003, 0.015
"""Least prior standard deviations of a camera's pose [m, rad]; the hand's errors are included."""


@dataclass(frozen=True)
class LinkMotion:
    """Poses of a link by the encoders.

    Attributes:
        t: times of the readings, increasing [s], (n,).
        position: of the link, world frame [m], (n, 3).
        quaternion: world from link, wxyz, (n, 4).
    """

    t: Array
    position: Array
    quaternion: Array

    def at(self, t: Array) -> tuple[Array, Array]:
        """Positions [m], (m, 3), and quaternions (wxyz), (m, 4), at times within the readings."""
        after = np.clip(np.searchsorted(self.t, t), 1, len(self.t) - 1)
        share = ((t - self.t[after - 1]) / (self.t[after] - self.t[after - 1]))[:, None]
        one, other = self.quaternion[after - 1], self.quaternion[after]
        # The shorter way round: q and -q are one orientation.
        other = np.where((one * other).sum(axis=1, keepdims=True) < 0, -other, other)
        place = (1 - share) * self.position[after - 1] + share * self.position[after]
        return place, rotations.normalize((1 - share) * one + share * other)


@dataclass(frozen=True)
class LinkView:
    """All corners of a camera, row by row: m corners in f frames.

    The unknowns, (13,), are the delay [s], the object's position [m] and rotation vector [rad] on
    the link, and the error of the camera's pose: rotation [rad] and position [m] in its own frame.
    """

    camera: Camera
    motion: LinkMotion
    t: Array
    frame: NDArray[np.intp]
    points: Array
    pixels: Array

    @classmethod
    def of(
        cls,
        camera: Camera,
        description: ObjectDescription,
        motion: LinkMotion,
        frames: Sequence[TagCorners],
    ) -> "LinkView":
        counts = [4 * len(frame.ids) for frame in frames]
        return cls(
            camera=camera,
            motion=motion,
            t=np.array([frame.t for frame in frames]),
            frame=np.repeat(np.arange(len(frames)), counts),
            points=np.concatenate([description.tag(i).corners for f in frames for i in f.ids]),
            pixels=np.concatenate([frame.corners.reshape(-1, 2) for frame in frames]),
        )

    @property
    def prior(self) -> Array:
        """Prior standard deviations of the error of the camera's pose, (6,)."""
        turn = max(self.camera.rotation_sigma, ROTATION_PRIOR)
        return np.repeat([turn, max(self.camera.position_sigma, POSITION_PRIOR)], 3)

    def expected(self, values: Array, delay: float | None = 0.0) -> Array:
        """Expected pixels, (m, 2).

        Args:
            values: the unknowns, (13,).
            delay: additional delay [s]; None for a link at rest.
        """
        if delay is None:
            place, turn = (x[[0]] for x in self.motion.at(np.array([np.median(self.t)])))
            link = rotations.to_matrix(turn)[np.zeros_like(self.frame)]
            origin = place[np.zeros_like(self.frame)]
        else:
            place, turn = self.motion.at(self.t - values[0] - delay)
            link, origin = rotations.to_matrix(turn)[self.frame], place[self.frame]
        on_link = self.points @ matrix(values[4:7]).T + values[1:4]
        world = (link @ on_link[:, :, None])[..., 0] + origin
        into = rotations.to_matrix(self.camera.quaternion)
        local = (world - self.camera.position) @ into @ matrix(values[7:10]).T + values[10:13]
        # A point behind the lens is projected far outside, where its weight is small.
        local[:, 2] = np.maximum(local[:, 2], 1e-3)
        return self.camera.lens.project(local)

    def derivative(self, values: Array) -> Array:
        """Derivative of `expected` by the unknowns, (m, 2, 13), by central differences."""
        columns = []
        for k in range(len(values)):
            # Readings are 10 ms apart and interpolated linearly: the delay needs a larger step.
            step = np.zeros(len(values))
            step[k] = 0.004 if k == 0 else 1e-5
            change = self.expected(values + step) - self.expected(values - step)
            columns.append(change / (2 * step[k]))
        return np.stack(columns, axis=-1)

    def speed(self, values: Array) -> float:
        """Root mean square of the corners' speed [px/s]."""
        change = self.expected(values, 0.01) - self.expected(values, -0.01)
        return float(np.sqrt(np.square(change / 0.02).sum(axis=1).mean()))

    def mean(self, values: Array) -> Array:
        """Mean over the corners of each frame, (f, 2), of values per corner, (m, 2)."""
        sums = np.zeros((len(self.t), 2))
        np.add.at(sums, self.frame, values)
        return sums / np.bincount(self.frame)[:, None]
