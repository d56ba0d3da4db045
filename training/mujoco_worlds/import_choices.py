"""Choices of the user who imports a hand: what the source model does not contain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Choices:
    """What no model says.

    Attributes:
        name: of the hand.
        turn: roll, pitch, yaw of the model's base in the world, palm up [rad].
        object_start: where the object is put, world frame [m]; None is above the fingers' middle.
        servo_model: model of all servos; empty makes a hand for simulation only.
        first_id: of the servos; the others count up in the order of actuators.
        ids: servo ids by joint, in place of counting.
        reversed: joints whose servo turns the other way.
        rest: rest pose by joint [rad]; else that of the model's first keyframe, else zero.
        damping: of joints without any [N·m·s/rad].
        armature: of joints without any [kg·m²]: light links on a stiff servo without a rotor shake
            in simulation.
        gain: of joints without an actuator [N·m/rad]; None: 1, or more where the links are heavy.
        torque_limit: of joints without one [N·m]; None: 0.5, or more where the links are heavy.
        velocity_limit: of all actuators [rad/s].
        acceleration_limit: of all actuators [rad/s²].
        center: middle of the workspace, world frame [m]; None is 1 cm below `object_start`.
    """

    name: str
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    object_start: tuple[float, float, float] | None = None
    servo_model: str = ""
    first_id: int = 0
    ids: Mapping[str, int] = field(default_factory=dict)
    reversed: Sequence[str] = ()
    rest: Mapping[str, float] = field(default_factory=dict)
    damping: float = 0.1
    armature: float = 0.001
    gain: float | None = None
    torque_limit: float | None = None
    velocity_limit: float = 8.0
    acceleration_limit: float = 300.0
    center: tuple[float, float, float] | None = None
