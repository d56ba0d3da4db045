"""How an object without tags looks: colours and letters by which a network tells faces apart."""

from collections.abc import Mapping
from itertools import combinations

import msgspec
import numpy as np

from inhand.perception.rotations import Array

ALIKE = 80
"""Least distance of two faces' colours, in RGB of 0 to 255, if they have one letter."""


class FaceMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a face without a tag looks: a colour, and perhaps a letter in black or white.

    Attributes:
        color: red, green and blue, each 0 to 255.
        letter: one letter in the middle of the face; empty for none.
    """

    color: tuple[int, int, int]
    letter: str = ""


def appearance_problem(
    appearance: Mapping[str, FaceMark], faces: Mapping[str, Array]
) -> str | None:
    """Why a network could not tell the faces apart; None if it could."""
    missing = [name for name in faces if name not in appearance]
    if missing:
        return f"[appearance] has no {', '.join(missing)}; name every face"
    for name, mark in appearance.items():
        if not all(0 <= value <= 255 for value in mark.color):
            return f"[appearance] {name}: red, green and blue are 0 to 255, got {mark.color}"
        if len(mark.letter) > 1 or not (mark.letter or "A").isascii():
            return f"[appearance] {name}: one ASCII letter or none, got {mark.letter!r}"
    for (one, a), (other, b) in combinations(appearance.items(), 2):
        apart = float(np.linalg.norm(np.subtract(a.color, b.color)))
        if apart < ALIKE and a.letter == b.letter:
            return (
                f"[appearance] {one} and {other} cannot be told apart: their colours differ by "
                f"{apart:.0f} of at least {ALIKE}; choose other colours, or different letters"
            )
    return None
