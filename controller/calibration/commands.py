"""`inhand calibrate`: cameras, objects, servos. With insufficient data nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from inhand.controller.calibration.hand_eye import HandEye
from inhand.controller.calibration.joints import Joints
from inhand.controller.calibration.motion import fixed_link, read_motion
from inhand.controller.calibration.servos import Servos
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import descriptions
from inhand.files import back_up
from inhand.perception.calibration import calibrate
from inhand.perception.calibration.delay_picture import delay_picture
from inhand.perception.calibration.latency import LatencyReport, calibrate_latency
from inhand.perception.calibration.opencv_version import require_opencv
from inhand.perception.cameras import CameraError, load_rig, save_rig
from inhand.perception.pictures import write_picture
from inhand.perception.readout import Readout


@dataclass(frozen=True)
class Latency:
    """Find how late the cameras' time stamps are, from a recording of a hand that moves the object.

    Fix the object to the palm (a rubber band does), record while the wrist turns to and fro for
    half a minute, moved by hand with the servos off or in any other way, and give the file.

    Example: inhand calibrate latency inhand-….mcap --rig rig.toml

    Attributes:
        recording: Made by `inhand record`.
        rig: Rig file to write the latencies to; pictures of the motion go beside it.
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
        reports, readout = [], Readout()
        for name in names:
            seen = frames.get(name, [])
            report = calibrate_latency(recorded[name], target, motion, seen, readout.show)
            readout.end()
            print(_line(report))
            reports.append(report)
        for report in reports:
            name = report.camera.name
            write_picture(
                self.rig.with_name(f"{self.rig.stem}-{name}-latency.png"), delay_picture(report)
            )
            rig[name] = replace(rig[name], latency=report.camera.latency)
        back_up(self.rig)
        save_rig(self.rig, rig)
        print(f"wrote {self.rig}")


def main() -> int:
    """Entry point of `inhand calibrate`."""
    own = {"latency": Latency, "hand-eye": HandEye, "joints": Joints, "servos": Servos}
    commands: dict[str, Callable[..., Any]] = {**calibrate.COMMANDS, **own}
    command = tyro.extras.subcommand_cli_from_dict(
        commands, prog="inhand calibrate", description=__doc__
    )
    require_opencv()
    command.run()
    return 0


def _line(report: LatencyReport) -> str:
    return (
        f"{report.camera.name}: {1000 * report.camera.latency:.1f} ± "
        f"{1000 * report.deviation:.1f} ms late, residual {report.residual:.3f} px over "
        f"{len(report.t)} frames, moved at {report.speed:.0f} px/s"
    )
