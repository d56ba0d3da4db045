"""`inhand calibrate`: cameras and objects, from pictures. Insufficient pictures are refused."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro

from inhand.perception import rotations
from inhand.perception.calibration.camera_info import load_intrinsics, save_intrinsics
from inhand.perception.calibration.capture import capture, capture_place
from inhand.perception.calibration.capture_object import capture_object
from inhand.perception.calibration.extrinsics import calibrate_extrinsics
from inhand.perception.calibration.intrinsics import LensViews
from inhand.perception.calibration.plate import Plate
from inhand.perception.calibration.tag_placement import (
    calibrate_placement,
    missing_views,
    save_object,
)
from inhand.perception.camera.open_source import open_source
from inhand.perception.cameras import Camera, CameraError, load_rig, save_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.errors import ObjectError
from inhand.perception.objects import load_object
from inhand.perception.pictures import write_picture
from inhand.perception.readout import Readout
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]


@dataclass(frozen=True)
class Printed:
    """Print the plate: 100 % scale, glued onto something flat, squares measured afterwards.

    Attributes:
        out: PNG to write, 300 dots an inch.
        plate: What to print.
    """

    out: Path
    plate: Plate = field(default_factory=Plate)

    def run(self) -> None:
        pixels = round(self.plate.square / 0.0254 * 300)
        margin = pixels // 2
        image = cv2.copyMakeBorder(
            self.plate.image(pixels), *(margin,) * 4, cv2.BORDER_CONSTANT, value=(255.0,)
        )
        write_picture(self.out, np.asarray(image, dtype=np.uint8))


@dataclass(frozen=True)
class CameraLens:
    """Find a camera's intrinsics from 15 or more pictures of the plate.

    Show it near, far, tilted and at the image's borders.

    Example: inhand calibrate camera pictures/left --name left --out left.yaml

    Attributes:
        folder: The pictures, PNG or JPEG.
        name: Of the camera.
        out: ROS camera_info file to write; a picture of the corners goes beside it.
        source: Camera to take pictures with, like /dev/video0, until they suffice; they are stored
            in the folder.
        size: Width and height to request from the camera [px].
        plate: What the pictures show; measure a printed square, as printers change the scale.
    """

    folder: Folder
    name: str
    out: Path
    source: str = ""
    size: tuple[int, int] = (640, 480)
    plate: Plate = field(default_factory=Plate)

    def run(self) -> None:
        views, readout = LensViews(self.plate), Readout()
        for path, image in _pictures(self.folder) if self._kept() else []:
            views.add(image)
            readout.show(f"{path.name}: {views.status}")
        if self.source:
            with closing(open_source(self.source, self.size)) as source:
                capture(source, self.plate, views, self.folder, readout)
        readout.end()
        report = views.report()
        save_intrinsics(self.out, self.name, report.intrinsics)
        *_, (_, image) = _pictures(self.folder)
        _draw(self.out.with_suffix(".png"), image, report.pixels)
        matrix, spread = report.intrinsics.matrix, report.deviation
        print(
            f"residual  {report.residual:.3f} px, over {100 * report.coverage:.0f} % of the image"
        )
        for what, i in (("focal ", 0), ("centre", 1)):
            x, y = (matrix[0, 0], matrix[1, 1]) if i == 0 else matrix[:2, 2]
            dx, dy = spread[2 * i : 2 * i + 2]
            print(f"{what}    {x:.2f} ± {dx:.2f}, {y:.2f} ± {dy:.2f} px")
        print(f"wrote     {self.out}")

    def _kept(self) -> bool:
        """Whether to read pictures from the folder; without a camera they are required."""
        return not self.source or any(self.folder.glob("*.png"))


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
        plate: What the pictures show.
    """

    folder: Folder
    cameras: tuple[str, ...]
    out: Path
    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    sources: tuple[str, ...] = ()
    plate: Plate = field(default_factory=Plate)

    def run(self) -> None:
        turn = np.array(self.quaternion)
        if not abs(np.linalg.norm(turn) - 1) < 1e-3:
            raise CameraError(f"--quaternion {self.quaternion} is not of unit length")
        rig: dict[str, Camera] = load_rig(self.out) if self.out.exists() else {}
        addresses = _paired(self.cameras, self.sources)
        readout = Readout()
        for name in self.cameras:
            intrinsics = load_intrinsics(self.folder / f"{name}.yaml")
            if name in addresses:
                size = (intrinsics.width, intrinsics.height)
                with closing(open_source(addresses[name], size)) as source:
                    capture_place(source, self.plate, name, self.folder / name, readout)
            images = [image for _, image in _pictures(self.folder / name)]
            place = np.array(self.position)
            report = calibrate_extrinsics(
                name, intrinsics, self.plate, place, rotations.normalize(turn), images, readout.show
            )
            readout.end()
            # The camera's latency does not depend on its pose.
            late = rig[name].latency if name in rig else 0.0
            rig[name] = replace(report.camera, latency=late)
            _draw(self.folder / f"{name}-place.png", images[-1], report.pixels)
            print(
                f"{name}: residual {report.residual:.3f} px, place known to "
                f"{1000 * report.camera.position_sigma:.2f} mm and "
                f"{np.degrees(report.camera.rotation_sigma):.3f} degrees"
            )
        save_rig(self.out, rig)
        print(f"wrote {self.out}")


@dataclass(frozen=True)
class Tags:
    """Find the poses of an object's tags, from pictures of it in 20 or more orientations, at rest.

    Example: inhand calibrate object pictures --rig rig.toml --object block --out my-block.toml

    Attributes:
        folder: Holds a folder NAME of pictures for each camera of the rig; those of one instant
            have the same file name.
        rig: The calibrated cameras.
        object: Name or file of the object, as drawn.
        out: Object file to write; a picture of the corners goes beside it.
        sources: Cameras to take the pictures with until they suffice, in the order of the rig file,
            like /dev/video0.
    """

    folder: Folder
    rig: Path
    object: str
    out: Path
    sources: tuple[str, ...] = ()

    def run(self) -> None:
        rig, description = load_rig(self.rig), load_object(self.object)
        ids = tuple(tag.id for tag in description.tags)
        instants: dict[str, list[TagCorners]] = {}
        problems: list[str] = []
        readout = Readout()
        if addresses := _paired(tuple(rig), self.sources):
            with ExitStack() as stack:
                sources = {
                    name: stack.enter_context(
                        closing(open_source(addresses[name], (camera.width, camera.height)))
                    )
                    for name, camera in rig.items()
                }
                capture_object(sources, description, rig, self.folder, readout)
        for name, camera in rig.items():
            for path, image in _pictures(self.folder / name):
                # A new detector for each picture: one detector expects a sequence of frames.
                detector = TagDetector(camera, description)
                seen = detector.detect(image, 0.0)
                problems.extend([detector.problem] if detector.problem else [])
                instants.setdefault(path.stem, []).append(seen)
                lacking = missing_views(ids, list(instants.values())) or ["nothing"]
                readout.show(
                    f"{name}/{path.name}: {len(instants)} instants; missing: {', '.join(lacking)}"
                )
        try:
            report = calibrate_placement(description, rig, list(instants.values()), readout.show)
        except ObjectError as error:
            raise ObjectError(f"{error}{_most_common(problems)}") from error
        readout.end()
        save_object(self.out, report.description)
        _draw(self.out.with_suffix(".png"), image, seen.corners.reshape(-1, 2))
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
    "print": Printed,
    "camera": CameraLens,
    "extrinsics": Places,
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


def _pictures(folder: Path) -> Iterator[tuple[Path, Image]]:
    """The pictures of a folder by name, grey.

    Raises:
        CameraError: there is none, or one cannot be read.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix in (".png", ".jpg", ".jpeg"))
    if not paths:
        raise CameraError(f"folder {folder} holds no PNG or JPEG picture")
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise CameraError(f"picture {path} cannot be read; is the file complete?")
        yield path, np.asarray(image, dtype=np.uint8)


def _draw(path: Path, image: Image, pixels: Array) -> None:
    """Writes a picture with the detected corners marked."""
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    for x, y in pixels:
        cv2.circle(canvas, (round(x), round(y)), 3, (0, 160, 0), 1, cv2.LINE_AA)
    write_picture(path, np.asarray(canvas, dtype=np.uint8))
