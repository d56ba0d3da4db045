"""The last goals and how each ended, derived from the published states."""

from dataclasses import dataclass
from math import degrees
from typing import Literal

from inhand.controller.client.connection import Message

KEPT = 12

End = Literal["reached", "missed", "dropped", "cancelled"]

_COUNTS: tuple[End, ...] = ("dropped", "missed", "reached")
"""Counts of a state. A drop comes first, as it also ends the goal."""


@dataclass(frozen=True)
class PastGoal:
    """A goal that ended.

    Attributes:
        number: the daemon's.
        seconds: how long it was worked on [s].
        error: the last angle to go that a state told [deg].
        end: how it ended.
    """

    number: int
    seconds: float
    error: float
    end: End


class PastGoals:
    """Follows the states of one hand.

    Attributes:
        goals: the last goals that ended, oldest first.
    """

    def __init__(self) -> None:
        self.goals: tuple[PastGoal, ...] = ()
        self._before: Message | None = None

    def clear(self) -> None:
        """Forgets all goals."""
        self.goals, self._before = (), None

    def take(self, state: Message) -> None:
        """Takes the next state, a message of the topic `state`."""
        before, self._before = self._before, state
        if before is None or (goal := before["goal"]) is None:
            return
        if state["goal"] is not None and state["goal"]["number"] == goal["number"]:
            return
        rises = [end for end in _COUNTS if state[end] > before[end]]
        end: End = rises[0] if rises else "cancelled"
        ended = PastGoal(goal["number"], goal["seconds"], degrees(goal["error"]), end)
        self.goals = (*self.goals, ended)[-KEPT:]
