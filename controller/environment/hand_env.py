"""A running hand, simulated or real, as a Gymnasium environment.

Actions are joint commands in mode `manual`: they pass all limits of the daemon.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inhand.controller.client.connection import Message
from inhand.controller.environment.session import HandSession
from inhand.controller.errors import ClientError
from inhand.controller.policy.action import ActionPath
from inhand.controller.policy.observation import observation_layout, observe
from inhand.errors import remedy
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import fingertip_positions
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import load_object

try:
    import gymnasium
    from gymnasium import spaces
except ModuleNotFoundError as missing:
    raise ImportError(
        f"inhand.HandEnv: {missing.name} is not installed; {remedy('gym')}"
    ) from missing

Vector = NDArray[np.float32]
Observation = Vector | dict[str, Vector]

_BOUND = 20.0
"""Of all observed values: angles [rad], places [m], speeds [rad/s]."""

_SLOWEST = 1e-3
_FASTEST = 20.0
"""Bounds of the speed of a joint command [rad/s]."""

_FLAT = 2
_WHOLE = 3
"""Versions of the policies' observation: for `box`, and with orientations for `dict`."""


class HandEnv(gymnasium.Env[Observation, Vector]):
    """The hand turns the object to one goal an episode, which ends with a drop or by its time.

    Without arguments it starts a simulated hand of its own, in simulated time. That hand waits
    while the program computes, and starts anew with each `reset(seed=...)`, so that runs repeat. A
    real hand runs on: its targets stay for 0.5 s, then the hand holds until the next step.

    Observations of kind `dict` have `observation`, `achieved_goal` and `desired_goal` (orientations
    as quaternions wxyz with a real part that is not negative); `box` is the vector that policies
    read (`inhand.controller.policy.observation`, version 2). `info` has `error` (rotation to go
    [rad]), `is_success`, `dropped`, `t` (the hand's time [s]) and `stopped` (why the hand no
    longer takes commands; empty if it does).

    Args:
        directory: of a running daemon's sockets; None: see `simulate`.
        key: file from `inhand keys generate`, for a daemon on another machine.
        simulate: whether to start a simulated hand; None: if neither `directory` nor `key` is
            given. False looks for a daemon in the usual places.
        hand: name or file of the hand; the daemon must use the same.
        target: name or file of the object; the daemon must use the same.
        rate: steps a second [Hz]; must divide 100.
        seconds: length of an episode [s].
        observation: kind of the observations.
        action: `around_rest`: 0 is the hand's `action_zero`, by default its rest pose, -1 and 1
            the ends of each range; `angles`: joint targets [rad].
        reward: `dense`: -(rotation to go)/π; `sparse`: 0 within tolerance, else -1.
        drop_reward: added when the object is dropped.
        tolerance: largest rotation to go that is a success [rad].
        real_time: whether the simulated hand that is started runs in real time.
        patience: how long somebody may take to put the object into a real hand [s].
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        key: str | Path | None = None,
        simulate: bool | None = None,
        hand: str = "dactyl24",
        target: str = "block",
        rate: int = 20,
        seconds: float = 20.0,
        observation: Literal["dict", "box"] = "dict",
        action: Literal["around_rest", "angles"] = "around_rest",
        reward: Literal["dense", "sparse"] = "dense",
        drop_reward: float = -10.0,
        tolerance: float = 0.4,
        real_time: bool = False,
        patience: float = 60.0,
    ) -> None:
        self._hand, self._target = load_hand(hand), load_object(target)
        self._path = ActionPath(self._hand, policy_rate=rate, smoothing=1.0)
        self._period, self._steps_left = 1.0 / rate, 0
        self._steps = max(1, round(seconds * rate))
        self._kind, self._angles, self._dense = observation, action == "angles", reward == "dense"
        self._drop_reward, self._tolerance, self._patience = drop_reward, tolerance, patience
        own = simulate if simulate is not None else directory is None and key is None
        self._session = HandSession(
            None if directory is None else Path(directory),
            None if key is None else Path(key),
            owned=own,
            real_time=real_time,
            settings={"hand": hand, "object": target, "policy": {"file": ""}},
        )
        self._goal = rotations.IDENTITY
        self._due = 0.0
        self.observation_space: spaces.Space[Any] = self._observation_space()
        bounds = (self._hand.lower, self._hand.upper) if self._angles else (-1.0, 1.0)
        low, high = (np.broadcast_to(b, (self._hand.n_actuators,)) for b in bounds)
        self.action_space = spaces.Box(low.astype(np.float32), high.astype(np.float32))

    def _observation_space(self) -> "spaces.Space[Any]":
        sizes = [size for _, size, _ in observation_layout(self._hand, _FLAT)]
        if self._kind == "box":
            return spaces.Box(-_BOUND, _BOUND, (sum(sizes),), np.float32)
        size = int(self._shown().sum())
        return spaces.Dict(
            {
                "observation": spaces.Box(-_BOUND, _BOUND, (size,), np.float32),
                "achieved_goal": spaces.Box(-1.0, 1.0, (4,), np.float32),
                "desired_goal": spaces.Box(-1.0, 1.0, (4,), np.float32),
            }
        )

    def _shown(self) -> NDArray[np.bool_]:
        """Which elements of the whole observation say nothing about the goal."""
        layout = observation_layout(self._hand, _WHOLE)
        about = ("rotation_to_go", "goal", "object_orientation")
        return np.concatenate([[not name.startswith(about)] * size for name, size, _ in layout])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Moves the hand to rest, has the object put into it, and draws a goal.

        Args:
            seed: of the goals, and of the simulated hand that is started for it.
            options: `goal` and `start`: orientations of goal and object, wxyz; `start` is for
                simulated hands.

        Raises:
            StartError: the simulated hand did not come up.
            ClientError: the hand cannot be reached, is in use or stopped, or has no object in it.
            RefusedError: the daemon refused, for example as another program is in control.
        """
        super().reset(seed=seed)
        given = options or {}
        start, goal = (_unit(given.get(name), name) for name in ("start", "goal"))
        drawn = rotations.random_quaternion(self.np_random)
        if self._session.hand is None or (self._session.owned and seed is not None):
            self._session.open(int(self.np_random.integers(2**31)))

        def draw() -> Array:
            return rotations.random_quaternion(self.np_random) if start is None else start

        self._require_same_hand(self._session.look())
        status = self._session.begin(self._hand.rest, draw, self._patience)
        self._goal = drawn if goal is None else goal
        self._steps_left, self._due = self._steps, self._now()
        return self._observation(status), self._info(status, "")

    def step(self, action: Vector) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Sends joint targets and waits for one period.

        The targets move evenly, so that they arrive at the end of the period, within the limits.

        Args:
            action: (n_actuators,), as the argument `action` says.

        Raises:
            ResetNeeded: there is no episode.
            ClientError: the hand cannot be reached.
        """
        if self._session.hand is None or self._steps_left < 1:
            raise gymnasium.error.ResetNeeded("call reset before step")
        given = np.asarray(action, dtype=np.float64)
        if given.shape != (self._hand.n_actuators,) or not np.isfinite(given).all():
            raise ValueError(f"an action is {self._hand.n_actuators} finite numbers, not {action}")
        wanted = given if self._angles else self._path.target(given)
        targets = np.clip(wanted, self._hand.lower, self._hand.upper)
        way = float(np.abs(targets - self._targets).max())
        speed = float(np.clip(way / self._period, _SLOWEST, _FASTEST))
        stopped = self._session.move(targets, speed)
        self._due = max(self._due + self._period, self._now())
        self._session.hand.sleep(self._due - self._now())
        status = self._session.hand.status()
        self._steps_left -= 1
        info = self._info(status, stopped)
        truncated = self._steps_left == 0 or bool(stopped)
        if info["dropped"] or truncated:
            self._steps_left = 0
        observation = self._observation(status)
        return observation, self._reward(status, info), info["dropped"], truncated, info

    def compute_reward(
        self, achieved_goal: Array, desired_goal: Array, info: dict[str, Any] | Any
    ) -> Any:
        """The reward for orientations, as learners with relabelled goals need it.

        Args:
            achieved_goal: wxyz, (..., 4).
            desired_goal: wxyz, (..., 4).
            info: of the step, or an array of them.

        Returns:
            (...).
        """
        error = rotations.angle_between(
            rotations.normalize(np.asarray(achieved_goal, np.float64)),
            rotations.normalize(np.asarray(desired_goal, np.float64)),
        )
        found = -error / np.pi if self._dense else -(error > self._tolerance).astype(np.float64)
        infos = [info] if isinstance(info, dict) else list(info)
        dropped = np.array([bool(one.get("dropped")) for one in infos]).reshape(found.shape)
        return found + self._drop_reward * dropped

    def close(self) -> None:
        """Disconnects; a hand that was started here is ended, another one holds."""
        self._session.close()

    def _now(self) -> float:
        assert self._session.hand is not None
        return self._session.hand.now()

    def _require_same_hand(self, status: Message) -> None:
        count = len(status["joints"]["position"])
        if count != self._hand.n_actuators:
            raise ClientError(
                f"the daemon's hand has {count} actuators, {self._hand.name} has "
                f"{self._hand.n_actuators}; name the daemon's hand: HandEnv(hand=...)"
            )

    def _observation(self, status: Message) -> Observation:
        joints, pose = status["joints"], status["object"]["pose"]
        position = np.array(joints["position"])
        self._targets = np.array(status["targets"])
        self._achieved = np.array(pose["quaternion"])
        values = observe(
            self._hand,
            self._target,
            joint_position=position,
            sent_target=self._targets,
            fingertips=fingertip_positions(self._hand, position),
            object_position=np.array(pose["position"]),
            object_quaternion=self._achieved,
            goal_quaternion=self._goal,
            pose_age=np.array(pose["age"]),
            object_angular_velocity=np.array(pose["angular_velocity"]),
            goal_tolerance=np.array(self._tolerance),
            version=_FLAT if self._kind == "box" else _WHOLE,
        )
        values = np.clip(values, -_BOUND, _BOUND).astype(np.float32)
        if self._kind == "box":
            return values
        return {
            "observation": values[self._shown()],
            "achieved_goal": values[-8:-4],
            "desired_goal": values[-4:],
        }

    def _reward(self, status: Message, info: dict[str, Any]) -> float:
        return float(self.compute_reward(self._achieved, self._goal, info))

    def _info(self, status: Message, stopped: str) -> dict[str, Any]:
        turned = np.array(status["object"]["pose"]["quaternion"])
        error = float(rotations.angle_between(turned, self._goal))
        return {
            "error": error,
            "is_success": error <= self._tolerance,
            "dropped": not status["object"]["in_hand"],
            "t": status["t"],
            "stopped": stopped,
        }


def _unit(quaternion: Any, name: str) -> Array | None:
    """A quaternion of the options."""
    if quaternion is None:
        return None
    given = np.asarray(quaternion, dtype=np.float64)
    length = float(np.linalg.norm(given)) if given.shape == (4,) else 0.0
    if not 0.99 < length < 1.01:
        raise ValueError(f"reset: {name} is a unit quaternion, wxyz, not {quaternion}")
    return np.asarray(given / length)
