"""Restarts the servos that have shut down with a hardware error."""

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.errors import BusError

START_TIME = 2.0
"""Longest time from a reboot to a servo's first answer [s]."""


def restart_faulty(group: ServoGroup) -> list[str]:
    """Switches torque off at all servos, and reboots those with a hardware error.

    Returns:
        Names of the servos that were rebooted.

    Raises:
        BusError: a servo did not answer after its reboot.
    """
    bus, error = group.bus, registers.HARDWARE_ERROR
    group.write_all(registers.TORQUE_ENABLE, [0] * len(group.ids))
    found = group.ask(group.ids, error, 3).numbers(error)
    faulty = tuple(id for id, value in found.items() if value)
    for id in faulty:
        bus.reboot(id)
    until = bus.clock.now() + START_TIME
    while not group.ask(faulty, error, 2).complete:
        if bus.clock.now() > until:
            raise BusError(f"servo {group.names(faulty)} did not answer after its reboot")
    return [group.names([id]) for id in faulty]
