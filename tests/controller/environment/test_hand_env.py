"""The environment over a daemon: a bench hand behind the real sockets, and a simulated hand."""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from inhand import Client, ClientError, HandEnv, RefusedError
from inhand.controller.config.settings import SafetySettings
from inhand.controller.policy.action import ActionPath
from inhand.errors import remedy
from tests.controller.bench_hand import HAND, Bench, learned
from tests.controller.served import Served

HOME = [1.0, 0.0, 0.0, 0.0]
Make = Callable[..., HandEnv]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


@pytest.fixture
def make(served: Served) -> Iterator[Make]:
    """Makes environments of the bench hand, and closes them."""
    made: list[HandEnv] = []

    def make(**arguments: Any) -> HandEnv:
        made.append(HandEnv(served.directory, **arguments))
        return made[-1]

    yield make
    for env in made:
        env.close()


def test_an_episode_moves_joints_and_ends_with_its_time(make: Make, served: Served) -> None:
    env = make(seconds=0.3, tolerance=0.2)
    seen, info = env.reset(seed=1, options={"goal": [0.0, 1.0, 0.0, 0.0]})
    assert seen in env.observation_space and info["error"] == pytest.approx(np.pi, abs=0.01)
    np.testing.assert_allclose(seen["desired_goal"], [0, 1, 0, 0], atol=1e-6)
    action = np.full(HAND.n_actuators, 0.1, np.float32)
    ends = []
    for _ in range(6):
        seen, reward, terminated, truncated, info = env.step(action)
        ends.append((terminated, truncated, info["stopped"]))
        assert seen in env.observation_space
        assert reward == pytest.approx(
            env.compute_reward(seen["achieved_goal"], seen["desired_goal"], info), abs=1e-4
        )
    assert ends == [(False, False, "")] * 5 + [(False, True, "")]
    wanted = ActionPath(HAND).target(action)
    assert np.abs(served.bench.servos - wanted).max() < 0.05
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(action)
    assert env.reset(options={"goal": HOME})[1]["is_success"]


def test_angles_and_vectors(make: Make, served: Served) -> None:
    env = make(action="angles", observation="box", reward="sparse", rate=10)
    seen, _ = env.reset(seed=1, options={"goal": HOME})
    assert seen.shape == env.observation_space.shape and env.action_space.contains(
        HAND.rest.astype(np.float32)
    )
    targets = HAND.rest + 0.05 * (HAND.upper - HAND.rest)
    for _ in range(4):
        seen, reward, *_ = env.step(targets.astype(np.float32))
    assert reward == 0.0
    np.testing.assert_allclose(seen[: HAND.n_actuators], targets, atol=0.03)


def test_rewards_of_many_goals_at_once(make: Make) -> None:
    env = make(reward="sparse", drop_reward=-5.0)
    turned = [[np.cos(a / 2), 0.0, 0.0, np.sin(a / 2)] for a in (0.0, 0.3, 0.5)]
    infos = [{"dropped": False}, {"dropped": True}, {"dropped": False}]
    found = env.compute_reward(np.array(turned), np.tile(HOME, (3, 1)), infos)
    np.testing.assert_array_equal(found, [0.0, -5.0, -1.0])


def test_a_dropped_object_ends_the_episode(make: Make, served: Served) -> None:
    env = make()
    env.reset(seed=1)
    served.bench.position = np.array([0.0, 0.0, -1.0])
    for _ in range(40):
        _, reward, terminated, _, info = env.step(env.action_space.sample() * 0)
        if terminated:
            break
    assert info["dropped"] and reward < -9.0
    with pytest.raises(ClientError, match="no object is seen in the hand; put it there .*waited"):
        env._session.begin(HAND.rest, lambda: np.array(HOME), 0.2)


def test_a_stopped_hand_truncates_and_is_not_started_again(make: Make, served: Served) -> None:
    env = make()
    env.reset(seed=1)
    with Client(served.directory, timeout=120) as somebody:
        somebody.call("estop")
        *_, truncated, info = env.step(env.action_space.sample())
        assert truncated and "not in mode estop" in info["stopped"]
        with pytest.raises(ClientError, match=r"mode estop .*`inhand clear`"):
            env.reset()
        somebody.call("clear")
    env.reset()


def test_hold_ends_the_episode_but_silence_does_not(tmp_path: Path) -> None:
    # Long enough for a busy machine to send an action in time.
    bench = Bench(learned(tmp_path), SafetySettings(manual_silence=4.0))
    with (
        Served(tmp_path, bench=bench),
        HandEnv(tmp_path) as env,
        Client(tmp_path, timeout=120) as somebody,
    ):
        somebody.subscribe()
        env.reset(seed=1)
        causes = (event.get("cause") for event in somebody.events(timeout=120))
        assert "idle" in causes
        *_, truncated, info = env.step(env.action_space.sample())
        assert not truncated and info["stopped"] == ""
        somebody.call("hold")
        *_, truncated, info = env.step(env.action_space.sample())
        assert truncated and "not in mode holding" in info["stopped"]


def test_a_hand_that_is_turning_goals_is_left_alone(make: Make, served: Served) -> None:
    with Client(served.directory, timeout=120) as hand:
        states = (told for topic, told in hand.messages(timeout=120) if topic == "state")
        assert any(state["object"]["in_hand"] for state in states)
        for request in ("enable", "arm"):
            hand.call(request)
        hand.call("goal", face="+x")
        with pytest.raises(ClientError, match="in mode running, for goals; `inhand disarm`"):
            make().reset(seed=1)
        assert hand.status()["mode"] == "running"


@pytest.mark.parametrize(
    "action", [np.zeros(3), np.full(HAND.n_actuators, np.nan), np.zeros((1, HAND.n_actuators))]
)
def test_actions_that_are_none(make: Make, action: np.ndarray) -> None:
    env = make()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(HAND.n_actuators))
    env.reset(seed=1)
    with pytest.raises(ValueError, match="an action is 20 finite numbers"):
        env.step(action)


def test_what_does_not_fit_is_said(make: Make, tmp_path: Path) -> None:
    for name, given in (("goal", [1.0, 1.0, 0.0, 0.0]), ("start", [1.0])):
        with pytest.raises(ValueError, match=f"{name} is a unit quaternion, wxyz"):
            make().reset(options={name: given})
    with pytest.raises(ClientError, match=r"has 20 actuators, leap has 16; name the daemon's hand"):
        make(hand="leap").reset()
    with pytest.raises(ValueError, match="multiple of policy rate 30"):
        make(rate=30)
    with pytest.raises(ClientError, match="no daemon in"):
        HandEnv(tmp_path / "none").reset()


def test_without_gymnasium_the_remedy_is_said() -> None:
    program = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "try:\n    from inhand import HandEnv\nexcept ImportError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert said.strip() == f"inhand.HandEnv: gymnasium is not installed; {remedy('gym')}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dict", "box"])
def test_a_simulated_hand_passes_the_checker_of_gymnasium(kind: str) -> None:
    env = HandEnv(observation=kind)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            check_env(env)
    finally:
        env.close()
    # Without a specification of `gymnasium.make`, it cannot make another one to draw.
    assert [str(w.message) for w in said if "render" not in str(w.message)] == []


@pytest.mark.slow
def test_a_run_with_a_seed_repeats_and_the_next_episode_begins_anew() -> None:
    runs = []
    for _ in range(2):
        env = HandEnv(seconds=1.0)
        try:
            seen = [env.reset(seed=3)[0]["observation"]]
            rng = np.random.default_rng(0)
            for _ in range(20):
                action = 0.3 * rng.standard_normal(HAND.n_actuators)
                seen.append(env.step(np.clip(action, -1, 1).astype(np.float32))[0]["observation"])
            again, info = env.reset()
            assert not info["dropped"] and info["stopped"] == ""
            runs.append(np.stack([*seen, again["observation"]]))
        finally:
            env.close()
    np.testing.assert_array_equal(runs[0], runs[1])


def test_a_hand_that_stops_on_the_way_is_not_waited_for(make: Make, served: Served) -> None:
    served.bench.answered = False
    # It stops as soon as it is enabled, as its servos do not answer.
    with pytest.raises((ClientError, RefusedError), match="no joint|mode fault|hand has stopped"):
        make(patience=0.1).reset()
