"""`inhand calibrate`: cameras, objects, servos. With insufficient data nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from inhand.controller.calibration.joints import Joints
from inhand.controller.calibration.servos import Servos
from inhand.controller.estimation.hand_motion import palm
from inhand.controller.recording.reader import Recording, open_recording
from inhand.controller.recording.replay import descriptions
from inhand.controller.recording.tick_record import TickRecord
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.perception import rotations
from inhand.perception.calibration import calibrate
from inhand.perception.calibration.delay_picture import delay_picture
from inhand.perception.calibration.latency import LatencyReport, calibrate_latency
from inhand.perception.calibration.link_motion import LinkMotion
from inhand.perception.calibration.opencv_version import require_opencv
from inhand.perception.cameras import CameraError, load_rig, save_rig
from inhand.perception.pictures import write_picture
from inhand.perception.readout import Readout
from inhand.perception.records import TagCorners


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
        motion, frames = read_motion(recording, hand, self._link(hand))
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
        save_rig(self.rig, rig)
        print(f"wrote {self.rig}")

    def _link(self, hand: Hand) -> int:
        if not self.link:
            moved = palm(hand)
            if moved is None:
                raise CameraError(
                    f"the palm of hand {hand.name!r} does not move; fix the object to a link that "
                    f"does, and name it with --link: {', '.join(hand.link_names)}"
                )
            return moved
        if self.link not in hand.link_names:
            raise CameraError(
                f"hand {hand.name!r} has no link {self.link!r}; it has {', '.join(hand.link_names)}"
            )
        return hand.link_names.index(self.link)


def read_motion(
    recording: Recording, hand: Hand, link: int
) -> tuple[LinkMotion, dict[str, list[TagCorners]]]:
    """Motion of a link and the tags that the cameras saw, from a recording.

    Args:
        recording: the recording.
        hand: that it was made with.
        link: index of the link.

    Returns:
        motion: of the link, from the encoders.
        frames: by camera, in the order in which they came.

    Raises:
        CameraError: the joints were read less than twice.
    """
    times: list[float] = []
    angles = []
    frames: dict[str, list[TagCorners]] = {}
    for record in recording.records():
        if not isinstance(record, TickRecord):
            continue
        joints = record.inputs.joints
        if joints is not None and (not times or joints.t > times[-1]):
            times.append(joints.t)
            angles.append(joints.position)
        for frame in record.inputs.corners:
            frames.setdefault(frame.camera, []).append(frame)
    if len(times) < 2:
        raise CameraError(f"recording {recording.path}: the joints were read {len(times)} times")
    turns, places = link_poses(hand, hand.joint_angles(np.array(angles)))
    quaternions = rotations.from_matrix(turns[:, link])
    return LinkMotion(np.array(times), places[:, link], quaternions), frames


def main() -> int:
    """Entry point of `inhand calibrate`."""
    own = {"latency": Latency, "joints": Joints, "servos": Servos}
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
