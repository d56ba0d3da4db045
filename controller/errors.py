"""Errors of the controller; each message says what is wrong, where, and what to do."""

from typing import Literal

from inhand.errors import InhandError

ErrorCode = Literal[
    "malformed",
    "too_large",
    "version",
    "unknown_type",
    "invalid",
    "busy",
    "refused",
    "readonly",
    "not_ready",
    "no_policy",
    "queue_full",
    "policy",
    "unsupported",
    "forbidden",
    "not_in_control",
]
"""What `error.code` of a reply may be; `docs/protocol.md` describes them for clients."""


class ConfigError(InhandError):
    """A configuration file is missing or malformed, or has a value out of range."""


class CalibrationError(InhandError):
    """The measurements do not suffice, or the hand is not ready for a calibration."""


class PolicyError(InhandError):
    """A policy file is missing, not allowed, or not made for this hand and object."""


class StartError(InhandError):
    """The daemon, or a process that it needs, could not start."""


class ClientError(InhandError):
    """The daemon did not reply, or its reply does not follow the protocol."""


class RefusedError(InhandError):
    """A request that is understood but not allowed now.

    Attributes:
        code: the protocol's error code.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class RecordingError(InhandError):
    """A recording cannot be read, or is of another version."""
