"""Errors of the controller; each names what was wrong, where, and what to do."""

from hardware.errors import InhandError


class ConfigError(InhandError):
    """A configuration file is missing, malformed or asks for what cannot be."""


class PolicyError(InhandError):
    """A policy file is missing, not allowed, or not made for this hand and object."""


class StartError(InhandError):
    """The daemon, or a process that it needs, could not start."""


class ClientError(InhandError):
    """The daemon did not answer, or not as the protocol says."""


class RefusedError(InhandError):
    """A request that is understood but not allowed now.

    Attributes:
        code: the protocol's error code.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
