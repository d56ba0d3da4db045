"""Shared steps of the camera calibrations that use a recording of a moving hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from inhand.controller.calibration.motion import fixed_link, read_motion
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import descriptions
from inhand.files import back_up
from inhand.perception.calibration.link_motion import LinkMotion
from inhand.perception.cameras import Camera, CameraError, load_rig, save_rig
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import TagCorners


@dataclass(frozen=True)
class Evidence:
    """What a recording tells of its cameras.

    Attributes:
        rig: cameras of the rig file.
        target: the object, fixed to the link.
        cameras: those to calibrate, as they were recorded.
        motion: of the link.
        frames: tag corners by camera.
    """

    rig: dict[str, Camera]
    target: ObjectDescription
    cameras: dict[str, Camera]
    motion: LinkMotion
    frames: dict[str, list[TagCorners]]


@dataclass(frozen=True)
class FromRecording:
    """What the commands have in common that calibrate cameras from a recording.

    Attributes:
        recording: Made by `inhand record`.
        rig: Rig file to write the result to.
        link: What the object is fixed to; the palm if none is named.
        cameras: Names of those to calibrate; all that the recording has if none is named.
    """

    recording: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    rig: Path
    link: str = ""
    cameras: tuple[str, ...] = ()

    def read(self) -> Evidence:
        """Reads the recording and the rig file.

        Raises:
            CameraError: a camera is missing in one of the files.
        """
        recording = open_recording(self.recording)
        hand, target, recorded = descriptions(recording.header)
        rig = load_rig(self.rig)
        names = self.cameras or tuple(recorded)
        for name in names:
            if name not in recorded or name not in rig:
                where = (
                    f"rig file {self.rig}" if name in recorded else f"recording {recording.path}"
                )
                raise CameraError(f"{where} has no camera {name!r}")
        motion, frames = read_motion(recording, hand, fixed_link(hand, self.link))
        seen = {name: frames.get(name, []) for name in names}
        return Evidence(rig, target, {name: recorded[name] for name in names}, motion, seen)

    def write(self, rig: dict[str, Camera]) -> None:
        """Writes the rig file; the one before stays beside it."""
        back_up(self.rig)
        save_rig(self.rig, rig)
        print(f"wrote {self.rig}")
