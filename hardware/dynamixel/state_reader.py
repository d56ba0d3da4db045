"""Reads position, velocity and current of all servos in a tick; silent servos cost little time."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.poll_list import PollList
from inhand.hardware.dynamixel.protocol import ALERT
from inhand.hardware.dynamixel.replies import Bytes, Mask, Replies
from inhand.hardware.errors import BusError

Measured = NDArray[np.void]
"""Structured: `current`, `velocity` and `position` in counts."""

_ADDRESS, _LENGTH = registers.MEASURED


class ReplyLengths:
    """Varies the length of reads, so that a reply of an older request is recognised by its length.

    A late or repeated reply has another length than the expected one and is ignored. Successive
    requests have different lengths; after a failure, six in a row do.
    """

    def __init__(self) -> None:
        self._odd, self._cautious = 0, 0

    def next(self) -> int:
        """Number of additional bytes of the next read."""
        if self._cautious:
            self._cautious -= 1
            return 2 + self._cautious
        self._odd = 1 - self._odd
        return self._odd

    def failed(self) -> None:
        """Records a failed read: replies to it may still arrive."""
        self._cautious = self._cautious or 6


class StateReader:
    """Reads the measurements of all servos.

    Args:
        group: the servos.

    Attributes:
        poll_list: servos to poll together, and silent servos.
    """

    def __init__(self, group: ServoGroup) -> None:
        self.poll_list = PollList(group.ids)
        self._group, self._lengths = group, ReplyLengths()

    def read(self, deadline: float | None = None) -> tuple[Measured, Mask, list[int]]:
        """Reads all servos.

        Args:
            deadline: latest time to stop waiting [s].

        Returns:
            Measurements in counts, (n_actuators,); whether each came, (n_actuators,); ids of the
            servos that report a hardware error.

        Raises:
            BusError: no servo answered, or one refused.
        """
        group, poll_list, bus = self._group, self.poll_list, self._group.bus
        length = _LENGTH + self._lengths.next()
        together = bus.sync_read(_ADDRESS, length, poll_list.asked, attempts=2, deadline=deadline)
        if together.complete and together.ids is group.ids:
            return self._evaluated(together)
        self._lengths.failed()
        replies = Replies.none(group.ids, length)
        replies.place(together, poll_list.places)
        asked = np.isin(group.ids, together.ids)
        if apart := poll_list.apart():
            # A short timeout: in most cases no reply comes.
            until = bus.clock.now() + bus.patience / 4 + bus.reply_time(len(apart), length)
            until = until if deadline is None else min(until, deadline)
            asked |= np.isin(group.ids, apart)
            found = bus.sync_read(_ADDRESS, length, apart, deadline=until)
            replies.place(found, np.array([group.ids.index(id) for id in apart]))
        if not replies.came.any():
            poll_list.reset()
            raise BusError(f"{group.no_answer(group.ids)}; check power, cable, id and baud")
        poll_list.note(asked, replies.came)
        return self._evaluated(replies)

    def _evaluated(self, replies: Replies) -> tuple[Measured, Mask, list[int]]:
        faulty = []
        # For so few values, a list is faster than NumPy's reduction.
        if any(replies.error.tolist()):
            self._group.require_accepted(replies, _ADDRESS)
            faulty = replies.having(ALERT)
        return _counts(replies.data), replies.came, faulty


def _counts(rows: Bytes) -> Measured:
    measured: Measured = rows[:, :_LENGTH].view(registers.MEASURED_COUNTS)[:, 0]
    return measured
