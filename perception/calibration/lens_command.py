"""`inhand calibrate camera`: intrinsics, from pictures of a plate."""

import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from inhand.files import back_up
from inhand.perception.calibration.camera_info import save_intrinsics
from inhand.perception.calibration.capture import capture
from inhand.perception.calibration.intrinsics import LensViews
from inhand.perception.calibration.lens_report import IntrinsicsReport
from inhand.perception.calibration.plate import Plate
from inhand.perception.calibration.residual_picture import residual_picture
from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.cameras import CameraError
from inhand.perception.lens import Model
from inhand.perception.pictures import picture_files, pictures, write_picture
from inhand.perception.readout import Readout

Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]


@dataclass(frozen=True)
class CameraLens:
    """Find a camera's intrinsics from 15 or more pictures of the plate.

    Pictures that contradict the others are named; nothing is written until you decide on them.

    Show it near, far, tilted and at the image's borders.

    Example: inhand calibrate camera pictures/left --name left --out left.yaml

    Attributes:
        folder: The pictures, PNG, JPEG, BMP or TIFF.
        name: Of the camera.
        out: ROS camera_info file to write; a picture of the residuals goes beside it.
        source: Camera to take pictures with, like /dev/video0 or a URL, until they suffice; they
            are stored in the folder.
        size: Width and height to request from the camera [px].
        lens: `fisheye` for lenses of more than about 100 degrees.
        numbers: How many numbers of distortion to find: 5, 8, 12 or 14 of a pinhole.
        outliers: What to do with pictures that contradict the others: `ask` on a terminal, `drop`
            or `keep` them.
        device: Settings of the camera.
        plate: What the pictures show; measure a printed square, as printers change the scale.
    """

    folder: Folder
    name: str
    out: Path
    source: str = ""
    size: tuple[int, int] = (640, 480)
    lens: Model = "pinhole"
    numbers: int = 0
    outliers: Literal["ask", "drop", "keep"] = "ask"
    device: DeviceSettings = DeviceSettings()
    plate: Plate = field(default_factory=Plate)

    def run(self) -> None:
        views, readout = LensViews(self.plate, self.lens, self.numbers), Readout()
        if not self.source or picture_files(self.folder):
            for path, image in pictures(self.folder):
                views.add(image, path.name)
                readout.show(f"{path.name}: {views.status}")
        if self.source:
            with closing(open_source(self.source, self.size, self.device)) as source:
                capture(source, self.plate, views, self.folder, readout)
        readout.end()
        report = self._agreed(views, views.report())
        back_up(self.out)
        save_intrinsics(self.out, self.name, report.intrinsics)
        *_, (_, image) = pictures(self.folder)
        write_picture(
            self.out.with_name(f"{self.out.stem}-residuals.png"),
            residual_picture(
                image,
                f"{self.name}: {report.residual:.3f} px",
                [one.name for one in report.pictures],
                [one.pixels for one in report.pictures],
                [one.errors for one in report.pictures],
                [one.outlier for one in report.pictures],
            ),
        )
        matrix, spread = report.intrinsics.matrix, report.deviation
        print(
            f"residual  {report.residual:.3f} px, over {100 * report.coverage:.0f} % of the image"
        )
        for what, i in (("focal ", 0), ("centre", 1)):
            x, y = (matrix[0, 0], matrix[1, 1]) if i == 0 else matrix[:2, 2]
            dx, dy = spread[2 * i : 2 * i + 2]
            print(f"{what}    {x:.2f} ± {dx:.2f}, {y:.2f} ± {dy:.2f} px")
        print(f"wrote     {self.out}")

    def _agreed(self, views: LensViews, report: IntrinsicsReport) -> IntrinsicsReport:
        """The report after outliers were dropped, if the user agrees.

        Raises:
            CameraError: there are outliers, and nobody can be asked.
        """
        while worst := [one for one in report.pictures if one.outlier]:
            for one in worst:
                print(
                    f"outlier   {one.name}: residual {one.residual:.2f} px, moves the lens by "
                    f"{one.influence:.1f} of its standard deviations"
                )
            if self.outliers == "keep":
                return report
            if self.outliers == "ask":
                if not sys.stdin.isatty():
                    raise CameraError(
                        f"{len(worst)} of {len(report.pictures)} pictures contradict the others: "
                        f"{', '.join(one.name for one in worst)}; look at them, then give "
                        "--outliers drop, or --outliers keep"
                    )
                if input("Leave them out? [y/N] ").strip().lower() not in ("y", "yes"):
                    return report
            views.drop([one.name for one in worst])
            report = views.report()
        return report
