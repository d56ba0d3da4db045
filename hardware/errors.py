"""Errors of the hand and its bus."""

from inhand.errors import InhandError
from inhand.hardware.records import JointState


class DescriptionError(InhandError):
    """A hand or object description file is malformed or contradicts itself."""


class BusError(InhandError):
    """The servo bus did not answer within the deadline, or with an error."""


class BusCongestedError(BusError):
    """Nothing can be sent now: the port's send buffer is full. The port is still there."""


class ServoError(BusError):
    """Servos report a hardware error; the message has their names and the error.

    Args:
        message: which servos, why, and what to do.
        joints: what was measured nevertheless; None if nothing was.
    """

    def __init__(self, message: str, joints: JointState | None = None) -> None:
        super().__init__(message)
        self.joints = joints
