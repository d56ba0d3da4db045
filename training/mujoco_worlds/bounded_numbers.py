"""Kinds of numbers in recipes of training, with their bounds; NaN and infinity are in none."""

from math import pi
from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=1, le=10**9)]
CountOrZero = Annotated[int, Meta(ge=0, le=10**9)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Angle = Annotated[float, Meta(gt=0.0, le=pi + 1e-4)]
"""Largest angle of a rotation [rad]; recipes round π up."""
Positive = Annotated[float, Meta(gt=0.0, le=1e6)]
PositiveOrZero = Annotated[float, Meta(ge=0.0, le=1e6)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
ShareBelowOne = Annotated[float, Meta(ge=0.0, lt=1.0)]
Weight = Annotated[float, Meta(ge=-1e6, le=1e6)]
