"""The calls that the usual program of a LEAP hand makes, through Robotis' SDK.

Ids are 0 to 15. It switches to current-based position mode, switches torque on, writes gains and
current limits, and then goes on with one sync write of the goals and one sync read of current,
velocity and position at once.
"""

from types import TracebackType

import numpy as np
from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, GroupSyncWrite, PacketHandler, PortHandler

from inhand.hardware.records import Array

IDS = range(16)
SIDEWAYS = 0, 4, 8
"""Joints that spread the fingers; they get three quarters of the gains."""
_P, _I, _D = 600, 0, 200
_POSITION_UNIT, _VELOCITY_UNIT, _CURRENT_UNIT = 2 * np.pi / 4096, 0.229 * 2 * np.pi / 60, 0.001
_MEASURED = np.dtype([("current", "<i2"), ("velocity", "<i4"), ("position", "<i4")])


class LeapClient:
    """The hand at a port, at 4 Mbaud."""

    def __init__(self, port: str) -> None:
        self._port, self._packets = PortHandler(port), PacketHandler(2.0)
        self._measured = GroupSyncRead(self._port, self._packets, 126, _MEASURED.itemsize)
        for id in IDS:
            assert self._measured.addParam(id)

    def __enter__(self) -> "LeapClient":
        assert self._port.openPort() and self._port.setBaudRate(4_000_000)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._switch(0)
        self._port.closePort()

    def start(self, current: int) -> None:
        """Gets ready to move, with a current limit for each servo [mA]."""
        self._write(11, 1, [5] * len(IDS))
        self._switch(1)
        for address, gain in ((84, _P), (82, _I), (80, _D)):
            scale = [0.75 if id in SIDEWAYS and address != 82 else 1.0 for id in IDS]
            self._write(address, 2, [int(gain * x) for x in scale])
        self._write(102, 2, [current] * len(IDS))
        for address, value in ((11, 5), (102, current), (64, 1)):
            assert self._read_one(3, address, 2 if address == 102 else 1) == value

    def command(self, angles: Array) -> None:
        """Sends goals [rad], (16,); 0 is at a servo's zero."""
        self._write(116, 4, [round(x / _POSITION_UNIT) for x in angles.tolist()])

    def read(self) -> tuple[Array, Array, Array]:
        """Position [rad], velocity [rad/s] and current [A], each (16,)."""
        assert self._measured.txRxPacket() == COMM_SUCCESS
        raw = b"".join(
            bytes(self._measured.data_dict[id][: _MEASURED.itemsize])  # as it came
            for id in IDS
        )
        rows = np.frombuffer(raw, _MEASURED)
        return (
            rows["position"] * _POSITION_UNIT,
            rows["velocity"] * _VELOCITY_UNIT,
            rows["current"] * _CURRENT_UNIT,
        )

    def _switch(self, on: int) -> None:
        for id in IDS:
            assert self._packets.write1ByteTxRx(self._port, id, 64, on) == (COMM_SUCCESS, 0)

    def _write(self, address: int, size: int, values: list[int]) -> None:
        group = GroupSyncWrite(self._port, self._packets, address, size)
        for id, value in zip(IDS, values, strict=True):
            assert group.addParam(id, list(value.to_bytes(size, "little", signed=True)))
        assert group.txPacket() == COMM_SUCCESS

    def _read_one(self, id: int, address: int, size: int) -> int:
        data, result, error = self._packets.readTxRx(self._port, id, address, size)
        assert (result, error) == (COMM_SUCCESS, 0)
        return int.from_bytes(bytes(data), "little")
