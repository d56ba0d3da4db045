"""The root of the project's errors."""


class InhandError(Exception):
    """Base class of all errors: the message says what was wrong, where, and what to do."""


class WriteError(InhandError):
    """A file cannot be written; what was there before is unchanged."""
