"""Links of a hand that overlap in a pose, by MuJoCo."""

import mujoco

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.model import OBJECT, build_spec


class Collisions:
    """Finds overlaps between links that collide with each other in simulation."""

    def __init__(self, hand: Hand) -> None:
        spec = build_spec(hand, load_object("block"))
        spec.delete(spec.body(OBJECT))
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._hand = hand
        self._places = [
            int(self._model.jnt_qposadr[self._model.joint(name).id]) for name in hand.joint_names
        ]

    def __call__(self, angles: Array) -> list[tuple[str, str]]:
        """Pairs of links, by name, that overlap.

        Args:
            angles: of the actuators [rad], (n_actuators,).
        """
        self._data.qpos[self._places] = self._hand.joint_angles(angles)
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_collision(self._model, self._data)
        pairs = set()
        for contact in self._data.contact[: self._data.ncon]:
            bodies = self._model.geom_bodyid[contact.geom]
            if contact.dist < 0:
                one, two = (self._name(int(body)) for body in bodies)
                pairs.add((one, two))
        return sorted(pairs)

    def _name(self, body: int) -> str:
        return str(self._model.body(body).name) if body else self._hand.root
