"""`inhand hand`: imports a hand file from URDF or MJCF, and checks and shows hand files."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import msgspec
import tyro

from inhand.files import write_whole
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import HAND_FILES, Hand, hand_file, load_hand, parse_hand
from inhand.hardware.model.hand_description import HandDescription
from inhand.hardware.model.hand_doubts import doubts
from inhand.hardware.model.hand_text import hand_text
from inhand.hardware.model.mirror import mirrored
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.result import print_json

_UNITS = """\
Units: metres, radians, kilograms, N·m. `base` is the world frame (z up, palm up). Boxes: `size` is
the half-extents (x, y, z); capsules and cylinders: (radius, half-length) along their own z;
spheres: (radius,). Where a key stands for the first time, a comment says what it is.
Check what was assumed:""".splitlines()


@dataclass(frozen=True)
class Import:
    """Make a hand file of a URDF or MJCF model, and compare it with the model.

    Example: inhand hand import leap_right.xml --out leap.toml --servo-model XC330-M288

    Attributes:
        model: The model's file, URDF or MJCF, of the hand alone.
        out: The hand file to write; its name without ending is the hand's.
        turn: Roll, pitch, yaw of the model's base in the world [rad], so that the palm is up.
        object_start: Where the object is put in the hand, world frame [m].
        center: Middle of the workspace, world frame [m]: policies observe the object from there.
            Give that of the hand that a policy was trained with.
        servo_model: Model of the servos; without it, the hand exists in simulation only.
        first_id: Servo id of the first actuator; the others count up.
        ids: Servo ids of joints, in place of counting, as JOINT ID pairs.
        reversed: Joints whose servo turns the other way.
        rest: Rest pose, as JOINT ANGLE pairs [rad]; else the model's first keyframe, else zero.
        damping: Damping of joints without any [N·m·s/rad].
        armature: Inertia of the rotor of joints without any [kg·m²]; light links need one.
        gain: Position gain of joints without an actuator [N·m/rad]; else 1, or what carries the
            links.
        torque_limit: Torque limit of joints without one [N·m]; else 0.5, or what carries the links.
        velocity_limit: Speed limit of all actuators [rad/s].
        acceleration_limit: Acceleration limit of all actuators [rad/s²].
        shapes_only: Write no meshes for drawing beside the file.
        overwrite: Replace a file that is there.
        json: Print the report as JSON.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    out: Path
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    object_start: tuple[float, float, float] | None = None
    center: tuple[float, float, float] | None = None
    servo_model: str = ""
    first_id: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    reversed: tuple[str, ...] = ()
    rest: dict[str, float] = field(default_factory=dict)
    damping: float = 0.1
    armature: float = 0.001
    gain: float | None = None
    torque_limit: float | None = None
    velocity_limit: float = 8.0
    acceleration_limit: float = 300.0
    shapes_only: bool = False
    overwrite: bool = False
    json: bool = False

    def run(self) -> int:
        """Writes the hand file and prints the report; 1 if the kinematics differ."""
        # Only this verb needs MuJoCo.
        from inhand.hardware.model.stl import write_stl
        from inhand.training.mujoco_worlds.hand_import import import_hand, together
        from inhand.training.mujoco_worlds.import_choices import Choices
        from inhand.training.mujoco_worlds.import_report import compare, report
        from inhand.training.mujoco_worlds.source_model import read_model

        _check_out(self.out, self.overwrite)
        changes: list[str] = []
        model = read_model(self.model, changes)
        choices = Choices(
            self.out.stem,
            self.turn,
            self.object_start,
            self.servo_model,
            self.first_id,
            self.ids,
            self.reversed,
            self.rest,
            self.damping,
            self.armature,
            self.gain,
            self.torque_limit,
            self.velocity_limit,
            self.acceleration_limit,
            self.center,
        )
        try:
            imported = import_hand(model, choices)
        except DescriptionError as error:
            raise DescriptionError(f"{self.model}: {error}") from None
        if self.shapes_only:
            imported.leave_out_drawings()
        imported.notes[:0] = together(changes)
        head = [
            f"Hand {self.out.stem}, imported from {self.model.name} by inhand hand import.",
            "",
            *_UNITS,
            *(f"- {note}" for note in imported.notes),
        ]
        text = hand_text(imported.content, head)
        hand = parse_hand(text.encode(), self.out)
        found = compare(hand, model, self.turn)
        for name, triangles in imported.drawings.items():
            file = self.out.parent / name
            file.parent.mkdir(parents=True, exist_ok=True)
            write_stl(file, triangles)
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

    Example: inhand hand check leap.toml --object block

    Attributes:
        file: A hand file, or the name of an installed hand.
        object: Name or file of an object: does it stay in the resting hand? Needs the extra train.
        json: Print it as JSON.
    """

    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    object: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    json: bool = False

    def run(self) -> int:
        """Reads the file."""
        hand = load_hand(self.file)
        told, found = _summary(hand), doubts(hand)
        if self.object is not None:
            # MuJoCo is in the extra train.
            from inhand.training.mujoco_worlds.resting_hold import (
                OBJECTS,
                hold_doubts,
                kept_at_rest,
            )

            target = load_object(self.object)
            told["put_in"], told["stay"] = OBJECTS, kept_at_rest(hand, target)
            found += hold_doubts(target, told["stay"])
        if self.json:
            print_json({"file": str(hand_file(self.file)), **told, "notes": found})
            return 0
        for name, value in told.items():
            print(f"{name.replace('_', ' '):12} {value}")
        print("\n".join([*found, f"{self.file}: {'see above' if found else 'all right'}"]))
        return 0


@dataclass(frozen=True)
class Show:
    """Show a hand file as a web page: joints to drag, axes, ranges, shapes and collisions.

    Needs the extra view; collisions need the extra train, too.

    Example: inhand hand show leap

    Attributes:
        file: A hand file, or the name of an installed hand.
        host: Address to serve the page on.
        port: Port to serve it on; the next free one if it is taken.
    """

    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    host: str = "127.0.0.1"
    port: int = 8080

    def run(self) -> int:
        """Serves the page until Ctrl-C."""
        from inhand.controller.view.hand_page import HandPage

        hand = load_hand(self.file)
        ended = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        page = HandPage(hand, _collisions(hand), host=self.host, port=self.port)
        page.open()
        try:
            print(f"hand {hand.name}: {page.address}", flush=True)
            page.run(ended.is_set)
        finally:
            page.close()
        return 0


def _collisions(hand: Hand) -> Callable[[Array], list[tuple[str, str]]] | None:
    """What finds collisions; None where MuJoCo is not installed."""
    if find_spec("mujoco") is None:
        return None
    from inhand.training.mujoco_worlds.collisions import Collisions

    return Collisions(hand)


@dataclass(frozen=True)
class Mirror:
    """Make the hand of the other side: the mirror image of a hand file, about y = 0.

    Joints keep names, ranges and angles, so that the same angles give the mirrored pose. Signs and
    zeros of real servos depend on how they are mounted: run inhand calibrate joints.

    Example: inhand hand mirror leap --out my-left-hand.toml

    Attributes:
        file: A hand file, or the name of an installed hand.
        out: The hand file to write; its name without ending is the hand's.
        overwrite: Replace a file that is there.
    """

    file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    out: Path
    overwrite: bool = False

    def run(self) -> int:
        """Writes the mirrored hand file."""
        _check_out(self.out, self.overwrite)
        source = load_hand(self.file)
        data = HAND_FILES.convert(HAND_FILES.read(self.file), self.file, HandDescription)
        head = [
            f"Hand {self.out.stem}, the mirror image of {source.name} about y = 0, by inhand hand "
            "mirror.",
            "Signs and zeros of its servos depend on their mounting: run inhand calibrate joints.",
        ]
        text = hand_text(msgspec.to_builtins(mirrored(data, self.out.stem)), head)
        hand = parse_hand(text.encode(), self.out)
        write_whole(self.out, text)
        print(f"{self.out}: {hand.n_joints} joints; {source.name} mirrored about y = 0")
        return 0


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix != ".toml":
        raise DescriptionError(f"--out {out}: name a file that ends in .toml")
    if out.exists() and not overwrite:
        raise DescriptionError(f"--out {out} exists; name another, or add --overwrite")


def _summary(hand: Hand) -> dict[str, Any]:
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
        {"import": Import, "check": Check, "show": Show, "mirror": Mirror},
        prog="inhand hand",
        description="Make a hand file of a model of others; check, show or mirror one.\n\n"
        "Example: inhand hand check leap",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    code: int = verb.run()
    return code
