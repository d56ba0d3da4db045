"""One world as a Gymnasium environment, for other learning algorithms."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from inhand.controller.policy.observation import observation_size
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.rewards import Rewards

Observation = NDArray[np.float32]
Action = NDArray[np.float32]


class HandEnvironment(gymnasium.Env[Observation, Action]):
    """The hand turns an object from goal to goal; an episode ends with a drop or a timeout.

    Observations have no measurement errors (`inhand.controller.policy.observation`); actions in
    [-1, 1] are targets around the hand's `action_zero`, (n_actuators,). `info` has `goals_reached`,
    and `privileged`: quantities that only a simulation can measure.

    Args:
        hand: name or file of the hand.
        target: name or file of the object.
        goal_distance: largest distance of a goal from the present orientation [rad].
        universe_scale: scale of the variation of universes; 0 is nominal.
        rewards: weights.
    """

    def __init__(
        self,
        hand: str = "dactyl24",
        target: str = "block",
        goal_distance: float = float(np.pi),
        universe_scale: float = 0.0,
        rewards: Rewards | None = None,
    ) -> None:
        self._hand, self._target = load_hand(hand), load_object(target)
        self._difficulty = goal_distance, universe_scale
        self._rewards = rewards
        self._worlds: BatchEnvironment | None = None
        # Angles [rad], distances [m], unit vectors and rotations are all within these bounds.
        self.observation_space = spaces.Box(-10.0, 10.0, (observation_size(self._hand),))
        self.action_space = spaces.Box(-1.0, 1.0, (self._hand.n_actuators,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode; with a seed, all later random draws are repeatable."""
        super().reset(seed=seed)
        if self._worlds is None or seed is not None:
            draw = int(self.np_random.integers(2**31))
            self._worlds = BatchEnvironment(
                self._hand, self._target, 1, threads=1, seed=draw, rewards=self._rewards
            )
        self._worlds.harden(*self._difficulty)
        return self._worlds.observe()[0], self._info(self._worlds)

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances one policy step; see `BatchEnvironment.step`."""
        if self._worlds is None:
            raise gymnasium.error.ResetNeeded("call reset before step")
        step = self._worlds.step(np.asarray(action, dtype=np.float64)[None])
        return (
            self._worlds.observe()[0],
            float(step.reward[0]),
            bool(step.dropped[0]),
            bool(step.timed_out[0]),
            self._info(self._worlds),
        )

    @staticmethod
    def _info(worlds: BatchEnvironment) -> dict[str, Any]:
        return {
            "goals_reached": int(worlds.goals_reached[0]),
            "privileged": worlds.privileged()[0],
        }
