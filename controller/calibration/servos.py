"""`inhand calibrate servos`: gain, damping, friction and delay, from responses to targets."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import tomli_w
import tyro

from inhand.controller.calibration.bus_command import BusCommand
from inhand.controller.calibration.doctor_training import compare, training_scale
from inhand.controller.calibration.excitation import DURATION, Exciter
from inhand.controller.calibration.guided_motion import confirm
from inhand.controller.calibration.motion_planning import LARGEST, Excursion, plan
from inhand.controller.calibration.response_picture import draw_responses
from inhand.controller.config.config import Config, load_config
from inhand.controller.errors import CalibrationError
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.controller.system.open_hand import open_hand, seated_hand, torque
from inhand.controller.system.progress import Progress
from inhand.files import write_whole
from inhand.hardware.backend import HandBackend
from inhand.hardware.findings import as_text
from inhand.hardware.identification.fit import Samples, identify
from inhand.hardware.identification.servo_report import HandFile, ServoReport, as_universe
from inhand.hardware.model.hand import Hand, load_hand
from inhand.result import print_json

PATIENCE = 0.1
"""Reply timeout [s]; longer than in operation, since a late measurement is useful here."""
_SECONDS_A_JOINT = 14.0
"""Approximate time for one joint, slow moves included [s]."""
MISFIT = 0.04
"""Largest residual of the model, as a share of the motion's root mean square."""


@dataclass(frozen=True)
class Servos(BusCommand):
    """Find gain, damping, friction, delay and torque per ampere of servos. MOVES THE HAND.

    Joint by joint, around the rest pose: slow moves to both ends, steps, then a chirp up to 12 Hz.
    Take the object out, keep clear, end the daemon, and have the power's switch at hand.

    Example: inhand calibrate servos --config inhandd.toml --out my-hand-universe.toml

    Attributes:
        out: Universe file to write; a picture of the motions goes beside it.
        joints: Names of the actuators; all if not given.
        amplitude: Largest motion to either side [rad].
        yes: Do not ask before moving.
        json: Print the result as JSON.
    """

    out: Path
    joints: tuple[str, ...] = ()
    amplitude: float = LARGEST
    yes: bool = False
    json: bool = False
    clock: tyro.conf.Suppress[Clock] = field(default_factory=MonotonicClock)

    def run(self) -> int:
        """Moves, fits, and writes."""
        config = load_config(self.config)
        hand = seated_hand(load_hand(config.hand), config.bus)
        at = hand.find_actuators(self.joints)
        if not 0.02 <= self.amplitude <= 0.5:
            raise CalibrationError(f"--amplitude {self.amplitude} rad must lie in 0.02..0.5")
        if not self.out.parent.is_dir():
            raise CalibrationError(f"folder {self.out.parent} is not there; make it first")
        excursions = {i: plan(hand, i, self.amplitude) for i in at}
        self._ask(hand, excursions)
        recorded = self._move(config, hand, excursions)
        reports, misfits = evaluate(hand, excursions, recorded)
        if misfits:
            # With half the amplitude, fingers that touched may no longer touch.
            print("\n".join([*misfits, "Once more, half as far."]), file=sys.stderr)
            again = {
                i: plan(hand, i, one.amplitude / 2)
                for i, one in excursions.items()
                if i not in reports
            }
            recorded |= self._move(config, hand, again)
            better, misfits = evaluate(hand, again, {i: recorded[i] for i in again})
            reports |= better
        if misfits:
            raise CalibrationError("; ".join(misfits))
        reports = {i: reports[i] for i in at}
        measured = as_universe(hand, reports)
        write_whole(self.out, universe_text(hand, reports, measured))
        draw_responses(
            self.out.with_suffix(".png"),
            [(_caption(reports[i]), recorded[i], reports[i].fit.model) for i in at],
        )
        if self.json:
            print_json(msgspec.Raw(as_json(reports).encode()))
        else:
            print(as_table(list(reports.values())))
            scale = training_scale(config)
            if scale is not None:
                print(as_text(list(compare(hand, measured, scale))))
            print(f"wrote {self.out} and {self.out.with_suffix('.png')}")
        return 0

    def _ask(self, hand: Hand, excursions: Mapping[int, Excursion]) -> None:
        minutes = len(excursions) * _SECONDS_A_JOINT / 60
        lines = ["This moves the hand to its rest pose, and then one joint after another:"]
        for i, one in excursions.items():
            low, high = one.at(-1.0)[i], one.at(1.0)[i]
            lines.append(f"  {hand.actuator_names[i]:6} {low:+.2f} to {high:+.2f} rad")
        lines += [
            f"It takes {minutes:.1f} minutes; torque is off afterwards. Ctrl-C ends it at once."
        ]
        # Standard output is for the result.
        print("\n".join(lines), file=sys.stderr)
        if not self.yes:
            confirm()

    def _move(
        self, config: Config, hand: Hand, excursions: Mapping[int, Excursion]
    ) -> dict[int, Samples]:
        bus = msgspec.structs.replace(config.bus, baud=self.baud or config.bus.baud)
        backend = open_hand(hand, bus, self.port or None, patience=PATIENCE)
        progress = Progress("moving", len(excursions) * DURATION)
        backend.connect()
        try:
            with torque(backend):
                return self._excite(backend, bus.torque_share, excursions, progress)
        finally:
            progress.end()
            backend.close()

    def _excite(
        self,
        backend: HandBackend,
        torque_share: float,
        excursions: Mapping[int, Excursion],
        progress: Progress,
    ) -> dict[int, Samples]:
        recorded: dict[int, Samples] = {}
        exciter = Exciter(
            backend,
            self.clock,
            torque_share,
            lambda t: progress.at(len(recorded) * DURATION + t),
        )
        exciter.go(backend.hand.rest)
        for i, excursion in excursions.items():
            recorded[i] = exciter.record(excursion)
        return recorded


def evaluate(
    hand: Hand, excursions: Mapping[int, Excursion], recorded: Mapping[int, Samples]
) -> tuple[dict[int, ServoReport], list[str]]:
    """Fits a spring and damper to each joint's motion.

    Returns:
        reports: by actuator index, where the fit is good.
        misfits: a message for each joint whose motion no spring and damper explains.
    """
    reports, misfits = {}, []
    files = {i: HandFile(hand, excursions[i].pose) for i in recorded}
    guesses = [files[i].guess(i) for i in recorded]
    fits = identify(list(recorded.values()), guesses)
    for (i, samples), fit in zip(recorded.items(), fits, strict=True):
        motion = float(samples.position.std())
        if fit.position_residual < MISFIT * motion:
            reports[i] = files[i].report(i, fit)
            continue
        misfits.append(
            f"joint {hand.actuator_names[i]} moved through {fit.position_residual:.4f} rad (rms) "
            f"that no spring and damper explains, of {motion:.4f}: does it touch something, does a "
            "cable pull, is its integral gain (register 82) on?"
        )
    return reports, misfits


def as_table(reports: Sequence[ServoReport]) -> str:
    """The result for people; factors are of the hand file's values and the data sheet's."""
    lines = [
        "joint   gain N·m/rad      damping N·m·s/rad  friction N·m  delay ms  N·m/A           "
        "residual mrad"
    ]
    for one in reports:
        per_ampere = "reports no current"
        if one.torque_per_ampere:
            per_ampere = f"{one.torque_per_ampere[0]:.3f} (× {one.torque_per_ampere[1]:.2f})"
        lines.append(
            f"{one.name:6} {one.gain[0]:7.3f} (× {one.gain[1]:.2f})  {one.damping[0]:7.4f} "
            f"(× {one.damping[1]:.2f})    {one.friction:8.4f}  {1000 * one.delay:8.1f}  "
            f"{per_ampere:16} {1000 * one.fit.position_residual:.2f}"
            + ("" if one.by_inertia else "  torques by the data sheet's N·m/A: inertia too little")
        )
    return "\n".join(lines)


def as_json(reports: Mapping[int, ServoReport]) -> str:
    """The result for programs, without the curves."""
    keys = "name", "gain", "damping", "friction", "delay", "torque_per_ampere", "by_inertia"
    rows = [
        {key: getattr(one, key) for key in keys}
        | {
            "position_residual": one.fit.position_residual,
            "current_residual": one.fit.current_residual,
            "inertia_deviation": one.fit.inertia_deviation,
        }
        for one in reports.values()
    ]
    return json.dumps(rows)


def universe_text(
    hand: Hand,
    reports: Mapping[int, ServoReport],
    measured: Mapping[str, Sequence[float]],
) -> str:
    """The universe file: the numbers, with the table of results as a comment."""
    lines = [
        f"# Servos and joints of hand {hand.name} as `inhand calibrate servos` measured them.",
        "# Factors are of the hand file; what was not measured is as in it.",
        "# Not measured: masses, limits, backlash, which no encoder sees.",
    ]
    lines += [f"# {line}" for line in as_table(list(reports.values())).splitlines()]
    rounded = {key: [float(f"{x:.6g}") for x in values] for key, values in measured.items()}
    return "\n".join(lines) + "\n" + tomli_w.dumps(rounded)


def _caption(report: ServoReport) -> str:
    return (
        f"{report.name}: gain {report.gain[0]:.3f} N m/rad, damping {report.damping[0]:.4f}, "
        f"friction {report.friction:.4f} N m, delay {1000 * report.delay:.1f} ms, "
        f"residual {1000 * report.fit.position_residual:.2f} mrad"
    )
