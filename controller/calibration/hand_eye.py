"""`inhand calibrate hand-eye`: the places of cameras, from a recording of a hand that moves."""

from dataclasses import dataclass, replace

import numpy as np

from inhand.controller.calibration.from_recording import FromRecording
from inhand.perception.calibration.hand_eye import calibrate_hand_eye
from inhand.perception.readout import Readout


@dataclass(frozen=True)
class HandEye(FromRecording):
    """Find the cameras' places without a plate, from a recording of a hand that moves the object.

    Fix the object to the palm (a rubber band does), record while the wrist turns about both axes,
    as far as the object stays in view, for half a minute, with the servos off or in any other way.
    Cameras whose places are not known at all get a rig file from `inhand calibrate rig`.

    Example: inhand calibrate hand-eye inhand-….mcap --rig rig.toml
    """

    def run(self) -> None:
        evidence = self.read()
        rig = evidence.rig
        readout, found = Readout(), {}
        for name, recorded in evidence.cameras.items():
            report = calibrate_hand_eye(
                recorded, evidence.target, evidence.motion, evidence.frames[name], readout.show
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
        self.write(rig)
