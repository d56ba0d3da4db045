"""The replies of several servos to one read of the same registers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel.registers import Register

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Replies:
    """One row for each servo that was asked.

    Attributes:
        ids: servos asked, in the order of the rows.
        came: whether an intact reply came, (n,).
        error: error bytes, (n,); 0 where no reply came.
        data: register bytes, (n, length); 0 where no reply came.
        complete: whether all servos have answered.
    """

    ids: tuple[int, ...]
    came: Mask
    error: Bytes
    data: Bytes
    complete: bool

    @classmethod
    def none(cls, ids: Sequence[int], length: int) -> "Replies":
        """Replies before any servo has answered."""
        n = len(ids)
        came, error, data = np.zeros(n, np.bool_), np.zeros(n, "u1"), np.zeros((n, length), "u1")
        return cls(tuple(ids), came, error, data, not n)

    @property
    def silent(self) -> list[int]:
        """Ids of the servos that have not answered."""
        return [id for id, came in zip(self.ids, self.came.tolist(), strict=True) if not came]

    def having(self, bits: int) -> list[int]:
        """Servos whose error byte has one of these bits."""
        return [id for id, error in zip(self.ids, self.error.tolist(), strict=True) if error & bits]

    def put(self, id: int, error: int, data: bytes) -> None:
        """Adds the reply of one servo."""
        row = self.ids.index(id)
        self.came[row], self.error[row] = True, error
        self.data[row, : len(data)] = np.frombuffer(data, np.uint8)
        self.complete = bool(self.came.all())

    def place(self, others: "Replies", rows: NDArray[np.intp]) -> None:
        """Copies the replies of some of these servos; `rows` are their rows here, (m,)."""
        rows, came = rows[others.came], others.came
        self.came[rows] = True
        self.error[rows], self.data[rows] = others.error[came], others.data[came]
        self.complete = bool(self.came.all())

    def numbers(self, register: Register) -> Mapping[int, int]:
        """The register's values, by id, of the servos that answered."""
        rows = zip(self.ids, self.came.tolist(), self.data, strict=True)
        return {id: register.unpack(row.tobytes()) for id, came, row in rows if came}
