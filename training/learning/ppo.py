"""The formulas of PPO on plain tensors, and its settings.

Schulman et al., arXiv:1707.06347, with generalized advantages (arXiv:1506.02438). The step size is
adapted to the exact divergence between the Gaussians.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from torch import Tensor

from inhand.training.mujoco_worlds.bounded_numbers import (
    Count,
    Positive,
    PositiveOrZero,
    Seed,
    Share,
    ShareBelowOne,
)

SMALLEST_STEP, LARGEST_STEP = 1e-5, 2e-3


class PpoRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of PPO that all its stages have.

    Attributes:
        worlds: worlds that run at once.
        horizon: policy steps in a rollout.
        epochs: passes over a rollout.
        minibatches: parts of a rollout, with one optimizer step each.
        discount: of a step.
        trace: λ of the generalized advantages.
        clip: bound of the policy ratio's distance from 1.
        divergence: KL divergence a rollout that the policy's step size is adapted to.
        step_size: first step size of the policy.
        critic_step_size: step size of the critic.
        deviation: first standard deviation of the exploration.
        persistence: correlation of the exploration's noise from one step to the next.
        seed: of everything random.
        final_deviation: of the exploration after `anneal_iterations`; 0: it is not annealed.
        anneal_iterations: iterations in which it falls from `deviation`.
        bfloat16: whether networks compute in bfloat16 where that is fast.
    """

    worlds: Count = 1024
    horizon: Count = 16
    epochs: Count = 3
    minibatches: Count = 2
    discount: Share = 0.99
    trace: Share = 0.95
    clip: Positive = 0.2
    divergence: Positive = 0.025
    step_size: Positive = 3e-4
    critic_step_size: Positive = 1e-3
    deviation: Positive = 0.35
    persistence: ShareBelowOne = 0.6
    seed: Seed = 1
    final_deviation: PositiveOrZero = 0.0
    anneal_iterations: Count = 10000
    bfloat16: bool = True

    def most_deviation(self, iteration: int) -> float:
        """Largest standard deviation of the exploration in an iteration."""
        if not self.final_deviation:
            return float("inf")
        share = min(1.0, iteration / self.anneal_iterations)
        return float(self.deviation * (self.final_deviation / self.deviation) ** share)

    @property
    def innovation(self) -> float:
        """Standard deviation of the noise's innovation at each step, relative to its total."""
        return float(np.sqrt(1.0 - self.persistence**2))


def log_probability(action: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Log density of a diagonal Gaussian without its constant, (...) for actions (..., n)."""
    z = (action - mean) * torch.exp(-log_deviation)
    return -(0.5 * z * z + log_deviation).sum(-1)


def divergence(before: Tensor, mean_before: Tensor, now: Tensor, mean: Tensor) -> Tensor:
    """Mean of KL(old ‖ new) over the states.

    Args:
        before: old log deviation, (n,) or (..., n).
        mean_before: old means, (..., n).
        now: new log deviation, (n,).
        mean: new means, (..., n).
    """
    spread = (2 * (before - now)).exp() + ((mean - mean_before) * torch.exp(-now)).square()
    return (now - before + 0.5 * (spread - 1)).sum(-1).mean()


def advantages(
    rewards: Sequence[Tensor],
    values: Sequence[Tensor],
    alive: Sequence[Tensor],
    following: Tensor,
    discount: Share,
    trace: Share,
) -> Tensor:
    """Generalized advantages, (steps, worlds).

    Args:
        rewards: of each step, (worlds,) each.
        values: the critic's, of the state before each step.
        alive: 0 where the step ended its episode, else 1.
        following: the critic's value of the state after the last step, (worlds,).
        discount: of a step.
        trace: λ of the generalized advantages.
    """
    advantage = torch.zeros_like(following)
    found = []
    for reward, value, lives in zip(
        reversed(rewards), reversed(values), reversed(alive), strict=True
    ):
        error = reward + discount * lives * following - value
        advantage = error + discount * trace * lives * advantage
        found.append(advantage)
        following = value
    return torch.stack(found[::-1])


def policy_loss(now: Tensor, before: Tensor, gain: Tensor, clip: float) -> Tensor:
    """The clipped surrogate, from log probabilities and normalized advantages."""
    ratio = torch.exp(now - before)
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).mean()


def checked(policy: Tensor, value: Tensor, iteration: int) -> Tensor:
    """The total loss of policy and critic.

    Raises:
        FloatingPointError: the loss is not finite; the message names the term.
    """
    loss = policy + 0.5 * value
    if not torch.isfinite(loss):
        raise FloatingPointError(
            f"iteration {iteration}: loss is not finite "
            f"(policy {policy.item()}, value {value.item()}); "
            "the last checkpoint is intact, resume from it with a smaller step size"
        )
    return loss


def steer(optimizer: torch.optim.Optimizer, measured: float, wanted: float) -> None:
    """Adapts the policy's step size so that the divergence stays near the wanted one."""
    group = optimizer.param_groups[0]
    if measured > 1.5 * wanted:
        group["lr"] = max(SMALLEST_STEP, group["lr"] / 1.2)
    elif measured < 0.7 * wanted:
        group["lr"] = min(LARGEST_STEP, group["lr"] * 1.2)
