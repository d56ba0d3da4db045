"""Sensors of tensors measure what those of numpy do, from the same random numbers."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from inhand.controller.policy.observation import observation_size
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.training.learning.world_head import WORLD, world_labels
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.tensor_hand import TensorHand
from inhand.training.sensors.carrying import Carrying
from inhand.training.sensors.sensors import Sensors
from inhand.training.sensors.tensor_carrying import TensorCarrying
from inhand.training.sensors.tensor_draws import TensorDraws
from inhand.training.sensors.tensor_sensors import TensorSensors, sensors_of
from tests.training.mujoco_worlds.test_tensor_environment import (
    HAND,
    KINDS,
    TOLERANCE,
    WORLDS,
    alike,
    drawn,
    on_tensors,
    put,
)


class Same:
    """Random numbers that are the same in every world, for numpy and torch.

    So it does not matter that numpy draws for some worlds and torch for all of them.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self.begin(0)

    def begin(self, step: int) -> None:
        self._rng = np.random.default_rng([11, step])

    def standard_normal(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        return np.broadcast_to(self._rng.standard_normal(shape[1:]), shape).copy()

    def random(self, n: int) -> NDArray[np.float64]:
        return np.full(n, self._rng.random())

    def uniform(self, *given: Any) -> Any:
        if isinstance(given[0], float):
            low, high, shape = given
            shape = np.atleast_1d(shape)
            return low + (high - low) * np.broadcast_to(self._rng.random(shape[1:]), shape)
        row = np.broadcast_to(self._rng.random(given[1:]), given)
        return self._like.new_tensor(row.copy())

    def normal(self, *shape: int) -> Tensor:
        return self._like.new_tensor(self.standard_normal(shape))


class Copied:
    """The arrays of worlds as tensors of one type."""

    def __init__(self, worlds: BatchEnvironment, kind: torch.dtype) -> None:
        self._worlds, self._kind = worlds, kind

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._worlds, name)
        if not isinstance(value, np.ndarray):
            return value
        return torch.from_numpy(value).to(self._kind)


def both(ours: BatchEnvironment, theirs: Any, version: int) -> tuple[Sensors, TensorSensors]:
    """Sensors with the same random numbers, which begin again at the last reset."""
    one, other = Same(torch.zeros(1)), Same(theirs.goal)
    plain, made = Sensors(ours, 0, version), TensorSensors(theirs, 0, version, draws=other)
    plain._rng = one  # type: ignore[assignment]
    begin(plain, made, 0)
    for sensors in (plain, made):
        sensors.reset(np.arange(WORLDS))
    return plain, made


def begin(ours: Sensors, theirs: TensorSensors, step: int) -> None:
    """Begins the random numbers of a step; and more errors than a universe has."""
    for draws in (ours._rng, theirs._draws):
        draws.begin(step)  # type: ignore[union-attr]
    share = np.linspace(0.0, 1.0, WORLDS)
    ours._levels[:, 4:] = np.stack([0.5 * share, 0.05 * share, 0.3 * share], -1)
    theirs._levels[:, 4:] = theirs._levels.new_tensor(ours._levels[:, 4:])


def worlds_of(target: str, strength: float) -> BatchEnvironment:
    made = BatchEnvironment(HAND, load_object(target), WORLDS, 1, 5)
    made.variation.draw(np.arange(WORLDS), np.random.default_rng(3), drawn(strength))
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("target", "strength"), [("block", 0.8), ("prism", 0.0)])
def test_measurements_are_those_of_numpy(target: str, strength: float, kind: torch.dtype) -> None:
    """Noise, bias, late, missing, frozen and wild poses, and episodes that begin anew."""
    ours = worlds_of(target, strength)
    plain, made = both(ours, Copied(ours, kind), version=3)
    rng = np.random.default_rng(1)
    ages, wild, differences = [], 0, []
    for step in range(50):
        if step % 4 == 0:
            actions = rng.uniform(-1.0, 1.0, (WORLDS, HAND.n_actuators))
        ours.step(actions)
        if step % 10 == 9:
            ids = np.sort(rng.choice(WORLDS, 3, replace=False))
            ours.reset(ids)
            begin(plain, made, 1000 + step)
            plain.reset(ids)
            made.reset(ids)
        begin(plain, made, step)
        expected, found = plain.observe(), made.observe()
        assert found.dtype == torch.float32
        hidden = np.abs(made.privileged().numpy() - plain.privileged())
        seen = np.abs(found.numpy() - expected)
        # As errors of rotations: a velocity is one divided by 0.05 s, the hidden error by 0.2 rad.
        seen[:, -12:-9] *= 0.05
        hidden[:, -3:] *= 0.2
        differences.append(np.concatenate([seen, hidden], -1))
        ages.append(expected[:, -13])
        wild += int((np.abs(plain._place - ours.object_position).max(-1) > 0.02).sum())
    assert np.max(ages) > 0.3 and np.min(ages) < 0.06 and wild > 0
    if kind == torch.float64:
        assert np.max(differences) < TOLERANCE
        return
    # The last digit decides whether a point is near enough to touch.
    assert np.quantile(differences, 0.998) < TOLERANCE
    assert np.max(differences) < 1e-3


@pytest.mark.parametrize("strength", [0.0, 0.8])
def test_a_students_policy_steps_are_those_of_numpy(strength: float) -> None:
    """Worlds and sensors of both kinds side by side in C MuJoCo, and what is estimated of them."""
    ours, theirs = worlds_of("block", strength), on_tensors("block")
    theirs.variation.draw(np.arange(WORLDS), np.random.default_rng(3), drawn(strength))
    theirs._universes.send(np.arange(WORLDS))
    put(ours, theirs)
    plain, made = both(ours, theirs, version=2)
    weights = np.random.default_rng(2).normal(0.0, 0.1, (observation_size(HAND, 2), 20))
    for step in range(24):
        begin(plain, made, step)
        one, other = plain.observe(), made.observe()
        alike(other, one, f"observation of step {step}")
        alike(made.privileged(), plain.privileged(), f"hidden in step {step}")
        labels = world_labels(theirs, made.believed)
        assert labels.shape == (WORLDS, len(WORLD)) and labels.dtype == torch.float32
        alike(labels, world_labels(ours, plain.believed).numpy(), f"labels of step {step}")
        actions = np.tanh(one @ weights)
        ours.step(actions)
        theirs.step(torch.from_numpy(actions))
        ours._goal_steps[:] = 0
        put(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["block", "prism"])
def test_a_hand_moves_its_object_as_in_numpy(target: str, kind: torch.dtype) -> None:
    shape, rng, n = load_object(target), np.random.default_rng(5), 200
    before = HAND.rest + 0.1 * rng.standard_normal((n, HAND.n_actuators))
    after = before + 0.05 * rng.standard_normal(before.shape)
    place = np.array(HAND.workspace.object_start) + 0.01 * rng.standard_normal((n, 3))
    place[:20] += rng.uniform(-0.1, 0.1, (20, 3))
    place[-1] += 1.0  # far from the hand
    turn = rotations.random_quaternion(rng, (n,))
    like = torch.zeros(1, dtype=kind)
    given = [torch.from_numpy(array).to(kind) for array in (before, after, place, turn)]
    found = TensorCarrying(HAND, shape, TensorHand(HAND, like)).motion(*given)
    expected = Carrying(HAND, shape).motion(before, after, place, turn)
    assert np.abs(expected).max() > 0.05
    alike(found, expected)


def test_what_is_drawn_is_drawn_as_often() -> None:
    """By torch's own generator: noise, biases, missing poses and their age, as in numpy."""
    strong = drawn(0.8)
    means = []
    for on_device in (False, True):
        worlds: Any = worlds_of("block", 0.8)
        worlds.variation.draw(np.arange(WORLDS), np.random.default_rng(4), strong)
        if on_device:
            worlds = Copied(worlds, torch.float32)
        sensors = sensors_of(worlds, seed=3, version=1)
        assert isinstance(sensors, TensorSensors) == on_device
        rows = []
        for _ in range(30):
            for _ in range(4):
                seen = np.asarray(sensors.observe())
                rows.append(np.concatenate([seen[1:, :20], seen[1:, -1:]], -1))
            sensors.reset(np.arange(WORLDS))
        episodes = np.array(rows).reshape(30, 4, WORLDS - 1, 21)
        biases = episodes[..., :20].mean(1).std(0).mean()
        noise = (episodes[..., :20] - episodes[..., :20].mean(1)[:, None]).std()
        means.append([biases, noise, episodes[:, 2:, :, 20].mean()])
    np.testing.assert_allclose(means[1], means[0], rtol=0.1)


class Asked(TorchDispatchMode):
    """Notes what makes the host wait for a device, or would copy from it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, flat = str(func), torch.utils._pytree.tree_leaves(args)
        masked = "index" in name and any(
            isinstance(one, Tensor) and one.dtype == torch.bool for one in flat[1:]
        )
        if masked or any(word in name for word in ("_local_scalar_dense", "nonzero", "masked_sel")):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def test_a_measurement_asks_the_device_for_nothing() -> None:
    worlds = on_tensors()
    sensors = TensorSensors(worlds, 0)
    with Asked() as asked:
        bool(torch.ones(1) > 0.0)
        torch.ones(2)[torch.tensor([True, False])]
    assert len(asked.found) == 2, "it notices"
    with Asked() as asked:
        sensors.observe()
        sensors.privileged()
        world_labels(worlds, sensors.believed)
    assert asked.found == []


def test_random_numbers_repeat_by_their_seed() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    one, same, other = (TensorDraws(like, seed) for seed in (1, 1, 2))
    first = one.uniform(50)
    assert first.dtype == like.dtype and 0.0 <= first.min() < first.max() < 1.0
    assert torch.equal(same.uniform(50), first) and not torch.equal(other.uniform(50), first)
    assert torch.equal(one.normal(3, 2), same.normal(3, 2))
