"""Distances from the shapes of a hand, and an object that begins inside of one."""

import dataclasses

import msgspec
import numpy as np
import pytest

from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.hand_description import Shape
from inhand.hardware.model.hand_doubts import doubts
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.model.shape_gap import shape_gap


def one_shape(kind: str, size: tuple[float, ...], rpy: tuple[float, float, float]) -> Hand:
    """A hand whose only shape is on its palm, with its middle at (0.1, 0, 0) m."""
    hand = load_hand("leap")
    shape = msgspec.convert(
        {"kind": kind, "size": size, "position": (0.1, 0.0, 0.0), "rpy": rpy}, Shape
    )
    bare = tuple(msgspec.structs.replace(link, shapes=()) for link in hand.links)
    return dataclasses.replace(hand, links=bare, root_shapes=(shape,))


@pytest.mark.parametrize(
    ("kind", "size", "rpy", "point", "distance"),
    [
        ("sphere", (0.02,), (0.0, 0.0, 0.0), [0.1, 0.0, 0.05], 0.03),
        ("sphere", (0.02,), (0.0, 0.0, 0.0), [0.1, 0.0, 0.005], -0.015),
        ("box", (0.01, 0.02, 0.03), (0.0, 0.0, 0.0), [0.14, 0.06, 0.0], 0.05),
        ("box", (0.01, 0.02, 0.03), (0.0, 0.0, np.pi / 2), [0.1, 0.05, 0.0], 0.04),
        ("box", (0.01, 0.02, 0.03), (0.0, 0.0, 0.0), [0.105, 0.0, 0.0], -0.005),
        ("capsule", (0.01, 0.03), (0.0, 0.0, 0.0), [0.1, 0.03, 0.07], 0.04),
        ("capsule", (0.01, 0.03), (0.0, np.pi / 2, 0.0), [0.15, 0.0, 0.0], 0.01),
        ("cylinder", (0.01, 0.03), (0.0, 0.0, 0.0), [0.14, 0.0, 0.07], 0.05),
        ("cylinder", (0.01, 0.03), (0.0, 0.0, 0.0), [0.1, 0.0, 0.02], -0.01),
    ],
)
def test_the_distance_from_a_shape(
    kind: str,
    size: tuple[float, ...],
    rpy: tuple[float, float, float],
    point: list[float],
    distance: float,
) -> None:
    hand = one_shape(kind, size, rpy)
    gap = shape_gap(hand, hand.rest, np.array([point]))
    np.testing.assert_allclose(gap, [distance], atol=1e-12)


@pytest.mark.parametrize("name", ["leap", "leap_left", "dactyl24", "allegro"])
def test_the_object_of_an_installed_hand_begins_outside_of_it(name: str) -> None:
    hand = load_hand(name)
    assert doubts(hand) == []
    (start, *_) = fingertip_positions(hand, hand.rest)
    inside = msgspec.structs.replace(hand.workspace, object_start=tuple(start.tolist()))
    (said,) = doubts(dataclasses.replace(hand, workspace=inside))
    assert said.startswith("object_start is") and "move object_start" in said


def test_a_hand_whose_servos_hardly_overcome_the_damping_is_named() -> None:
    hand = load_hand("leap")
    assert doubts(hand) == []
    thick = [msgspec.structs.replace(link, damping=0.2) for link in hand.links]
    (said,) = doubts(dataclasses.replace(hand, links=tuple(thick)))
    assert "keep 16 actuators below" in said and "if_mcp below 1.3 of 8 rad/s" in said
