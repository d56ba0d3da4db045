"""`inhand hand`: a hand file from a model of others, and what a hand file says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tomli_w
import tyro

from inhand.files import write_whole
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import Hand, hand_file, load_hand, parse_hand
from inhand.result import print_json

_HEAD = """\
# Hand {name}, imported from {source} by inhand hand import.
#
# Units: metres, radians, kilograms, N·m. `base` is the world frame (z up, palm up).
# Boxes: `size` is the half-extents (x, y, z); capsules and cylinders: (radius, half-length) along
# their own z; spheres: (radius,). `rpy` is roll, pitch, yaw about fixed axes.
# `center` is the centre of mass; `inertia` (xx, yy, zz, xy, xz, yz) is about it, link axes.
# Check what was assumed:
{notes}

"""


@dataclass(frozen=True)
class Import:
    """Make a hand file of a URDF or MJCF model, and compare it with the model.

    Example: inhand hand import leap_right.xml --out leap.toml --servo-model XC330-M288

    Attributes:
        model: The model's file, URDF or MJCF, of the hand alone.
        out: The hand file to write; its name without ending is the hand's.
        turn: Roll, pitch, yaw of the model's base in the world [rad], so that the palm is up.
        object_start: Where the object is put in the hand, world frame [m].
        servo_model: Model of the servos; without it, the hand exists in simulation only.
        first_id: Servo id of the first actuator; the others count up.
        gain: Position gain of joints without an actuator [N·m/rad].
        torque_limit: Torque limit of actuators without one [N·m].
        velocity_limit: Speed limit of all actuators [rad/s].
        acceleration_limit: Acceleration limit of all actuators [rad/s²].
        overwrite: Replace a file that is there.
        json: Print the report as JSON.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    out: Path
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    object_start: tuple[float, float, float] | None = None
    servo_model: str = ""
    first_id: int = 0
    gain: float = 1.0
    torque_limit: float = 0.5
    velocity_limit: float = 8.0
    acceleration_limit: float = 300.0
    overwrite: bool = False
    json: bool = False

    def run(self) -> int:
        """Writes the hand file and prints the report; 1 if the kinematics differ."""
        # Only this verb needs MuJoCo.
        from inhand.training.mujoco_worlds.hand_import import Choices, import_hand
        from inhand.training.mujoco_worlds.import_report import compare, report
        from inhand.training.mujoco_worlds.source_model import read_model

        if self.out.suffix != ".toml":
            raise DescriptionError(f"--out {self.out}: name a file that ends in .toml")
        if self.out.exists() and not self.overwrite:
            raise DescriptionError(f"--out {self.out} exists; name another, or add --overwrite")
        model = read_model(self.model)
        choices = Choices(
            self.out.stem,
            self.turn,
            self.object_start,
            self.servo_model,
            self.first_id,
            self.gain,
            self.torque_limit,
            self.velocity_limit,
            self.acceleration_limit,
        )
        imported = import_hand(model, choices)
        notes = "\n".join(f"# - {note}" for note in imported.notes)
        head = _HEAD.format(name=self.out.stem, source=self.model.name, notes=notes)
        text = head + tomli_w.dumps(imported.content)
        hand = parse_hand(text.encode(), self.out)
        found = compare(hand, model, self.turn)
        write_whole(self.out, text)
        if self.json:
            told = {
                **_summary(hand),
                "file": str(self.out),
                "place_error": found.place,
                "rotation_error": found.turn,
                "source_mass": found.mass,
                "moving_mass": found.own_mass,
                "notes": imported.notes,
            }
            print_json(told)
        else:
            print(report(hand, found, imported.notes))
        return 0 if found.is_equal else 1


@dataclass(frozen=True)
class Check:
    """Say whether a hand file is right, and what it describes.

    Example: inhand hand check leap.toml

    Attributes:
        file: A hand file, or the name of an installed hand.
        json: Print it as JSON.
    """

    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    json: bool = False

    def run(self) -> int:
        """Reads the file."""
        hand = load_hand(self.file)
        told = _summary(hand)
        if self.json:
            print_json({"file": str(hand_file(self.file)), **told})
            return 0
        for name, value in told.items():
            print(f"{name.replace('_', ' '):12} {value}")
        print(f"{self.file}: all right")
        return 0


def _summary(hand: Hand) -> dict[str, object]:
    alone = [actuator.name for actuator in hand.actuators if actuator.servo is None]
    return {
        "hand": hand.name,
        "digest": hand.digest,
        "joints": hand.n_joints,
        "actuators": hand.n_actuators,
        "fingertips": len(hand.fingertips),
        "couplings": len(hand.couplings),
        "mass": round(sum(link.mass for link in hand.links), 6),
        "servos": hand.n_actuators - len(alone),
        "simulation_only": bool(alone),
    }


def main() -> int:
    """Entry point of `inhand hand`."""
    verb = tyro.extras.subcommand_cli_from_dict(
        {"import": Import, "check": Check},
        prog="inhand hand",
        description="Make a hand file of a model of others, or check one.\n\n"
        "Example: inhand hand check leap",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    code: int = verb.run()
    return code
