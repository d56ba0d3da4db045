"""The root of the project's errors."""


class InhandError(Exception):
    """Base class of all errors: the message says what was wrong, where, and what to do."""
