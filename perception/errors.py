"""Errors of cameras, calibration and object descriptions."""

from inhand.errors import InhandError


class PerceptionError(InhandError):
    """An input of perception is unusable: the message says what, where and what to do."""


class ObjectError(PerceptionError):
    """An object description file is malformed or contradicts itself."""
