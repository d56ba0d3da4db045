"""`inhand calibrate`: cameras, objects, servos. With insufficient data nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import tyro

from inhand.controller.calibration.from_recording import FromRecording
from inhand.controller.calibration.hand_eye import HandEye
from inhand.controller.calibration.joints import Joints
from inhand.controller.calibration.servos import Servos
from inhand.perception.calibration import calibrate
from inhand.perception.calibration.delay_picture import delay_picture
from inhand.perception.calibration.latency import LatencyReport, calibrate_latency
from inhand.perception.calibration.opencv_version import require_opencv
from inhand.perception.pictures import write_picture
from inhand.perception.readout import Readout


@dataclass(frozen=True)
class Latency(FromRecording):
    """Find how late the cameras' time stamps are, from a recording of a hand that moves the object.

    Fix the object to the palm (a rubber band does), record while the wrist turns to and fro for
    half a minute, moved by hand with the servos off or in any other way, and give the file.
    Pictures of the motion are written beside the rig file.

    Example: inhand calibrate latency inhand-….mcap --rig rig.toml
    """

    def run(self) -> None:
        evidence = self.read()
        rig = evidence.rig
        reports, readout = [], Readout()
        for name, camera in evidence.cameras.items():
            report = calibrate_latency(
                camera, evidence.target, evidence.motion, evidence.frames[name], readout.show
            )
            readout.end()
            print(_line(report))
            reports.append(report)
        for report in reports:
            name = report.camera.name
            write_picture(
                self.rig.with_name(f"{self.rig.stem}-{name}-latency.png"), delay_picture(report)
            )
            rig[name] = replace(rig[name], latency=report.camera.latency)
        self.write(rig)


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
