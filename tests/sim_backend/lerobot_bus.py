"""The calls that lerobot's DynamixelMotorsBus makes, through Robotis' SDK.

lerobot 0.4 itself needs torch below 2.11, OpenCV below 4.13 and dynamixel-sdk below 3.9, which
exclude the versions here. This class makes the same calls in the same order; it was compared with
lerobot 0.4.4, which ran against `inhand emulate` in an environment of its own.
"""

from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, GroupSyncWrite, PacketHandler, PortHandler

REGISTERS = {
    "Return_Delay_Time": (9, 1),
    "Operating_Mode": (11, 1),
    "Homing_Offset": (20, 4),
    "Max_Position_Limit": (48, 4),
    "Min_Position_Limit": (52, 4),
    "Torque_Enable": (64, 1),
    "Position_P_Gain": (84, 2),
    "Goal_Current": (102, 2),
    "Goal_Position": (116, 4),
    "Present_Position": (132, 4),
}
_MIDDLE, _LAST = 2047, 4095
_EXTENDED = 4


class LerobotBus:
    """Motors at a port, at 1 Mbaud.

    Args:
        port: device file.
        ids: of the motors, by name.
        model: number of their model.
    """

    def __init__(self, port: str, ids: dict[str, int], model: int) -> None:
        self.ids, self._model = ids, model
        self._port, self._packets = PortHandler(port), PacketHandler(2.0)

    def connect(self) -> None:
        """Opens the port and checks that every motor is there."""
        assert self._port.openPort()
        for id in self.ids.values():
            assert self._packets.ping(self._port, id) == (self._model, COMM_SUCCESS, 0)
        assert self._port.setBaudRate(1_000_000)

    def configure(self) -> None:
        """Torque off, no return delay, extended position mode."""
        self.write_all("Torque_Enable", 0)
        self.write_all("Return_Delay_Time", 0)
        self.write_all("Operating_Mode", _EXTENDED)

    def home(self) -> dict[str, int]:
        """Makes the present positions the middle of a turn; returns the offsets."""
        for name, value in (
            ("Homing_Offset", 0),
            ("Min_Position_Limit", 0),
            ("Max_Position_Limit", _LAST),
        ):
            self.write_all(name, value)
        offsets = {k: _MIDDLE - v for k, v in self.sync_read("Present_Position").items()}
        for motor, offset in offsets.items():
            self.write("Homing_Offset", motor, offset)
        return offsets

    def calibrate(self, offsets: dict[str, int], low: int, high: int) -> None:
        """Writes offsets and ranges of motion."""
        for motor, offset in offsets.items():
            self.write("Homing_Offset", motor, offset)
            self.write("Min_Position_Limit", motor, low)
            self.write("Max_Position_Limit", motor, high)

    def is_calibrated(self, offsets: dict[str, int], low: int, high: int) -> bool:
        """Whether the motors have these offsets and ranges."""
        return (
            self.sync_read("Homing_Offset") == offsets
            and set(self.sync_read("Min_Position_Limit").values()) == {low}
            and set(self.sync_read("Max_Position_Limit").values()) == {high}
        )

    def write_all(self, register: str, value: int) -> None:
        """Writes a register of every motor, one by one."""
        for motor in self.ids:
            self.write(register, motor, value)

    def write(self, register: str, motor: str, value: int) -> None:
        """Writes a register.

        Raises:
            ConnectionError: the motor refused.
        """
        address, size = REGISTERS[register]
        data = list(value.to_bytes(size, "little", signed=value < 0))
        result, error = self._packets.writeTxRx(self._port, self.ids[motor], address, size, data)
        assert result == COMM_SUCCESS
        if error:
            raise ConnectionError(self._packets.getRxPacketError(error))

    def read(self, register: str, motor: str) -> int:
        """Reads a register of a motor."""
        address, size = REGISTERS[register]
        data, result, error = self._packets.readTxRx(self._port, self.ids[motor], address, size)
        assert (result, error) == (COMM_SUCCESS, 0)
        return int.from_bytes(bytes(data), "little", signed=True)

    def sync_read(self, register: str) -> dict[str, int]:
        """Reads a register of all motors."""
        address, size = REGISTERS[register]
        group = GroupSyncRead(self._port, self._packets, address, size)
        for id in self.ids.values():
            group.addParam(id)
        assert group.txRxPacket() == COMM_SUCCESS
        bound = 1 << (8 * size)
        values = {motor: group.getData(id, address, size) for motor, id in self.ids.items()}
        return {motor: x - bound if 2 * x >= bound else x for motor, x in values.items()}

    def sync_write(self, register: str, values: dict[str, int]) -> None:
        """Writes a register of several motors at once."""
        address, size = REGISTERS[register]
        group = GroupSyncWrite(self._port, self._packets, address, size)
        for motor, value in values.items():
            group.addParam(self.ids[motor], list(value.to_bytes(size, "little")))
        assert group.txPacket() == COMM_SUCCESS

    def disconnect(self) -> None:
        """Switches torque off and closes the port."""
        self.write_all("Torque_Enable", 0)
        self._port.closePort()
