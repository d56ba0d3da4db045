"""Eyes check: compares what a network shows with what tags show, and names the likely cause.

It corrects nothing: where tags are seen, they lead. A difference counts if it is beyond what both
covariances allow, and is told if it lasts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from inhand.controller.estimation.frame_poses import candidates_of
from inhand.controller.estimation.outlier_gate import FusionSettings
from inhand.controller.estimation.pose_state import PoseCandidate, PoseMeasurement
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import ObjectPose, TagCorners, frozen_array
from inhand.perception.rotations import Array

NO_CORNERS = frozen_array(np.empty((0, 4, 2)))

PERIOD = 0.2
"""Least time between two comparisons [s]."""
BEYOND = 22.46
"""Squared Mahalanobis distance from which poses differ: 99.9 % of six normal numbers are nearer."""
MEMORY, MANY, FEW = 20, 14, 6
"""A difference is told if `MANY` of the last `MEMORY` comparisons show it, and over with `FEW`."""
BETWEEN = 0.5
"""So long after tags were seen, the network is compared with the filter [s]; later, the filter has
its poses from the network alone."""
ALIKE = 0.35
"""Up to this angle a difference is one of the turns that map the shape onto itself [rad]."""
STEADY = 0.5
"""Up to this share of its mean, the scatter of a difference is small: it is always the same."""


class PoseLike(Protocol):
    """A pose with its covariance."""

    @property
    def position(self) -> Array: ...

    @property
    def quaternion(self) -> Array: ...

    @property
    def covariance(self) -> Array: ...


@dataclass(frozen=True)
class Apart:
    """Difference of two poses.

    Attributes:
        error: in position and world rotation, (6,) [m, rad].
        square: its squared Mahalanobis distance with the covariances of both.
    """

    error: Array
    square: float

    @property
    def shift(self) -> float:
        """Distance [m]."""
        return float(np.linalg.norm(self.error[:3]))

    @property
    def turn(self) -> float:
        """Angle [rad]."""
        return float(np.linalg.norm(self.error[3:]))


def apart(found: PoseLike, reference: PoseLike) -> Apart:
    """The difference of a pose from another one."""
    back = rotations.conjugate(reference.quaternion)
    turn = rotations.log(rotations.multiply(found.quaternion, back))
    error = np.concatenate([found.position - reference.position, turn])
    spread = found.covariance + reference.covariance
    return Apart(error, float(error @ np.linalg.solve(spread, error)))


class EyesCheck:
    """Compares the network's poses with those of the tags, or of the filter between tags.

    Args:
        description: the object.

    Attributes:
        problem: how the eyes differ, and the likely cause; empty if they do not.
    """

    def __init__(self, description: ObjectDescription) -> None:
        self.problem = ""
        self._description = description
        self._last = -np.inf
        self._tagged = -np.inf
        # Of each comparison: difference in position [m] and rotation [rad] in the object's
        # frame, direction of the cameras' sight in it, and whether it is beyond both covariances.
        self._apart: list[Array] = []
        self._sight: list[Array] = []
        self._beyond: list[bool] = []

    def due(self, t: float) -> bool:
        """Whether a comparison at `t` [s] is wanted."""
        return t - self._last >= PERIOD

    def look(
        self,
        rig: Mapping[str, Camera],
        frames: Sequence[TagCorners],
        measured: PoseMeasurement,
        before: ObjectPose | None,
        settings: FusionSettings,
    ) -> bool:
        """Compares the eyes at one instant, if both have seen the object.

        Args:
            rig: the cameras.
            frames: of this instant.
            measured: what was made of them: by the tags, if there are any.
            before: the filter's pose just before it.
            settings: of the filter.

        Returns:
            Whether the problem has changed.
        """
        t, tagged = measured.t, any(frame.ids for frame in frames)
        self._last = t
        self._tagged = t if tagged else self._tagged
        alone = [
            replace(frame, ids=(), corners=NO_CORNERS)
            for frame in frames
            if frame.vertices is not None and frame.camera in rig
        ]
        if not alone or t - self._tagged > BETWEEN or not (tagged or before):
            return False
        if tagged:
            candidates = measured.candidates
            if before is not None:
                turned = before.quaternion
                reference = min(
                    candidates,
                    key=lambda one: float(rotations.angle_between(one.quaternion, turned)),
                )
            else:
                reference = candidates[0]
        else:
            assert before is not None
            covariance = before.covariance[:6, :6]
            reference = PoseCandidate(before.position, before.quaternion, covariance)
        found = candidates_of(estimate_poses(self._description, rig, alone), settings)
        if not found:
            return False
        lenses = np.mean([rig[frame.camera].position for frame in alone], axis=0)
        return self._note(found[0], reference, lenses)

    def _note(self, found: PoseCandidate, reference: PoseCandidate, lenses: Array) -> bool:
        """Compares two poses; `lenses` is the mean place of the network's cameras [m], (3,)."""
        away = apart(found, reference)
        back = rotations.conjugate(reference.quaternion)
        beyond = away.square > BEYOND
        sight = reference.position - lenses
        self._apart.append(rotations.rotate(back, away.error.reshape(2, 3)).ravel())
        self._sight.append(rotations.rotate(back, sight / np.linalg.norm(sight)))
        self._beyond.append(beyond)
        for kept in (self._apart, self._sight, self._beyond):
            del kept[:-MEMORY]
        return self._tell()

    def _tell(self) -> bool:
        before, count = self.problem, sum(self._beyond)
        if count >= MANY and not before:
            self.problem = self._difference()
        elif count <= FEW:
            self.problem = ""
        return self.problem != before

    def _difference(self) -> str:
        apart = np.array(self._apart)[self._beyond]
        place = 1e3 * float(np.median(np.linalg.norm(apart[:, :3], axis=1)))
        turn = float(np.degrees(np.median(np.linalg.norm(apart[:, 3:], axis=1))))
        return (
            f"the network shows the object {place:.1f} mm and {turn:.1f}° from where the tags show "
            f"it, in {len(apart)} of {len(self._beyond)} comparisons: {self._cause(apart)}"
        )

    def _cause(self, apart: Array) -> str:
        """The likely cause of these differences, in the object's frame, (n, 6)."""
        turns = rotations.exp(apart[:, 3:])
        for symmetry in self._description.symmetry[1:]:
            away = [float(rotations.angle_between(one, symmetry)) for one in turns]
            if np.median(away) < ALIKE:
                angle = np.degrees(np.linalg.norm(rotations.log(symmetry)))
                return (
                    f"the shape looks the same after such a turn, by {angle:.0f}°; tags or colours "
                    "are on other faces than the object file says"
                )
        shifts, sight = apart[:, :3], np.array(self._sight)[self._beyond]
        along = (shifts * sight).sum(axis=1)
        across = shifts - along[:, None] * sight
        if abs(np.mean(along)) > 2 * float(np.linalg.norm(across, axis=1).mean()):
            side = "nearer" if np.mean(along) < 0 else "farther"
            return (
                f"the network sees it {side}, so the tags have another size than the object file "
                "says; measure a tag's black border"
            )
        scale = np.repeat([1.0, float(np.abs(self._description.half_extents).max())], 3)
        scaled = apart * scale
        mean = scaled.mean(axis=0)
        scatter = float(np.linalg.norm(scaled - mean, axis=1).mean())
        if scatter < STEADY * float(np.linalg.norm(mean)):
            return (
                "it is the same as seen from the object; a tag is glued elsewhere than the object "
                "file says, or the object is not the one of the file"
            )
        return (
            "it changes with the view; light, colours or something in front mislead the network, "
            "or the cameras contradict each other"
        )
