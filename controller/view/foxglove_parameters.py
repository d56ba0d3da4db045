"""Parameters of the Foxglove server: what the hand is in, and terms of the next goals."""

import threading
from collections.abc import Sequence
from math import isfinite

from foxglove.websocket import Client, Parameter, ServerListener

from inhand.controller.client.connection import Message

TERMS = {"goal.tolerance_rad": "tolerance", "goal.hold_s": "hold", "goal.timeout_s": "timeout"}
"""Parameters that a commander sets, with the members of the requests `goal` and `random_goals`."""

TOLD = ("mode", "reason", "policy")
"""Parameters that only tell."""


class Parameters(ServerListener):
    """Answers clients that read or set parameters.

    Args:
        command: whether terms of goals may be set.
    """

    def __init__(self, command: bool) -> None:
        self._command = command
        self._terms: dict[str, float] = {}
        self._told = dict.fromkeys(TOLD, "")
        # Foxglove's threads read while ours writes.
        self._lock = threading.Lock()

    def take(self, state: Message) -> list[Parameter]:
        """Takes a message of the topic `state`; returns the parameters that changed."""
        policy = state["policy"]["name"] if state["policy"] else ""
        told = {"mode": state["mode"], "reason": state["reason"], "policy": policy}
        with self._lock:
            changed = [name for name in TOLD if told[name] != self._told[name]]
            self._told = told
        return [Parameter(name, value=told[name]) for name in changed]

    def terms(self) -> dict[str, float]:
        """Members for the next goal; those that nobody set are left to the daemon."""
        with self._lock:
            return {TERMS[name]: value for name, value in self._terms.items()}

    def on_get_parameters(
        self, client: Client, param_names: Sequence[str], request_id: str | None = None
    ) -> list[Parameter]:
        """The parameters of these names; all if none are named."""
        return self._named(param_names or (*TOLD, *TERMS))

    def on_set_parameters(
        self, client: Client, parameters: Sequence[Parameter], request_id: str | None = None
    ) -> list[Parameter]:
        """Sets terms of goals; what may not be set, or is no term, keeps its value."""
        for parameter in parameters:
            value = parameter.get_value() if parameter.value is not None else None
            with self._lock:
                if not self._command or parameter.name not in TERMS:
                    continue
                if value is None:
                    self._terms.pop(parameter.name, None)
                elif (number := _number(value)) is not None:
                    self._terms[parameter.name] = number
        return self._named([parameter.name for parameter in parameters])

    def _named(self, names: Sequence[str]) -> list[Parameter]:
        with self._lock:
            values: dict[str, str | float | None] = {**dict.fromkeys(TERMS), **self._terms}
            values |= self._told
        return [Parameter(name, value=values[name]) for name in names if name in values]


def _number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        return None
    return float(value)
