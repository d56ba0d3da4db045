"""`inhand calibrate hand-eye`: the places of cameras, from a recording of a hand that moves."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from inhand.controller.calibration.motion import fixed_link, read_motion
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import descriptions
from inhand.files import back_up
from inhand.perception.calibration.hand_eye import calibrate_hand_eye
from inhand.perception.cameras import CameraError, load_rig, save_rig
from inhand.perception.readout import Readout


@dataclass(frozen=True)
class HandEye:
    """Find the cameras' places without a plate, from a recording of a hand that moves the object.

    Fix the object to the palm (a rubber band does), record while the wrist turns about both axes,
    as far as the object stays in view, for half a minute, with the servos off or in any other way.
    Cameras whose places are not known at all get a rig file from `inhand calibrate rig`.

    Example: inhand calibrate hand-eye inhand-….mcap --rig rig.toml

    Attributes:
        recording: Made by `inhand record`.
        rig: Rig file to write places and latencies to.
        link: What the object is fixed to; the palm if none is named.
        cameras: Names of those to calibrate; all that the recording has if none is named.
    """

    recording: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    rig: Path
    link: str = ""
    cameras: tuple[str, ...] = ()

    def run(self) -> None:
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
        readout, found = Readout(), {}
        for name in names:
            report = calibrate_hand_eye(
                recorded[name], target, motion, frames.get(name, []), readout.show
            )
            readout.end()
            camera = found[name] = report.camera
            print(
                f"{name}: residual {report.residual:.3f} px over {report.frames} frames, place "
                f"known to {1000 * camera.position_sigma:.2f} mm and "
                f"{np.degrees(camera.rotation_sigma):.3f} degrees, {1000 * camera.latency:.1f} ms "
                f"late; {1000 * report.moved:.1f} mm and {np.degrees(report.turned):.2f} degrees "
                "from where it was thought to be"
            )
        for name, camera in found.items():
            rig[name] = replace(
                rig[name],
                position=camera.position,
                quaternion=camera.quaternion,
                position_sigma=camera.position_sigma,
                rotation_sigma=camera.rotation_sigma,
                latency=camera.latency,
            )
        back_up(self.rig)
        save_rig(self.rig, rig)
        print(f"wrote {self.rig}")
