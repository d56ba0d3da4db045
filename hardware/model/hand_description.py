"""Hand description: what a hand file holds."""

from typing import Literal

import msgspec

from inhand.hardware.errors import DescriptionError

Vector = tuple[float, float, float]
Inertia = tuple[float, float, float, float, float, float]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collision primitive in its link's frame.

    `size` is half-extents [m] for a box, (radius, half-length) [m] for a capsule or a cylinder
    along its own z, (radius,) for a sphere; `rpy` turns it [rad], as in URDF.
    """

    kind: Literal["box", "capsule", "cylinder", "sphere"]
    size: tuple[float, ...]
    position: Vector
    rpy: Vector = (0.0, 0.0, 0.0)


class Drawing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mesh that pages draw in place of the link's shapes; it collides with nothing.

    `file` is a binary STL in metres, beside the hand file; `position` [m] and `rpy` [rad] are its
    place in the link's frame.
    """

    file: str
    position: Vector = (0.0, 0.0, 0.0)
    rpy: Vector = (0.0, 0.0, 0.0)


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A link and its hinge joint to the parent. Units as in the hand file.

    `center` is the centre of mass and `inertia` (xx, yy, zz, xy, xz, yz) about it, link axes;
    without them the mass is spread over the shapes. `rotor_inertia` is added about every axis,
    `armature` about the joint's only.
    """

    name: str
    parent: str
    joint: str
    axis: Vector
    range: tuple[float, float]
    origin: Vector
    rpy: Vector
    mass: float
    rotor_inertia: float
    damping: float
    friction: float
    tip: Vector | None = None
    shapes: tuple[Shape, ...] = ()
    armature: float = 0.0
    center: Vector | None = None
    inertia: Inertia | None = None
    drawings: tuple[Drawing, ...] = ()


class FixedLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A link without a joint: a part of the link that carries it, or of the root."""

    name: str
    parent: str
    origin: Vector = (0.0, 0.0, 0.0)
    rpy: Vector = (0.0, 0.0, 0.0)
    mass: float = 0.0
    tip: Vector | None = None
    shapes: tuple[Shape, ...] = ()
    center: Vector | None = None
    inertia: Inertia | None = None
    drawings: tuple[Drawing, ...] = ()


class Servo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Servo of an actuator: bus id, model, and the map from its register to the angle."""

    id: int
    sign: Literal[-1, 1]
    zero: float
    model: str


class Actuator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A servo and the joints it moves.

    Joint i has the angle `ratios[i]` times that of the actuator, plus `offsets[i]` [rad]; where
    they are left out, all joints move 1:1. An actuator without a servo exists in simulation only.
    `continuous_torque` is what the servo bears without an end; None: that is not known. `rest` is
    where it waits for an object and for goals, `action_zero` what a policy's action 0 commands;
    None: its rest.
    """

    name: str
    joints: tuple[str, ...]
    rest: float
    gain: float
    torque_limit: float
    velocity_limit: float
    acceleration_limit: float
    servo: Servo | None = None
    ratios: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    continuous_torque: float | None = None
    action_zero: float | None = None

    @property
    def on_bus(self) -> Servo:
        """The servo.

        Raises:
            DescriptionError: the actuator has none.
        """
        if self.servo is None:
            raise DescriptionError(
                f"actuator {self.name} has no servo, so that the hand exists in simulation only; "
                "give it one in the hand file: "
                'servo = { id = 1, sign = 1, zero = 0.0, model = "XC330-M288" }'
            )
        return self.servo


class Workspace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an object counts as held [m, world frame]."""

    object_start: Vector
    center: Vector
    radius: float
    drop_height: float


class Power(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Currents that the hand and its supply are made for.

    Attributes:
        supply_current: that all servos together may take [A].
        servo_current: largest current of a servo [A], by servo model or by actuator; the actuator
            comes first.
        source: where these numbers are from.
    """

    supply_current: float
    servo_current: dict[str, float]
    source: str


class HandDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole hand file."""

    name: str
    schema: Literal[1]
    root: str
    workspace: Workspace
    collision_groups: dict[str, tuple[str, ...]]
    links: tuple[Link, ...]
    actuators: tuple[Actuator, ...]
    fixed_links: tuple[FixedLink, ...] = ()
    power: Power | None = None
