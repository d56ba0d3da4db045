"""Which way a palm faces, and the turn that is advised where it does not face up."""

import dataclasses
import re
from itertools import product

import msgspec
import numpy as np
import pytest

from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.palm import palm_direction, palm_doubts
from inhand.hardware.model.turning import Angles, matrix_rpy, rpy_matrix
from inhand.hardware.records import Array

HANDS = ("dactyl24", "leap", "leap_left", "allegro")
QUARTERS = [np.array(turn) * np.pi / 2 for turn in product(range(4), repeat=3)]


def turned(hand: Hand, turn: Array) -> Hand:
    """The hand as it is after a turn, (3, 3), in the world."""
    links = tuple(
        link
        if parent >= 0
        else msgspec.structs.replace(
            link,
            origin=tuple((turn @ link.origin).tolist()),
            rpy=matrix_rpy(turn @ rpy_matrix(link.rpy)),
        )
        for link, parent in zip(hand.links, hand.parents, strict=True)
    )
    return dataclasses.replace(hand, links=links)


def advised(said: str) -> Angles:
    """The angles of a sentence [rad], of three numbers one after the other."""
    (found,) = re.findall(r"(-?[\d.]+) (-?[\d.]+) (-?[\d.]+)", said)
    roll, pitch, yaw = map(float, found)
    return roll, pitch, yaw


@pytest.mark.parametrize("name", HANDS)
def test_the_palms_of_installed_hands_face_up(name: str) -> None:
    hand = load_hand(name)
    palm = palm_direction(hand)
    assert palm is not None and palm[2] > 0.9
    assert palm_doubts(hand) == []


@pytest.mark.parametrize("name", HANDS)
def test_the_advised_turn_brings_the_palm_up(name: str) -> None:
    hand = load_hand(name)
    straight = palm_direction(hand)
    assert straight is not None
    told = 0
    for angles in QUARTERS:
        now = turned(hand, rpy_matrix(tuple(angles)))
        said = palm_doubts(now)
        # A quarter turn leaves the palm as it is, or puts it to a side or down.
        assert bool(said) == bool((rpy_matrix(tuple(angles)) @ straight)[2] < 0.5)
        if said:
            told += 1
            better = turned(now, rpy_matrix(advised(said[0])))
            assert palm_doubts(better) == []
            palm = palm_direction(better)
            assert palm is not None and palm[2] > 0.9
            # What the import says takes the place of the turn that it was given.
            whole = turned(hand, rpy_matrix(advised(palm_doubts(now, tuple(angles))[0])))
            assert palm_doubts(whole) == []
    assert told == 56


def test_down_and_to_the_side_are_told_apart() -> None:
    hand = load_hand("leap")
    (down,) = palm_doubts(turned(hand, rpy_matrix((np.pi, 0.0, 0.0))))
    (side,) = palm_doubts(turned(hand, rpy_matrix((np.pi / 2, 0.0, 0.0))))
    assert "it faces down" in down and "it faces to the side" in side
    (model,) = palm_doubts(turned(hand, rpy_matrix((-np.pi / 2, 0.0, 0.0))), (-np.pi / 2, 0.0, 0.0))
    assert model.endswith("with --turn 0 0 0")
