"""`inhand calibrate`: cameras and objects, from pictures. Insufficient pictures are refused."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from inhand.files import back_up
from inhand.perception import rotations
from inhand.perception.calibration.camera_info import load_intrinsics
from inhand.perception.calibration.capture import capture_place
from inhand.perception.calibration.capture_object import capture_object
from inhand.perception.calibration.extrinsics import calibrate_extrinsics
from inhand.perception.calibration.lens_command import CameraLens, Folder
from inhand.perception.calibration.plate import Plate
from inhand.perception.calibration.residual_picture import residual_picture
from inhand.perception.calibration.tag_placement import (
    PlacementReport,
    calibrate_placement,
    missing_views,
    save_object,
)
from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.cameras import Camera, CameraError, load_rig, save_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.errors import ObjectError
from inhand.perception.objects import load_object
from inhand.perception.pictures import pictures, write_picture
from inhand.perception.readout import Readout
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.tags import Image

UNKNOWN_PLACE, UNKNOWN_TURN = 1.0, 1.0
"""Standard deviations of the pose of a camera of which nothing is known [m, rad]."""


@dataclass(frozen=True)
class Places:
    """Find the cameras' poses, from pictures of the plate at a known place on the base.

    Example: inhand calibrate extrinsics pictures --cameras left right --out rig.toml
    --position 0.1 0.2 0 --quaternion 0 1 0 0

    Attributes:
        folder: Holds NAME.yaml and a folder NAME of pictures for each camera.
        cameras: Their names.
        sources: Cameras to take the pictures with, in the order of their names, like /dev/video0.
        out: Rig file to write; cameras in it that are not named stay unchanged.
        position: Of the plate's top left corner, world frame [m].
        quaternion: World from plate, wxyz; the plate's x runs right, its y down the print.
        device: Settings of the cameras.
        plate: What the pictures show.
    """

    folder: Folder
    cameras: tuple[str, ...]
    out: Path
    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    sources: tuple[str, ...] = ()
    device: DeviceSettings = DeviceSettings()
    plate: Plate = field(default_factory=Plate)

    def run(self) -> None:
        turn = np.array(self.quaternion)
        if not abs(np.linalg.norm(turn) - 1) < 1e-3:
            raise CameraError(f"--quaternion {self.quaternion} is not of unit length")
        rig: dict[str, Camera] = load_rig(self.out) if self.out.exists() else {}
        addresses = _paired(self.cameras, self.sources)
        readout = Readout()
        for name in self.cameras:
            intrinsics = load_intrinsics(self.folder / f"{name}.yaml", name)
            if name in addresses:
                size = (intrinsics.width, intrinsics.height)
                with closing(open_source(addresses[name], size, self.device)) as source:
                    capture_place(source, self.plate, name, self.folder / name, readout)
            paths, images = zip(*pictures(self.folder / name), strict=True)
            place = np.array(self.position)
            report = calibrate_extrinsics(
                name, intrinsics, self.plate, place, rotations.normalize(turn), images, readout.show
            )
            readout.end()
            # The camera's latency does not depend on its pose.
            late = rig[name].latency if name in rig else 0.0
            rig[name] = replace(report.camera, latency=late)
            ends = np.cumsum(report.counts)[:-1]
            write_picture(
                self.folder / f"{name}-place.png",
                residual_picture(
                    images[-1],
                    f"{name}: {report.residual:.3f} px",
                    [path.name for path in paths],
                    np.split(report.pixels, ends),
                    np.split(report.errors, ends),
                ),
            )
            print(
                f"{name}: residual {report.residual:.3f} px, place known to "
                f"{1000 * report.camera.position_sigma:.2f} mm and "
                f"{np.degrees(report.camera.rotation_sigma):.3f} degrees"
            )
        back_up(self.out)
        save_rig(self.out, rig)
        print(f"wrote {self.out}")


@dataclass(frozen=True)
class Rig:
    """Make a rig file of cameras whose places are not known yet, for `inhand calibrate hand-eye`.

    Example: inhand calibrate rig calibration --cameras left right --out rig.toml

    Attributes:
        folder: Holds NAME.yaml for each camera.
        cameras: Their names.
        out: Rig file to write; cameras in it that are not named stay unchanged.
    """

    folder: Folder
    cameras: tuple[str, ...]
    out: Path

    def run(self) -> None:
        rig: dict[str, Camera] = load_rig(self.out) if self.out.exists() else {}
        for name in self.cameras:
            if name in rig:
                raise CameraError(
                    f"rig file {self.out} has a camera {name!r} already; its place would be lost"
                )
            lens = load_intrinsics(self.folder / f"{name}.yaml", name)
            rig[name] = Camera(
                name=name,
                width=lens.width,
                height=lens.height,
                matrix=lens.matrix,
                distortion=lens.distortion,
                position=frozen_array(np.zeros(3)),
                quaternion=frozen_array([1.0, 0.0, 0.0, 0.0]),
                position_sigma=UNKNOWN_PLACE,
                rotation_sigma=UNKNOWN_TURN,
                model=lens.model,
            )
        back_up(self.out)
        save_rig(self.out, rig)
        print(f"wrote {self.out}; its cameras have no place yet")


@dataclass(frozen=True)
class Tags:
    """Find the poses of an object's tags, from pictures of it in 20 or more orientations, at rest.

    Example: inhand calibrate object pictures --rig rig.toml --object block --out my-block.toml

    Attributes:
        folder: Holds a folder NAME of pictures for each camera of the rig; those of one instant
            have the same file name.
        rig: The calibrated cameras.
        object: Name or file of the object, as drawn.
        out: Object file to write; a picture of the residuals of each camera goes beside it.
        sources: Cameras to take the pictures with until they suffice, in the order of the rig file,
            like /dev/video0.
        device: Settings of the cameras.
    """

    folder: Folder
    rig: Path
    object: str
    out: Path
    sources: tuple[str, ...] = ()
    device: DeviceSettings = DeviceSettings()

    def run(self) -> None:
        rig, description = load_rig(self.rig), load_object(self.object)
        ids = tuple(tag.id for tag in description.tags)
        instants: dict[str, list[TagCorners]] = {}
        problems: list[str] = []
        last: dict[str, Image] = {}
        readout = Readout()
        if addresses := _paired(tuple(rig), self.sources):
            with ExitStack() as stack:
                sources = {
                    name: stack.enter_context(
                        closing(
                            open_source(addresses[name], (camera.width, camera.height), self.device)
                        )
                    )
                    for name, camera in rig.items()
                }
                capture_object(sources, description, rig, self.folder, readout)
        for name, camera in rig.items():
            for path, image in pictures(self.folder / name):
                # A new detector for each picture: one detector expects a sequence of frames.
                detector = TagDetector(camera, description)
                seen = detector.detect(image, 0.0)
                problems.extend([detector.problem] if detector.problem else [])
                instants.setdefault(path.stem, []).append(seen)
                last[name] = image
                lacking = missing_views(ids, list(instants.values())) or ["nothing"]
                readout.show(
                    f"{name}/{path.name}: {len(instants)} instants; missing: {', '.join(lacking)}"
                )
        try:
            report = calibrate_placement(description, rig, list(instants.values()), readout.show)
        except ObjectError as error:
            raise ObjectError(f"{error}{_most_common(problems)}") from error
        readout.end()
        back_up(self.out)
        save_object(self.out, report.description)
        _draw_object(self.out, report, list(instants), last)
        print(f"residual {report.residual:.3f} px over {len(instants)} instants")
        for tag, shift, sure in zip(ids, report.shifts, report.deviations, strict=True):
            right, up = 1000 * shift[:2]
            print(
                f"tag {tag}: {right:+.2f} mm right, {up:+.2f} mm up "
                f"(± {1000 * sure[:2].max():.2f}), turned {np.degrees(shift[2]):+.2f} degrees "
                f"(± {np.degrees(sure[2]):.2f})"
            )
        print(f"wrote {self.out}")


COMMANDS: dict[str, Callable[..., Any]] = {
    "camera": CameraLens,
    "extrinsics": Places,
    "rig": Rig,
    "object": Tags,
}


def _paired(names: tuple[str, ...], addresses: tuple[str, ...]) -> dict[str, str]:
    """Addresses by camera name; empty without addresses.

    Raises:
        CameraError: the numbers of addresses and cameras differ.
    """
    if addresses and len(addresses) != len(names):
        raise CameraError(
            f"--sources has {len(addresses)} addresses for {len(names)} cameras; give one for each "
            f"of {', '.join(names)}, in this order"
        )
    return dict(zip(names, addresses, strict=False))


def _most_common(problems: list[str]) -> str:
    """The problem that most pictures have, as the end of a message; empty without problems."""
    counted = Counter(problems).most_common(1)
    return "".join(f". In {n} pictures, {problem}" for problem, n in counted)


def _draw_object(
    out: Path, report: PlacementReport, instants: list[str], images: dict[str, Image]
) -> None:
    """Writes a picture of the residuals for each camera."""
    for name, image in images.items():
        mine = [one for one in report.views if one.camera == name]
        write_picture(
            out.with_name(f"{out.stem}-{name}-residuals.png"),
            residual_picture(
                image,
                f"{name}: {report.description.name}",
                [instants[one.instant] for one in mine],
                [one.pixels for one in mine],
                [one.errors for one in mine],
            ),
        )
