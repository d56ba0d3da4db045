"""One world of the batch as a Gymnasium environment, for other people's algorithms."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from inhand.controller.policy.observation import observation_size
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.mujoco_worlds.environment import BatchEnvironment, Rewards

Observation = NDArray[np.float32]
Action = NDArray[np.float32]


class HandEnvironment(gymnasium.Env[Observation, Action]):
    """The hand turns an object from goal to goal; an episode ends by a drop or a time-out.

    Observations are those of a perfect robot (`inhand.controller.policy.observation`); actions in
    [-1, 1] are targets around the rest pose, (n_actuators,). `info` has `goals_reached`, and
    `privileged`: what only a simulation knows.

    Args:
        hand: name or file of the hand.
        target: name or file of the object.
        goal_distance: of goals from where the object is, at most [rad].
        universe_scale: how wide universes vary; 0 is nominal.
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
        # Angles [rad], distances [m], unit vectors and rotations all stay within.
        self.observation_space = spaces.Box(-10.0, 10.0, (observation_size(self._hand),))
        self.action_space = spaces.Box(-1.0, 1.0, (self._hand.n_actuators,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode; a seed makes everything that follows repeatable."""
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
