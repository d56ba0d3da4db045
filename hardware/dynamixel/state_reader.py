"""Reading where all servos stand in a tick, without being held up by one that is silent."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.poll_list import Roll
from inhand.hardware.dynamixel.protocol import ALERT
from inhand.hardware.dynamixel.replies import Bytes, Mask, Replies
from inhand.hardware.errors import BusError

Measured = NDArray[np.void]
"""Structured: `current`, `velocity` and `position` in counts."""

_ADDRESS, _LENGTH = registers.MEASURED


class ReplyLengths:
    """How much more to ask for than is needed, so that every reply shows what it answers.

    A reply that comes late or twice is of another length than the one that is waited for, and
    does not count. Neighbouring requests differ; after a failure, so do six in a row.
    """

    def __init__(self) -> None:
        self._odd, self._cautious = 0, 0

    def next(self) -> int:
        """Bytes to ask for beyond what is needed."""
        if self._cautious:
            self._cautious -= 1
            return 2 + self._cautious
        self._odd = 1 - self._odd
        return self._odd

    def failed(self) -> None:
        """Replies to the last request may still be on their way."""
        self._cautious = self._cautious or 6


class Measuring:
    """Reads of all servos, one after another.

    Args:
        group: the servos.

    Attributes:
        roll: who is asked together, and who is silent.
    """

    def __init__(self, group: ServoGroup) -> None:
        self.roll = Roll(group.ids)
        self._group, self._lengths = group, ReplyLengths()

    def read(self, deadline: float | None = None) -> tuple[Measured, Mask, list[int]]:
        """What the servos measure now, whose measurement came, each (n_actuators,), and the ids of
        those that report a hardware error.

        Raises:
            BusError: no servo answered, or one refused.
        """
        group, roll, bus = self._group, self.roll, self._group.bus
        length = _LENGTH + self._lengths.next()
        together = bus.sync_read(_ADDRESS, length, roll.asked, attempts=2, deadline=deadline)
        if together.complete and together.ids is group.ids:
            return self._told(together)
        self._lengths.failed()
        replies = Replies.none(group.ids, length)
        replies.place(together, roll.places)
        asked = np.isin(group.ids, together.ids)
        if apart := roll.apart():
            # As long as a reply may be in coming, and no longer: most often there is none.
            until = bus.clock.now() + bus.patience / 4 + bus.reply_time(len(apart), length)
            until = until if deadline is None else min(until, deadline)
            asked |= np.isin(group.ids, apart)
            found = bus.sync_read(_ADDRESS, length, apart, deadline=until)
            replies.place(found, np.array([group.ids.index(id) for id in apart]))
        if not replies.came.any():
            roll.reset()
            raise BusError(f"{group.no_answer(group.ids)}; check power, cable, id and baud")
        roll.note(asked, replies.came)
        return self._told(replies)

    def _told(self, replies: Replies) -> tuple[Measured, Mask, list[int]]:
        ill = []
        if replies.error.any():
            self._group.refuse_refused(replies, _ADDRESS)
            ill = replies.having(ALERT)
        return _counts(replies.data), replies.came, ill


def _counts(rows: Bytes) -> Measured:
    measured: Measured = np.ascontiguousarray(rows[:, :_LENGTH]).view(registers.MEASURED_COUNTS)[
        :, 0
    ]
    return measured
