"""Capture times of a camera's frames in CLOCK_MONOTONIC, whatever the driver's stamps are."""

import time
from collections.abc import Callable
from typing import Literal

TOLERANCE = 1.0
"""Largest age of a frame when it arrives [s]: an older stamp is of another clock."""

EARLY = 0.01
"""Largest time by which a stamp may be later than the arrival [s]."""

Kind = Literal["", "monotonic", "system", "arrival"]


class FrameClock:
    """Chooses a clock by the first frame, and keeps it while it makes sense.

    Args:
        monotonic: CLOCK_MONOTONIC [s].
        system: the system's time of day [s].

    Attributes:
        kind: what the stamps are: of CLOCK_MONOTONIC, of the system's clock, which are converted,
            or none that is known: then a frame is stamped when it arrives. Empty before the first.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        system: Callable[[], float] = time.time,
    ) -> None:
        self.kind: Kind = ""
        self._monotonic, self._system = monotonic, system

    def stamp(self, told: float) -> float:
        """Capture time of the frame that has just arrived [s].

        Args:
            told: the driver's stamp [s]; 0 or NaN if it has none.
        """
        arrival, offset = self._monotonic(), self._system() - self._monotonic()
        known: tuple[tuple[Kind, float], ...] = (("monotonic", told), ("system", told - offset))
        for kind, t in known:
            if self.kind in ("", kind) and -EARLY <= arrival - t <= TOLERANCE:
                self.kind = kind
                return min(t, arrival)
        self.kind = "arrival"
        return arrival

    @property
    def note(self) -> str:
        """What a user must know of the stamps; empty if they are the driver's."""
        if self.kind != "arrival":
            return ""
        return (
            "frames are stamped when they arrive, as the driver has no stamps of a known clock; "
            "`inhand calibrate latency` measures how late that is"
        )
