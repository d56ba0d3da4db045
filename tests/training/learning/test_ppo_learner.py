"""The rollout that teacher and refinement share equals PPO's loop written out."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.experience import scale_of
from inhand.training.learning.networks import Network, teacher_inputs
from inhand.training.learning.ppo import PpoRecipe, advantages
from inhand.training.learning.ppo_learner import Rollout, step_worlds
from inhand.training.learning.refine import Refinement, RefineRecipe
from inhand.training.learning.student import Student, StudentRecipe
from inhand.training.learning.teacher import Recipe, Teacher
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.rewards import Rewards

WORLDS = 24
PLAIN = Recipe(worlds=WORLDS, horizon=30, normalize_iterations=1, bfloat16=False)


def make_worlds(seed: int, seconds_per_goal: float = 1.0) -> BatchEnvironment:
    rewards = Rewards(seconds_per_goal=seconds_per_goal)  # short, so that episodes end on the way
    hand, block = load_hand("dactyl24"), load_object("block")
    return BatchEnvironment(hand, block, WORLDS, 1, seed, rewards)


def make_teacher() -> Teacher:
    return Teacher(make_worlds(1), PLAIN)


def make_refinement() -> Refinement:
    worlds = make_worlds(2)
    worlds.harden(float(np.pi), 1.0)
    torch.manual_seed(5)
    teacher = Network(teacher_inputs(worlds, "cpu").shape[1], worlds.hand.n_actuators, 0.3)
    student = Student(worlds, teacher, StudentRecipe(worlds=WORLDS, hidden=16)).network
    return Refinement(
        worlds, student, teacher, RefineRecipe(worlds=WORLDS, horizon=30, bfloat16=False)
    )


@torch.no_grad()
def written_out(
    worlds: BatchEnvironment,
    recipe: PpoRecipe,
    network: Network,
    log_deviation: Tensor,
    look: Callable[[], Tensor],
    act: Callable[[Tensor], Tensor],
    restart: Callable[[np.ndarray], None],
) -> dict[str, Tensor]:
    """One rollout from the start of a run, as a plain loop."""
    noise, fresh_share = 0.0, float(np.sqrt(1.0 - recipe.persistence**2))
    rows: dict[str, list[Tensor]] = {
        name: [] for name in ("inputs", "actions", "means", "alive", "reward", "value")
    }
    for _ in range(recipe.horizon):
        seen = look()
        mean = act(seen)
        x = network.normalize(seen)
        fresh = fresh_share * torch.randn_like(mean)
        noise = recipe.persistence * noise + fresh
        action = mean + log_deviation.exp() * noise
        step = worlds.step(action.numpy().astype(np.float64))
        over = step.dropped | step.timed_out
        worlds.reset(np.flatnonzero(over))
        restart(np.flatnonzero(over))
        for name, value in (
            ("inputs", x),
            ("actions", mean + log_deviation.exp() * fresh),
            ("means", mean),
            ("alive", torch.as_tensor(~over, dtype=torch.float32)),
            ("reward", torch.as_tensor(step.reward, dtype=torch.float32)),
            ("value", network.critic(x)[:, 0]),
        ):
            rows[name].append(value)
    following = network.critic(network.normalize(look()))[:, 0]
    gain = advantages(
        rows.pop("reward"), rows["value"], rows["alive"], following, recipe.discount, recipe.trace
    )
    rows["values"] = rows.pop("value")
    returns = gain + torch.stack(rows["values"])
    gain = (gain - gain.mean()) / (gain.std() + 1e-8)
    rows["log_deviation"] = [log_deviation.expand(gain.shape[1], -1)] * recipe.horizon
    return {"returns": returns, "gain": gain, **{k: torch.stack(v) for k, v in rows.items()}}


def assert_same(rollout: Rollout, plain: dict[str, Tensor]) -> None:
    assert (plain["alive"] == 0).any(), "no episode ended in the rollout"
    for name in plain:
        mine, theirs = getattr(rollout, name), plain[name]
        if name in ("values", "returns", "gain"):
            # The critic's values of a rollout are computed at one go, which rounds otherwise.
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
        else:
            assert torch.equal(mine, theirs), name


def test_a_teachers_rollout_is_the_plain_loop() -> None:
    shared, plain = make_teacher(), make_teacher()
    torch.manual_seed(9)
    rollout = shared._rollout()

    def act(seen: Tensor) -> Tensor:
        plain.network.join_scale(scale_of(seen))
        return plain.network.actor(plain.network.normalize(seen))

    torch.manual_seed(9)
    assert_same(
        rollout,
        written_out(
            plain.worlds,
            plain.recipe,
            plain.network,
            plain.network.log_deviation,
            lambda: teacher_inputs(plain.worlds, "cpu"),
            act,
            lambda ended: None,
        ),
    )


def test_a_refinements_rollout_is_the_plain_loop() -> None:
    shared, plain = make_refinement(), make_refinement()
    torch.manual_seed(9)
    sequences = shared._rollout()
    sensors, state = plain.policy.sensors, plain.network.start(WORLDS)

    seen = plain._observe()

    def look() -> Tensor:
        hidden = torch.as_tensor(sensors.privileged())
        true = teacher_inputs(plain.worlds, "cpu")
        return torch.cat([true, plain.network.normalize(seen), hidden, *state], -1)

    def act(_: Tensor) -> Tensor:
        nonlocal state
        mean, state = plain.network(seen, state)
        return mean

    def restart(ended: np.ndarray) -> None:
        nonlocal state, seen
        sensors.reset(ended)
        seen = torch.as_tensor(sensors.observe())
        keep = torch.ones(WORLDS, 1)
        keep[ended] = 0.0
        state = state[0] * keep, state[1] * keep

    torch.manual_seed(9)
    assert_same(
        sequences.rollout,
        written_out(
            plain.worlds, plain.recipe, plain.teacher, plain.log_deviation, look, act, restart
        ),
    )
    for mine, theirs in zip(shared.policy.state, state, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0.0, atol=0.0)


def test_a_step_counts_goals_and_drops_before_it_resets() -> None:
    worlds = make_worlds(3, seconds_per_goal=0.05)  # one policy step: every goal times out at once
    worlds.goals_reached[:] = np.arange(WORLDS)
    step = step_worlds(worlds, torch.zeros(WORLDS, worlds.hand.n_actuators), "cpu")
    assert step.ended.tolist() == list(range(WORLDS))
    assert (step.alive == 0).all()
    # A world may have reached one more goal in the step.
    assert all(0 <= goals - i <= 1 for i, goals in enumerate(step.goals))
    assert (worlds.goals_reached == 0).all()
    assert not any(step.dropped)


@pytest.mark.parametrize("learner", [make_teacher, make_refinement])
def test_a_rollout_side_by_side_has_the_same_samples(
    learner: Callable[[], Teacher | Refinement],
) -> None:
    rollout = learner()._rollout()
    rollout = rollout if isinstance(rollout, Rollout) else rollout.rollout
    flat = rollout.as_one_step()
    assert flat.gain.shape == (1, 30 * WORLDS)
    assert torch.equal(flat.means.reshape(rollout.means.shape), rollout.means)
