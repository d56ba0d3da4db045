"""The hand and an object as Drake's multibody plant."""

from dataclasses import dataclass
from itertools import combinations
from xml.etree import ElementTree

from pydrake.geometry import CollisionFilterDeclaration, GeometrySet, SceneGraph
from pydrake.math import RigidTransform, RotationMatrix
from pydrake.multibody.parsing import Parser
from pydrake.multibody.plant import (
    AddMultibodyPlant,
    MultibodyPlant,
    MultibodyPlantConfig,
)
from pydrake.multibody.tree import RigidBody, RotationalInertia, SpatialInertia
from pydrake.systems.framework import Diagram, DiagramBuilder

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.model.universe import DrakeSettings
from inhand.hardware.model.urdf import hand_urdf
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.drake.surfaces import (
    Rubber,
    frictions,
    hand_properties,
    link_shape,
    object_properties,
    object_shape,
)
from inhand.sim_backend.pybullet_universe import solid_inertia

OBJECT = "object"


@dataclass(frozen=True)
class Model:
    """A plant in its diagram, with the indices of its joints.

    Attributes:
        diagram: plant and geometry.
        plant: the physics.
        scene: the geometry.
        object: the object's body.
        joints: index of each of the hand's joints in the plant's position vector, (n_joints,).
        speeds: index of each in the plant's velocity vector, (n_joints,).
    """

    diagram: Diagram
    plant: MultibodyPlant
    scene: SceneGraph
    object: RigidBody
    joints: list[int]
    speeds: list[int]


def build(
    hand: Hand,
    base: tuple[Array, Array],
    target: ObjectDescription,
    center_of_mass: Array,
    skin: Rubber,
    settings: DrakeSettings,
) -> Model:
    """Builds a world's model.

    Args:
        hand: of the universe.
        base: position of its base, world frame [m], (3,), and world from base, wxyz, (4,).
        target: of the universe.
        center_of_mass: object frame [m], (3,).
        skin: contact parameters of the hand.
        settings: of the engine.
    """
    builder = DiagramBuilder()
    plant, scene = AddMultibodyPlant(
        MultibodyPlantConfig(
            time_step=settings.timestep,
            contact_model=(
                "point" if settings.contact == "point" else "hydroelastic_with_fallback"
            ),
            discrete_contact_approximation=settings.solver,
            use_sampled_output_ports=False,
        ),
        builder,
    )
    _add_hand(plant, hand, base)
    hand_friction, object_friction = frictions(target.friction)
    properties = hand_properties(skin, hand_friction)
    for name, shapes, tip in [
        (hand.root, hand.root_shapes, None),
        *((link.name, link.shapes, link.tip) for link in hand.links),
    ]:
        body = plant.GetBodyByName(name)
        for number, shape in enumerate(shapes):
            form, position = link_shape(shape, tip, settings.fingertips)
            plant.RegisterCollisionGeometry(
                body,
                RigidTransform(RotationMatrix(rpy_matrix(shape.rpy)), position)
                if any(shape.rpy)
                else RigidTransform(list(position)),
                form,
                f"{name}{number}",
                properties,
            )
    inertia = _inertia(target, center_of_mass)
    body = plant.AddRigidBody(OBJECT, plant.AddModelInstance(OBJECT), inertia)
    plant.RegisterCollisionGeometry(
        body,
        RigidTransform(),
        object_shape(target, settings.edge_radius),
        OBJECT,
        object_properties(skin, object_friction),
    )
    plant.Finalize()
    _filter_collisions(plant, scene, hand)
    found = [plant.GetJointByName(name) for name in hand.joint_names]
    return Model(
        builder.Build(),
        plant,
        scene,
        body,
        [joint.position_start() for joint in found],
        [joint.velocity_start() for joint in found],
    )


def _add_hand(plant: MultibodyPlant, hand: Hand, base: tuple[Array, Array]) -> None:
    robot = ElementTree.fromstring(hand_urdf(hand))
    for element in robot.iter("link"):
        for kind in ("visual", "collision"):
            for shape in element.findall(kind):
                element.remove(shape)
    Parser(plant).AddModelsFromString(ElementTree.tostring(robot, encoding="unicode"), "urdf")
    position, quaternion = base
    turn = RotationMatrix(rotations.to_matrix(quaternion))
    plant.WeldFrames(
        plant.world_frame(), plant.GetFrameByName(hand.root), RigidTransform(turn, position)
    )
    for link in hand.links:
        joint = plant.GetJointByName(link.joint)
        joint.set_default_damping(link.damping)
        if link.armature:
            rotor = plant.AddJointActuator(link.joint, joint)
            rotor.set_default_rotor_inertia(link.armature)
            rotor.set_default_gear_ratio(1.0)


def _inertia(target: ObjectDescription, center_of_mass: Array) -> SpatialInertia:
    """Spatial inertia of the homogeneous object with offset centre of mass, in the object frame."""
    x, y, z = solid_inertia(target)
    central = RotationalInertia(x, y, z)
    return SpatialInertia.MakeFromCentralInertia(target.mass, center_of_mass, central)


def _filter_collisions(plant: MultibodyPlant, scene: SceneGraph, hand: Hand) -> None:
    """Lets only the listed pairs of the hand's links collide with each other."""
    listed = {frozenset(pair) for pair in hand.collision_pairs}
    manager = scene.collision_filter_manager()
    geometries = {
        name: GeometrySet(plant.GetCollisionGeometriesForBody(plant.GetBodyByName(name)))
        for name in (hand.root, *hand.link_names)
    }
    for one, two in combinations(geometries, 2):
        if frozenset((one, two)) not in listed:
            manager.Apply(
                CollisionFilterDeclaration().ExcludeBetween(geometries[one], geometries[two])
            )
