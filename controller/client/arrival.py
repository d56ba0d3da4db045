"""Waits until the targets of a joint command have reached the commanded angles."""

from collections.abc import Mapping, Sequence

from inhand.controller.client.connection import Message

Positions = Mapping[str, float] | Sequence[float]
"""Targets by actuator's name, or all in actuator order [rad]."""


class Arrival:
    """Whether a motion is over, by the replies to the heartbeats."""

    PERIOD = 0.1
    """Time between two heartbeats [s]; the daemon waits longer (`[safety] manual_silence`)."""
    NEAR = 1e-3
    """Distance at which the targets have arrived [rad]."""
    PATIENCE = 2.0
    """Time after which targets that come no nearer are not waited for [s]."""

    def __init__(self) -> None:
        self._nearest, self._nearer_at = float("inf"), 0.0

    def over(self, reply: Message, now: float) -> bool:
        """Whether the targets have arrived, or come no nearer; `now` is the present [s]."""
        if reply["seconds"] > 0:
            return False
        if reply["left"] < self._nearest - self.NEAR:
            self._nearest, self._nearer_at = reply["left"], now
        return bool(reply["left"] <= self.NEAR or now - self._nearer_at > self.PATIENCE)


def numbers(positions: Positions) -> dict[str, float] | list[float]:
    """Targets as plain numbers, as arrays of other libraries are no JSON."""
    if isinstance(positions, Mapping):
        return {str(name): float(angle) for name, angle in positions.items()}
    return [float(angle) for angle in positions]


def rows(positions: Sequence[Sequence[float]]) -> list[list[float]]:
    """Rows of targets as plain numbers."""
    return [[float(angle) for angle in row] for row in positions]
