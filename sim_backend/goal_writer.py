"""Sync writes of goal positions, to all servos of a line at once: a controller sends many."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.control_table import LARGEST_POSITION
from inhand.hardware.dynamixel.models import POSITION
from inhand.hardware.dynamixel.registers import COUNTS
from inhand.sim_backend.line_members import LineMembers
from inhand.sim_backend.servo import Servo
from inhand.sim_backend.servo_state import Counts, ServoState

_ROW = np.dtype([("id", "u1"), ("goal", "<i4")])
_HEAD = registers.GOAL_POSITION.address.to_bytes(2, "little") + b"\x04\x00"
"""Parameters of such a sync write before its rows: address and length."""


class GoalWriter:
    """Writes goals to many servos at once, and watches which goals leave the joints' limits.

    Args:
        members: the servos on the line.
        servos: all servos of the hand, in actuator order.
        state: their registers.
        limits: encoder counts of the joints' limits, (n_servos, 2), the lower one first.

    Attributes:
        outside: goals that moved a joint further outside its limits: beyond its limit, its last
            read position and its previous goal. As (servo id, goal in counts).
    """

    def __init__(
        self, members: LineMembers, servos: list[Servo], state: ServoState, limits: Counts
    ) -> None:
        self.outside: list[tuple[int, int]] = []
        self._members, self._servos, self._state = members, servos, state
        # One count of tolerance, as the limits are not whole counts.
        self._low, self._high = limits[:, 0] - 1, limits[:, 1] + 1
        self._place = {servo: place for place, servo in enumerate(servos)}
        self._last = np.zeros(len(servos), np.int64)
        self._commanded = np.zeros(len(servos), np.bool_)

    def write(self, parameters: bytes) -> bool:
        """Executes the parameters of a sync write, unless they need more than a plain write.

        Returns:
            Whether they were executed: goals to servos without motion profile and the like.
        """
        state = self._state
        if not parameters.startswith(_HEAD) or (len(parameters) - 4) % _ROW.itemsize:
            return False
        rows = np.frombuffer(parameters, _ROW, offset=4)
        places = self._where(rows["id"])
        if places is None or not state.plain():
            return False
        goals = rows["goal"].astype(np.int64)
        narrow = state.mode[places] == POSITION
        if narrow.any():
            low = np.where(narrow, state.least_position[places], -LARGEST_POSITION)
            high = np.where(narrow, state.most_position[places], LARGEST_POSITION)
            taken = (goals >= low) & (goals <= high)
        else:
            taken = np.abs(goals) <= LARGEST_POSITION
        self._note(places, goals, np.array([COUNTS * s.turns for s in self._servos])[places])
        state.goal[places[taken]] = goals[taken]
        return True

    def note(self, servo: Servo, goal: int) -> None:
        """Watches one goal [counts of the register]."""
        place = np.array([self._place[servo]])
        position = servo.joint_count(servo.get(registers.PRESENT_POSITION))
        self._judge(place, np.array([servo.joint_count(goal)]), np.array([position]))

    def _note(self, places: NDArray[np.intp], goals: Counts, turned: Counts) -> None:
        present = self._state.now["position"][places] - turned
        self._judge(places, goals - turned, present)

    def _judge(self, places: NDArray[np.intp], counts: Counts, present: Counts) -> None:
        last = np.where(self._commanded[places], self._last[places], present)
        # A joint outside its limits may stay where it is, or move back.
        low = np.minimum(np.minimum(self._low[places], present - 1), last - 1)
        high = np.maximum(np.maximum(self._high[places], present + 1), last + 1)
        self._last[places], self._commanded[places] = counts, True
        wrong = (counts < low) | (counts > high)
        if wrong.any():
            for i in np.flatnonzero(wrong).tolist():
                id = self._servos[int(places[i])].get(registers.ID)
                self.outside.append((id, int(counts[i])))

    def _where(self, ids: NDArray[np.uint8]) -> NDArray[np.intp] | None:
        """The rows of these servos; None if one is missing, or if servos share an id.

        None also if the method `write` of a servo was replaced, to inject a fault into it.
        """
        if self._members.twins:
            return None
        servos = [self._members.servos.get(id) for id in ids.tolist()]
        if len(set(servos)) != len(servos):
            return None
        places = [self._place[s] for s in servos if s is not None and "write" not in vars(s)]
        return np.array(places, np.intp) if len(places) == len(servos) else None
