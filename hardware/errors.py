"""Errors of the hand and its bus."""

from inhand.errors import InhandError


class DescriptionError(InhandError):
    """A hand or object description file is malformed or contradicts itself."""


class BusError(InhandError):
    """The servo bus did not deliver what was asked within its deadline."""


class ServoError(BusError):
    """Servos have shut themselves down; the message names them and says why."""
