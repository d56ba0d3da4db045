"""True poses of the tags on an object: bundle adjustment of object poses and tags.

A glued tag deviates from the drawing. Faces are assumed exact, so that a tag has three degrees of
freedom: right, up, and a rotation within its face.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tomli_w

from inhand.files import write_whole
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.errors import ObjectError
from inhand.perception.objects import SCHEMA, ObjectDescription, Tag
from inhand.perception.pose.misfit import misfit
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array

MINIMUM_INSTANTS = 20
MINIMUM_VIEWS = 8
"""Least number of views of each tag."""

MAXIMUM_RESIDUAL = 0.6
"""Largest weighted root mean square of the reprojection errors [px]."""

MAXIMUM_DEVIATION = 3e-4
"""Largest standard deviation of a tag's position [m]; it is larger if a tag was not seen together
with others."""

ITERATIONS = 15


@dataclass(frozen=True)
class PlacementReport:
    """An object with the poses of its tags.

    Attributes:
        description: the result.
        residual: weighted root mean square of the reprojection errors [px]; a corner that a finger
            covers has a large error and a small weight.
        shifts: of each tag from its first pose: right [m], up [m], rotation [rad], (tags, 3).
        deviations: their standard deviations, (tags, 3).
        views: the residuals of each picture that was used.
    """

    description: ObjectDescription
    residual: float
    shifts: Array
    deviations: Array
    views: tuple["TagResiduals", ...] = ()


@dataclass(frozen=True)
class TagResiduals:
    """Residuals of one picture.

    Attributes:
        instant: index of the instant among those given.
        camera: name of the camera.
        pixels: corners [px], (n, 2).
        errors: measured minus expected [px], (n, 2).
    """

    instant: int
    camera: str
    pixels: Array
    errors: Array


def calibrate_placement(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    instants: Sequence[Sequence[TagCorners]],
    tell: Callable[[str], None] = lambda text: None,
) -> PlacementReport:
    """Finds the poses of an object's tags.

    Args:
        description: the object with its tags as drawn.
        cameras: the calibrated rig.
        instants: tag corners of all cameras with the object at rest, in many orientations.
        tell: called with the progress.

    Raises:
        ObjectError: the views do not suffice; the message says what is missing.
    """
    ids = [tag.id for tag in description.tags]
    _check_views(ids, instants)
    shifts = np.zeros((len(ids), 3))
    moved = description
    poses, used = _start(description, cameras, instants)
    rms, information = 0.0, np.eye(1)
    for iteration in range(1, ITERATIONS + 1):
        residual, jacobian = _linearize(moved, cameras, used, poses)
        # Cauchy weights: a partly covered corner has a large error.
        length = np.repeat(np.linalg.norm(residual.reshape(-1, 2), axis=1), 2)
        weight = 1 / (1 + (length / max(2.5 * float(np.median(length)), 0.1)) ** 2)
        rms = float(np.sqrt((weight * length**2).sum() / weight.sum()))
        tell(f"adjusting {len(used)} instants: residual {rms:.3f} px at iteration {iteration}")
        weighted = jacobian.T * weight
        information = weighted @ jacobian
        # A little damping: a tag without views makes the matrix singular; it is reported later.
        damped = information + 1e-9 * np.diag(np.diag(information) + 1.0)
        step = np.asarray(np.linalg.solve(damped, weighted @ residual), dtype=np.float64)
        poses = [
            (
                position + part[:3],
                rotations.normalize(rotations.multiply(rotations.exp(part[3:]), turn)),
            )
            for (position, turn), part in zip(
                poses, step[: 6 * len(poses)].reshape(-1, 6), strict=True
            )
        ]
        shifts = shifts + step[6 * len(poses) :].reshape(-1, 3)
        moved = replace(description, tags=_moved(description.tags, shifts))
        if np.abs(step).max() < 1e-7:
            break
    if rms > MAXIMUM_RESIDUAL:
        raise ObjectError(
            f"the residual of the best placement is {rms:.2f} px, at most "
            f"{MAXIMUM_RESIDUAL} px are allowed; did the object move within an instant, or are "
            "the cameras not calibrated?"
        )
    spread = rms**2 / 2 * np.diag(np.linalg.pinv(information))[6 * len(poses) :]
    deviations = np.sqrt(np.maximum(spread, 0.0)).reshape(-1, 3)
    worst = int(np.argmax(deviations[:, :2].max(axis=1)))
    if deviations[worst, :2].max() > MAXIMUM_DEVIATION:
        raise ObjectError(
            f"tag {ids[worst]} is known to {1000 * deviations[worst, :2].max():.1f} mm only; show "
            "it together with its neighbours"
        )
    return PlacementReport(
        moved,
        rms,
        frozen_array(shifts),
        frozen_array(deviations),
        _views_left(moved, cameras, instants, used, poses),
    )


def save_object(path: Path, description: ObjectDescription) -> None:
    """Writes an object file, which `load_object` reads."""
    symmetry = {1: "none", 24: "cube"}.get(len(description.symmetry), "dihedral")
    tags = []
    for tag in description.tags:
        matrix = rotations.to_matrix(tag.quaternion)
        face = max(
            description.faces, key=lambda name: float(description.faces[name] @ matrix[:, 2])
        )
        normal = description.faces[face]
        up = np.array([0.0, 1.0, 0.0]) if abs(normal[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
        right = np.cross(up, normal)
        offset = [float(tag.position @ right), float(tag.position @ up)]
        turn = float(np.arctan2(matrix[:, 0] @ up, matrix[:, 0] @ right))
        tags.append({"id": tag.id, "size": tag.size, "face": face, "offset": offset, "turn": turn})
    data = {
        "name": description.name,
        "schema": SCHEMA,
        "shape": description.shape,
        "sides": description.sides,
        "size": [float(extent) for extent in description.size],
        "mass": description.mass,
        "friction": description.friction,
        "symmetry": symmetry,
        "tags": tags,
    }
    head = "# Written by inhand calibrate object. Units: metres, kilograms, radians.\n"
    write_whole(path, head + tomli_w.dumps(data))


def missing_views(ids: Sequence[int], instants: Sequence[Sequence[TagCorners]]) -> list[str]:
    """What is missing for a placement, in a few words each; empty if nothing is."""
    lacking = []
    if len(instants) < MINIMUM_INSTANTS:
        lacking.append(f"{MINIMUM_INSTANTS - len(instants)} instants")
    for tag in ids:
        views = _views(tag, instants)
        if views < MINIMUM_VIEWS:
            lacking.append(f"{MINIMUM_VIEWS - views} views of tag {tag}")
    return lacking


def _views(tag: int, instants: Sequence[Sequence[TagCorners]]) -> int:
    return sum(tag in frame.ids for frames in instants for frame in frames)


def _check_views(ids: list[int], instants: Sequence[Sequence[TagCorners]]) -> None:
    if len(instants) < MINIMUM_INSTANTS:
        raise ObjectError(
            f"{len(instants)} instants were seen, {MINIMUM_INSTANTS} are needed; turn the object "
            "and hold it still for each"
        )
    for tag in ids:
        views = _views(tag, instants)
        if views < MINIMUM_VIEWS:
            raise ObjectError(
                f"tag {tag} was seen {views} times, {MINIMUM_VIEWS} are needed; turn it towards a "
                "camera"
            )


def _start(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    instants: Sequence[Sequence[TagCorners]],
) -> tuple[list[tuple[Array, Array]], list[Sequence[TagCorners]]]:
    """Poses of the object with the tags as drawn, and the instants that have a pose."""
    poses, used = [], []
    for frames in instants:
        loose = [replace(frame, noise=max(frame.noise, 1.0)) for frame in frames]
        found = estimate_poses(description, cameras, loose)
        if found:
            poses.append((found[0].position, found[0].quaternion))
            used.append(frames)
    if len(used) < MINIMUM_INSTANTS:
        causes = (misfit(description, cameras, frames) for frames in instants)
        cause = next((f"; {text}" for text in causes if text), "")
        raise ObjectError(
            f"{len(used)} of {len(instants)} instants fit the object {description.name!r}, "
            f"{MINIMUM_INSTANTS} are needed; is it the right object, its tags on the faces named?"
            f"{cause}"
        )
    return poses, used


def _views_left(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    instants: Sequence[Sequence[TagCorners]],
    used: Sequence[Sequence[TagCorners]],
    poses: Sequence[tuple[Array, Array]],
) -> tuple[TagResiduals, ...]:
    """The residuals of each picture with the result."""
    place = {id(frames): index for index, frames in enumerate(instants)}
    found = []
    for frames, (position, turn) in zip(used, poses, strict=True):
        for frame in frames:
            known = [tag for tag in description.tags if tag.id in frame.ids]
            if not known:
                continue
            points = np.concatenate([tag.corners for tag in known])
            seen = np.concatenate([frame.corners[frame.ids.index(tag.id)] for tag in known])
            expected = cameras[frame.camera].project(rotations.rotate(turn, points) + position)
            found.append(TagResiduals(place[id(frames)], frame.camera, seen, seen - expected))
    return tuple(found)


def _moved(tags: tuple[Tag, ...], shifts: Array) -> tuple[Tag, ...]:
    """Tags after shifts within their faces: right, up and rotation, along their own axes."""
    result = []
    for tag, (right, up, turn) in zip(tags, shifts, strict=True):
        shift = rotations.rotate(tag.quaternion, np.array([right, up, 0.0]))
        turned = rotations.multiply(tag.quaternion, rotations.exp(np.array([0.0, 0.0, turn])))
        result.append(replace(tag, position=tag.position + shift, quaternion=turned))
    return tuple(result)


def _linearize(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    instants: Sequence[Sequence[TagCorners]],
    poses: Sequence[tuple[Array, Array]],
) -> tuple[Array, Array]:
    """Measured minus expected pixels, (m,), and the derivative by poses and tags, (m, n)."""
    columns = 6 * len(poses) + 3 * len(description.tags)
    residuals, rows = [], []
    for i, (frames, (position, turn)) in enumerate(zip(instants, poses, strict=True)):
        rotation = rotations.to_matrix(turn)
        for frame in frames:
            camera = cameras[frame.camera]
            into = rotations.to_matrix(camera.quaternion).T
            for j, tag in enumerate(description.tags):
                if tag.id not in frame.ids:
                    continue
                arms = tag.corners @ rotation.T
                local = (arms + position - camera.position) @ into.T
                expected, derivative = camera.lens.derivative(local)
                by_point = derivative @ into
                seen = frame.corners[frame.ids.index(tag.id)]
                residuals.append((seen - expected).ravel())
                axes = rotation @ rotations.to_matrix(tag.quaternion)
                block = np.zeros((4, 2, columns))
                block[:, :, 6 * i : 6 * i + 3] = by_point
                for corner, arm in enumerate(arms):
                    spin = np.cross(np.eye(3), arm).T
                    block[corner, :, 6 * i + 3 : 6 * i + 6] = by_point[corner] @ spin
                    at = 6 * len(poses) + 3 * j
                    about = np.cross(axes[:, 2], arm - rotation @ tag.position)
                    moves = np.column_stack([axes[:, 0], axes[:, 1], about])
                    block[corner, :, at : at + 3] = by_point[corner] @ moves
                rows.append(block.reshape(8, columns))
    return np.concatenate(residuals), np.concatenate(rows)
