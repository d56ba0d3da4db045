"""A fault on the wires: where it is put in, what it must lead to, and by when."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tests.faults import acts
from tests.faults.station import Station

Reaction = Literal["refused", "goes on", "pauses", "holding", "fault", "estop"]

GRAVITY: tuple[Reaction, ...] = ("refused", "goes on", "pauses", "holding", "fault", "estop")
"""From the mildest reaction to the gravest."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: in the table.
        wire: where it is put in.
        inject: puts it in.
        reaction: what must come of it.
        within: by when [s].
        undo: takes it away.
        causes: of the mode event, any of them; all if there are none.
        sign: what must be seen of it besides.
        worst: the gravest that may come of it later, if that is graver than the reaction.
        begins: when it came about [s], if that is not when it was put in.
        lasts: how long to leave it in where work goes on [s].
    """

    name: str
    wire: str
    inject: acts.Act
    reaction: Reaction
    within: float | None = None
    undo: acts.Act = acts.nothing
    causes: tuple[str, ...] = ()
    sign: acts.Holds | None = None
    worst: Reaction | None = None
    begins: Callable[[Station], float] | None = None
    lasts: float = 1.0


def graver(one: Fault, other: Fault) -> Reaction:
    """The reaction that two faults at once must lead to."""
    return max(one.reaction, other.reaction, key=GRAVITY.index)


Event = dict[str, Any]


def shows(reaction: Reaction, *causes: str) -> Callable[[Event], bool]:
    """Which event says that the hand is safe, by one of these causes, or by any."""
    if reaction == "pauses":
        return lambda event: event["kind"] == "pose_old"
    grave = GRAVITY[GRAVITY.index(reaction) :]
    return lambda event: (
        event["kind"] == "mode"
        and event["after"] in grave
        and (not causes or event["cause"] in causes)
    )
