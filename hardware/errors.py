"""Errors of the hand and its bus."""

from inhand.errors import InhandError


class DescriptionError(InhandError):
    """A hand or object description file is malformed or contradicts itself."""


class BusError(InhandError):
    """The servo bus did not answer within the deadline, or with an error."""


class ServoError(BusError):
    """Servos have shut down; the message has their names and the reason."""
