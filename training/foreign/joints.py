"""The joints of a foreign policy, matched to the actuators of the hand."""

import numpy as np

from inhand.controller.errors import PolicyError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.training.foreign.policy_map import JointsMap, Numbers


def per_element(numbers: Numbers, size: int, what: str) -> Array:
    """Numbers of a map, one for each element, (size,).

    Raises:
        PolicyError: there are too many or too few; `what` says of what.
    """
    found = np.array(numbers, dtype=np.float64)
    if found.ndim and len(found) != size:
        raise PolicyError(f"{what} has {len(found)} numbers for {size} elements; give {size}, or 1")
    return np.broadcast_to(found, (size,)).copy()


class Joints:
    """The foreign policy's joints, beside the hand's actuators.

    Attributes:
        hand: the hand.
        names: its joints, in its order.
        columns: number of each in the hand's order, (m,).
        signs: (m,).
        offsets: [rad], (m,).
        matrix: signs in the columns of the hand's order, (m, n_actuators).
        fixed: targets of all actuators that it does not move [rad], `action_zero` elsewhere,
            (n_actuators,).
    """

    def __init__(self, given: JointsMap, hand: Hand) -> None:
        """Checks a map's joints.

        Raises:
            PolicyError: they do not fit the hand.
        """
        self.hand = hand
        known = hand.actuator_names
        self.names = list(given.order) or [name for name in known if name not in given.fixed]
        for name in [*self.names, *given.fixed]:
            if name not in known:
                raise PolicyError(
                    f"joints: hand {hand.name} has no joint {name!r:.40}; it has {', '.join(known)}"
                )
        named = [*self.names, *given.fixed]
        for name in known:
            if named.count(name) > 1:
                raise PolicyError(f"joints: {name} is named more than once; name it once")
        if missing := [name for name in known if name not in named]:
            raise PolicyError(
                f"joints: {len(self.names)} in the order and {len(given.fixed)} fixed, hand "
                f"{hand.name} has {len(known)}; add {', '.join(missing)} to joints.order, or with "
                "an angle to joints.fixed"
            )
        size = len(self.names)
        self.columns = np.array([known.index(name) for name in self.names], dtype=np.int64)
        self.signs = per_element(given.signs or 1.0, size, "joints.signs")
        self.offsets = per_element(given.offsets or 0.0, size, "joints.offsets")
        if not np.all(np.abs(self.signs) == 1.0):
            raise PolicyError("joints.signs: every sign is 1 or -1")
        self.matrix = np.zeros((size, hand.n_actuators))
        self.matrix[np.arange(size), self.columns] = self.signs
        self.fixed = hand.action_zero.copy()
        for name, angle in given.fixed.items():
            at = known.index(name)
            if not hand.lower[at] <= angle <= hand.upper[at]:
                raise PolicyError(
                    f"joints.fixed: {angle:g} rad is out of the range of {name}, "
                    f"{hand.lower[at]:g} to {hand.upper[at]:g} rad"
                )
            self.fixed[at] = angle

    def theirs(self, angles: Array) -> Array:
        """Angles of the hand's actuators [rad] in the policy's order and sense, (m,)."""
        return np.asarray(self.signs * angles[self.columns] + self.offsets)

    @property
    def range(self) -> tuple[Array, Array]:
        """Lower and upper ends of the joints' ranges in the policy's terms [rad], (m,) each."""
        ends = self.theirs(self.hand.lower), self.theirs(self.hand.upper)
        return np.minimum(*ends), np.maximum(*ends)
