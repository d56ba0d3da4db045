"""Report of a lens calibration: its quality, its pictures, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inhand.perception.calibration.camera_info import Intrinsics
from inhand.perception.calibration.lens_fit import LensFit, View
from inhand.perception.rotations import Array

MINIMUM_TILT = 0.35
"""Least value of the largest angle between two poses of the plate [rad]: frontal pictures alone do
not separate focal length and distance."""

MAXIMUM_RESIDUAL = 0.5
"""Largest root mean square of the reprojection errors [px]."""

MAXIMUM_FOCAL_DEVIATION = 0.005
"""Largest standard deviation of a focal length, relative to it."""

OUTLYING_RESIDUAL = 2.5
"""Residual of a picture, in medians of all pictures, from which it is an outlier."""

OUTLYING_INFLUENCE = 3.0
"""Influence of a picture, see `LensFit`, from which it is an outlier."""

LEAST_RESIDUAL = 0.15
"""Residual of a picture below which it is none [px]."""


@dataclass(frozen=True)
class IntrinsicsReport:
    """A calibration and its quality.

    Attributes:
        intrinsics: the result.
        residual: root mean square of the reprojection errors [px].
        deviation: standard deviations of fx, fy, cx, cy [px], (4,).
        coverage: share of the image in which corners were seen.
        pictures: what each picture says.
    """

    intrinsics: Intrinsics
    residual: float
    deviation: Array
    coverage: float
    pictures: tuple["PictureReport", ...]

    @property
    def pixels(self) -> Array:
        """All corners [px], (n, 2)."""
        return np.concatenate([picture.pixels for picture in self.pictures])


@dataclass(frozen=True)
class PictureReport:
    """What one picture contributes to a calibration.

    Attributes:
        name: of the picture.
        residual: root mean square of its reprojection errors [px].
        influence: how far it alone pulls the lens, see `LensFit`.
        outlier: whether it contradicts the others.
        pixels: its corners [px], (n, 2).
        errors: measured minus expected [px], (n, 2).
    """

    name: str
    residual: float
    influence: float
    outlier: bool
    pixels: Array
    errors: Array


@dataclass(frozen=True)
class Shortcoming:
    """What the pictures lack: briefly, and in full with a remedy."""

    brief: str
    full: str


def picture_reports(
    solved: LensFit, names: Sequence[str], views: Sequence[View]
) -> tuple[PictureReport, ...]:
    """What each picture contributes, by its name and its view of the plate."""
    residuals = solved.residuals
    typical = max(float(np.median(residuals)), LEAST_RESIDUAL / OUTLYING_RESIDUAL)
    return tuple(
        PictureReport(
            name=name,
            residual=float(residual),
            influence=float(influence),
            outlier=bool(
                residual > OUTLYING_RESIDUAL * typical
                or (influence > OUTLYING_INFLUENCE and residual > LEAST_RESIDUAL)
            ),
            pixels=view[1],
            errors=errors,
        )
        for name, residual, influence, view, errors in zip(
            names, residuals, solved.influence, views, solved.errors, strict=True
        )
    )


def solution_shortcomings(fit: LensFit) -> list[Shortcoming]:
    """What a solution lacks."""
    found = []
    if fit.tilt < MINIMUM_TILT:
        found.append(
            Shortcoming(
                "more tilt",
                f"the plate was tilted by no more than {np.degrees(fit.tilt):.0f} degrees, "
                f"{np.degrees(MINIMUM_TILT):.0f} are needed; tilt it to all sides",
            )
        )
    typical = float(np.median(fit.residuals))
    if typical > MAXIMUM_RESIDUAL:
        found.append(
            Shortcoming(
                f"a residual below {MAXIMUM_RESIDUAL} px",
                f"the residual of the best calibration is {typical:.2f} px, at most "
                f"{MAXIMUM_RESIDUAL} px are allowed; is the plate flat, its size right, nothing "
                "blurred, and the lens not too wide for its model?",
            )
        )
    if max(fit.deviation[:2] / np.diag(fit.lens.matrix)[:2]) > MAXIMUM_FOCAL_DEVIATION:
        found.append(
            Shortcoming(
                "nearer and more tilted views",
                f"the focal length is known to {fit.deviation[:2].max():.1f} px only; take more "
                "pictures, nearer and more tilted",
            )
        )
    return found
