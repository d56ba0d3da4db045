"""Pose source for poses from another estimator: tests and lockstep evaluation."""

from dataclasses import dataclass

from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.estimation.outlier_gate import FusionSettings
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ConfirmedPose, FilterHealth, ObjectPose, Sighting
from inhand.perception.rotations import Array


@dataclass(frozen=True, slots=True)
class PoseReading:
    """One estimated pose.

    Attributes:
        t: when it was true [s].
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        position_sigma: standard deviation of a component [m].
        rotation_sigma: standard deviation of a component [rad].
        covariance: of position and rotation in the world frame, (6, 6) [m, rad], in place of both
            deviations; None if they hold.
    """

    t: float
    position: Array
    quaternion: Array
    position_sigma: float = 0.001
    rotation_sigma: float = 0.01
    covariance: Array | None = None


class PoseFeed:
    """The pose source of a `Controller` that takes `PoseReading` instead of tag corners."""

    def __init__(
        self,
        description: ObjectDescription,
        settings: FusionSettings | None = None,
        hand: Hand | None = None,
    ) -> None:
        self._filter = PoseFilter(description, {}, settings, hand)
        self._sightings: tuple[Sighting, ...] = ()

    def update(self, *readings: PoseReading) -> None:
        """Adds poses, in any order."""
        self._sightings = ()
        for reading in readings:
            self._filter.update_pose(
                reading.t,
                reading.position,
                reading.quaternion,
                reading.position_sigma,
                reading.rotation_sigma,
                reading.covariance,
            )
            self._sightings += self._filter.sightings()

    def note_joints(self, joints: JointState) -> None:
        """Adds joint readings."""
        self._filter.note_joints(joints)

    def predict(self, t: float) -> ObjectPose | None:
        """The pose at an instant [s]; None if none was ever measured."""
        return self._filter.predict(t)

    def sightings(self) -> tuple[Sighting, ...]:
        """Where the poses of the last update were, in their order."""
        return self._sightings

    @property
    def health(self) -> FilterHealth:
        """Counts and problems of the poses."""
        return self._filter.health

    def confirmed(self, since: float) -> tuple[ConfirmedPose, ...]:
        """Estimates at the capture times of accepted poses later than `since` [s]."""
        return self._filter.confirmed(since)

    def reset(self) -> None:
        """Discards the estimate."""
        self._filter.reset()
