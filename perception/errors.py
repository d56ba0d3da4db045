"""Errors of cameras, calibration and object descriptions."""

from inhand.errors import InhandError


class PerceptionError(InhandError):
    """What perception was given is unusable: the message says what, where and what to do."""


class ObjectError(PerceptionError):
    """An object description file is malformed or contradicts itself."""
