"""Algebraic laws of the rotations, and the objects built on them."""

import numpy as np
import pytest

from inhand.controller.policy.observation import (
    VERSIONS,
    attitude,
    observation_layout,
    observation_size,
    observe,
)
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.perception import rotations
from inhand.perception.objects import load_object

RNG = np.random.default_rng(11)
ONE, OTHER = (rotations.random_quaternion(RNG, (200,)) for _ in range(2))


def same(left: np.ndarray, right: np.ndarray, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(rotations.angle_between(left, right), 0.0, atol=tolerance)


def test_product_and_inverse() -> None:
    same(rotations.multiply(ONE, rotations.conjugate(ONE)), np.tile(rotations.IDENTITY, (200, 1)))
    np.testing.assert_allclose(
        rotations.to_matrix(rotations.multiply(ONE, OTHER)),
        rotations.to_matrix(ONE) @ rotations.to_matrix(OTHER),
        atol=1e-12,
    )


def test_round_trips() -> None:
    same(rotations.from_matrix(rotations.to_matrix(ONE)), ONE)
    same(rotations.exp(rotations.log(ONE)), ONE)
    half_turns = np.array([[0.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    same(rotations.from_matrix(rotations.to_matrix(half_turns)), half_turns)


def test_a_single_rotation_is_converted_as_one_of_many_to_the_bit() -> None:
    turns = np.concatenate([ONE, np.eye(4), [[-0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.6, -0.8]]])
    matrices = rotations.to_matrix(turns)
    np.testing.assert_array_equal([rotations.to_matrix(turn) for turn in turns], matrices)
    single = [rotations.from_matrix(matrix) for matrix in matrices]
    np.testing.assert_array_equal(single, rotations.from_matrix(matrices))


def test_rotate_is_the_matrix() -> None:
    vectors = RNG.standard_normal((200, 3))
    expected = np.einsum("nij,nj->ni", rotations.to_matrix(ONE), vectors)
    np.testing.assert_allclose(rotations.rotate(ONE, vectors), expected, atol=1e-12)


@pytest.mark.parametrize(("name", "order"), [("block", 24), ("prism", 16)])
def test_the_symmetry_group_maps_the_shape_onto_itself(name: str, order: int) -> None:
    target = load_object(name)
    assert target.symmetry.shape == (order, 4)
    same(target.symmetry[0], rotations.IDENTITY)
    for element in target.symmetry:
        turned = rotations.rotate(element, target.vertices)
        nearest = np.linalg.norm(turned[:, None] - target.vertices, axis=-1).min(axis=1)
        np.testing.assert_allclose(nearest, 0.0, atol=1e-9)


@pytest.mark.parametrize("name", ["block", "prism"])
def test_attitude_is_equal_for_symmetric_orientations_only(name: str) -> None:
    symmetry = load_object(name).symmetry
    reference = attitude(symmetry, ONE)
    for element in symmetry:
        same(attitude(symmetry, rotations.multiply(ONE, element)), reference)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_observation_is_laid_out_as_stated(version: int) -> None:
    hand, target = load_hand("dactyl24"), load_object("block")
    joints = np.tile(hand.rest, (200, 1))
    values = observe(
        hand,
        target,
        joint_position=joints,
        sent_target=joints + 1,
        fingertips=fingertip_positions(hand, joints),
        object_position=np.tile(hand.workspace.center, (200, 1)),
        object_quaternion=ONE,
        goal_quaternion=OTHER,
        pose_age=np.full(200, 9.0),
        object_angular_velocity=np.tile([1.0, 2.0, 3.0], (200, 1)),
        goal_tolerance=np.full(200, 0.2),
        version=version,
    )
    layout = observation_layout(hand, version)
    assert values.shape == (200, observation_size(hand, version))
    at = np.cumsum([0] + [size for _, size, _ in layout])
    part = {name: values[:, at[i] : at[i + 1]] for i, (name, _, _) in enumerate(layout)}
    if version > 1:
        np.testing.assert_allclose(part["object_angular_velocity"][7], [1.0, 2.0, 3.0])
        np.testing.assert_allclose(part["goal_tolerance"], 0.2)
    if version > 2:
        for name, meant in (("object_orientation", ONE), ("goal_orientation", OTHER)):
            assert np.all(part[name][:, 0] >= 0)
            same(part[name].astype(np.float64), meant, 1e-3)
    np.testing.assert_allclose(part["sent_target"], joints + 1, rtol=1e-6)
    np.testing.assert_allclose(part["object_from_palm"], 0.0, atol=1e-7)
    np.testing.assert_allclose(part["pose_age"], 0.5)
    np.testing.assert_allclose(
        part["rotation_to_go_angle"][:, 0], rotations.angle_between(ONE, OTHER), atol=1e-4
    )
